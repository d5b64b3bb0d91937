"""From a version on disk to a model that answers: verify, then parse, then prove.

The order is the point: size and digest of the very bytes that are parsed, the manifest's schema, and
only then the one call that runs the file's code; golden rows last, in the process that will serve.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping

from mlapi.errors import VersionRefused
from mlapi.registry import reference
from mlapi.registry.loaded import LoadedModel
from mlapi.registry.manifest import FileEntry, Manifest
from mlapi.registry.plainfile import UnsafeFileError
from mlapi.registry.reference import RowsError
from mlapi.registry.store import Store
from mlapi.runtimes.formats import FORMATS, UnloadableError, parse, predictor
from mlapi.runtimes.plans import document
from mlapi.runtimes.plans.document import PlanError
from mlapi.runtimes.plans.plan import PlanRunner
from mlapi.runtimes.plans.predictor import PlannedPredictor
from mlapi.runtimes.predictor import Predictor

__all__ = [
    "LARGEST_ARTIFACT", "LoadedModel", "bytes_of", "check", "expected_bytes", "inspect", "load", "parsed", "verified",
    "verify",
]  # fmt: skip

log = logging.getLogger("mlapi.registry")

LARGEST_ARTIFACT = 8 * 2**30
MAPPED_FROM = 8 * 2**20
"""Bytes from which the arrays of a plan are mapped, so that workers share them; smaller ones are read."""
_DIFFERS = "'{}' is not the file that was published: its sha256 differs from the manifest's"


def load(
    store: Store, name: str, version: int, largest: int = LARGEST_ARTIFACT, *, plans: bool = True,
) -> LoadedModel:
    """Return a version verified and parsed, not yet proven; through its plan where it has one and `plans` allows it.

    Raises VersionRefused with the reason at the first check that fails; nothing is parsed before all
    files have the size and digest that the manifest gives them. The model file behind a plan is
    verified, and parsed only when it is needed, verified again.
    """
    manifest = store.manifest(name, version)
    with _refusing(manifest):
        files = {entry.name: _verified(store, manifest, entry.name, largest) for entry in manifest.files
                 if not _is_mapped(entry)}  # fmt: skip
        mapped = {entry.name: _mapped(store, manifest, entry, largest) for entry in manifest.files if _is_mapped(entry)}
    if plans:
        artifact = FORMATS[manifest.runtime].file

        def native() -> Predictor:
            with _refusing(manifest):
                return _native(manifest, {artifact: _verified(store, manifest, artifact, largest)})

        if (planned := _planned(manifest, {**files, **mapped}, native)) is not None:
            with _refusing(manifest):
                return LoadedModel(manifest, planned, reference.loads(files[reference.FILE], manifest.signature))
    return parsed(manifest, files)


def check(
    store: Store, name: str, version: int, largest: int = LARGEST_ARTIFACT,
) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest and the verified bytes of all its files; parses nothing. Raises VersionRefused."""
    manifest = store.manifest(name, version)
    with _refusing(manifest):
        return manifest, {entry.name: _verified(store, manifest, entry.name, largest) for entry in manifest.files}


def inspect(store: Store, name: str, version: int, largest: int = LARGEST_ARTIFACT) -> None:
    """Look at a version without reading its files: its manifest, and that each file may be opened and has its size.

    Raises VersionRefused.
    """
    manifest = store.manifest(name, version)
    with _refusing(manifest):
        for entry in manifest.files:
            store.look(name, version, entry.name, largest, entry.size)


def bytes_of(manifest: Manifest, *, plans: bool) -> int:
    """Return about how many bytes of its own a process needs for a version.

    By its plan, where it has one and `plans` allows it: those of its files, but the model's, which is not
    loaded, and mapped ones. By the estimator: those of its objects, or of its files where these are more.
    """
    if plans and any(entry.name == document.ARRAYS for entry in manifest.files):
        model = FORMATS[manifest.runtime].file
        return sum(entry.size for entry in manifest.files if entry.name != model and not _is_mapped(entry))
    return max(manifest.memory_bytes, manifest.size)


