"""A version as one file: a tar of exactly what stands in its folder, and the way back."""

import io
import tarfile
from dataclasses import replace
from pathlib import Path

from mlapi.errors import PublishRefused, VersionRefused
from mlapi.inference.faults import quoted
from mlapi.registry import durable, loading, manifest
from mlapi.registry.loading import LARGEST_ARTIFACT
from mlapi.registry.manifest import Manifest, ManifestError
from mlapi.registry.names import check_name
from mlapi.registry.store import Store

MEMBERS = {manifest.FILE, *manifest.FILES}


def export_version(store: Store, name: str, version: int, path: Path) -> int:
    """Write a version, whose files were checked, into the tar file `path`; return its bytes.

    Raises VersionRefused where the version is damaged, StorageFailed where `path` cannot be written.
    """
    described, files = loading.check(store, name, version)
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, data in [(manifest.FILE, manifest.dumps(described)), *sorted(files.items())]:
            entry = tarfile.TarInfo(member)
            entry.size, entry.mode = len(data), 0o444  # no owner and no time: the same version, the same bytes
            tar.addfile(entry, io.BytesIO(data))
    with durable.storage(f"writing {path.name}"):
        durable.export(path, sink.getvalue())
    return len(sink.getvalue())


def import_version(store: Store, path: Path, name: str | None = None) -> Manifest:
    """Publish the version in an archive as the next version of its name, or of `name`.

    Digests are checked before anything is parsed, golden rows after. Loading a joblib model runs what
    the file says: import only archives of your own making. Raises PublishRefused, VersionRefused.
    """
    described, files = _read(path)
    target = check_name(name or described.name)
    for entry in described.files:
        if entry.name not in files or not entry.fits(files[entry.name]):
            reason = f"'{entry.name}' is missing or not what was exported"
            raise VersionRefused(described.name, described.version, reason)
    loading.parsed(described, files).prove()
    wanted = [(entry.name, files[entry.name]) for entry in described.files]
    return store.add(replace(described, name=target), wanted)


def _read(path: Path) -> tuple[Manifest, dict[str, bytes]]:
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(path, mode="r:") as tar:
            for entry in tar:
                if not entry.isreg() or entry.issparse() or entry.name not in MEMBERS or entry.size > LARGEST_ARTIFACT:
                    msg = f"{quoted(path.name)} holds {quoted(entry.name)}, which no version has"
                    raise PublishRefused(msg)
                member = tar.extractfile(entry)
                files[entry.name] = b"" if member is None else member.read()
        return manifest.loads(files.pop(manifest.FILE, b"")), files
    except OSError as error:
        msg = f"{quoted(path.name)} cannot be read: {error.strerror}"
        raise PublishRefused(msg) from error
    except (tarfile.TarError, ManifestError) as error:
        msg = f"{quoted(path.name)} is not an archive that mlapi exported: {error}"
        raise PublishRefused(msg) from error