def expected_bytes(store: Store, manifest: Manifest, *, plans: bool) -> int:
    """Return what `bytes_of` does, and with it what a plan will make of its arrays. Raises VersionRefused."""
    own = bytes_of(manifest, plans=plans)
    arrays = sum(entry.size for entry in manifest.files if entry.name == document.ARRAYS)
    if not plans or not arrays:
        return own
    try:
        return own + document.derived_bytes(verified(store, manifest, document.FILE), arrays)
    except PlanError:  # the estimator will answer
        return bytes_of(manifest, plans=False)


def parsed(manifest: Manifest, files: Mapping[str, bytes]) -> LoadedModel:
    """Return the model in files that are verified, without its plan; this runs their code. Raises VersionRefused."""
    with _refusing(manifest):
        rows = reference.loads(files[reference.FILE], manifest.signature)
        return LoadedModel(manifest, _native(manifest, files), rows)


def _native(manifest: Manifest, files: Mapping[str, bytes]) -> Predictor:
    model = parse(manifest.runtime, files[FORMATS[manifest.runtime].file])
    return predictor(manifest.runtime, model, manifest.signature, manifest.feed)


def _planned(
    manifest: Manifest, files: "Mapping[str, bytes | memoryview]", native: Callable[[], Predictor],
) -> PlannedPredictor | None:
    """Return what answers by the plan in verified files; None, and a line in the log, where it cannot be used here."""
    if document.ARRAYS not in files or document.FILE not in files:
        return None
    try:
        model = manifest.file(FORMATS[manifest.runtime].file)
        bound = document.binding(model.sha256, manifest.signature, manifest.feed)
        plan, proof = document.loads(bytes(files[document.FILE]), files[document.ARRAYS], bound)
        return PlannedPredictor(PlanRunner(plan, manifest.signature), proof, native)
    except (PlanError, KeyError) as error:
        log.warning("plan not used", extra={"model": manifest.name, "version": manifest.version, "reason": str(error)})
        return None


@contextlib.contextmanager
def _refusing(manifest: Manifest) -> Iterator[None]:
    """Turn what is wrong with the files of a version into VersionRefused."""
    name, version = manifest.name, manifest.version
    try:
        yield
    except KeyError as error:
        raise VersionRefused(name, version, f"its manifest lists no {error.args[0]}") from error
    except FileNotFoundError as error:
        raise VersionRefused(name, version, "a file that its manifest lists is missing") from error
    except MemoryError as error:
        raise VersionRefused(name, version, "there is not enough memory to load it") from error
    except (RowsError, UnloadableError, UnsafeFileError) as error:
        raise VersionRefused(name, version, str(error)) from error


def verify(store: Store, name: str, version: int) -> LoadedModel:
    """Return a version that passed every check: files, manifest, parse, golden rows."""
    loaded = load(store, name, version)
    loaded.prove()
    return loaded


def verified(store: Store, manifest: Manifest, file: str, largest: int = LARGEST_ARTIFACT) -> bytes:
    """Return the bytes of one file of a version as the manifest describes them. Raises VersionRefused."""
    with _refusing(manifest):
        return _verified(store, manifest, file, largest)


def _is_mapped(entry: FileEntry) -> bool:
    return entry.name == document.ARRAYS and entry.size >= MAPPED_FROM


def _mapped(store: Store, manifest: Manifest, entry: FileEntry, largest: int) -> memoryview:
    data = store.map(manifest.name, manifest.version, entry.name, largest, entry.size)
    if not entry.fits(data):
        raise UnsafeFileError(_DIFFERS.format(entry.name))
    return data


def _verified(store: Store, manifest: Manifest, file: str, largest: int) -> bytes:
    entry = manifest.file(file)
    data = store.read(manifest.name, manifest.version, file, largest, entry.size)
    if not entry.fits(data):
        raise UnsafeFileError(_DIFFERS.format(file))
    return data
