"""The registry's folders: which models, versions and labels exist, read from disk; and their changes."""

import contextlib
import mmap
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mlapi.errors import (
    InvalidName,
    LabelNotFound,
    ModelNotFound,
    PublishRefused,
    RegistryError,
    VersionInUse,
    VersionNotFound,
    VersionRefused,
)
from mlapi.registry import durable, manifest, plainfile
from mlapi.registry import head as heads
from mlapi.registry.head import Head
from mlapi.registry.manifest import Manifest, ManifestError
from mlapi.registry.names import check_label, check_name, is_name, version_number
from mlapi.registry.plainfile import UnsafeFileError

LABELS = "labels.json"
TOMBSTONE = "deleted.json"
LABELS_FORMAT = 1
LARGEST_LABELS = 64 * 1024


@dataclass(frozen=True, slots=True)
class Store:
    """A registry folder. Reading never writes; a missing one is an empty registry, or RegistryGone if it was there."""

    root: Path
    seen: Head = field(default_factory=Head, compare=False, repr=False)

    # -- reading ------------------------------------------------------------------------------

    def head(self) -> bytes:
        """Return the token that changes with every change of the registry; empty before the first."""
        return self.seen.read(self.root)

    def models(self) -> tuple[str, ...]:
        """Return the names that have at least one version, sorted."""
        return tuple(name for name in self.folders() if self.versions(name))

    def folders(self) -> tuple[str, ...]:
        """Return the names that ever had a version, sorted."""
        return tuple(sorted(name for name in _folders(self.root) if is_name(name))) or self._nothing()

    def versions(self, name: str) -> tuple[int, ...]:
        """Return the versions of a model that are not deleted, ascending; empty where there are none."""
        folder = str(self.folder(name))
        found = tuple(n for n in self.numbers(name) if not os.access(f"{folder}/{n}/{TOMBSTONE}", os.F_OK))
        return found or self._nothing()

    def _nothing(self) -> tuple[()]:
        """Return nothing; raises RegistryGone where that is because all of the registry is."""
        self.head()
        return ()

    def retired(self, name: str) -> tuple[int, ...]:
        """Return the versions that were deleted, ascending; their numbers stay taken."""
        live = set(self.versions(name))
        return tuple(n for n in self.numbers(name) if n not in live)

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return every version number ever taken, deleted ones too, ascending."""
        found = (version_number(entry) for entry in _folders(self.folder(name)))
        return tuple(sorted(number for number in found if number is not None))

    def folder(self, name: str, version: int | None = None) -> Path:
        """Return the folder of a model or a version, whether it exists or not."""
        model = self.root / check_name(name)
        return model if version is None else model / str(version)

    def require(self, name: str, version: int | None = None) -> int:
        """Return the version asked for, or the newest; raise ModelNotFound or VersionNotFound."""
        known = self.versions(name)
        if not known:
            raise ModelNotFound(name, nearest(name, self.models()))
        if version is not None and version not in known:
            raise VersionNotFound(name, str(version), known)
        return known[-1] if version is None else version

    def manifest(self, name: str, version: int) -> Manifest:
        """Return the manifest of a version.

        Raises VersionRefused where it is missing, unsafe, broken, or of another version.
        """
        try:
            data = self.read(name, version, manifest.FILE, manifest.LARGEST)
            read = manifest.loads(data)
        except FileNotFoundError as error:
            raise VersionRefused(name, version, "its manifest is missing") from error
        except (ManifestError, UnsafeFileError) as error:
            raise VersionRefused(name, version, str(error)) from error
        if (read.name, read.version) != (name, version):
            reason = f"its manifest is that of '{read.name}' version {read.version}"
            raise VersionRefused(name, version, reason)
        return read

    def read(self, name: str, version: int, file: str, largest: int, size: int | None = None) -> bytes:
        """Return the bytes of one file of a version, read once through one descriptor.

        Raises UnsafeFileError before reading where the file is a link, a device, a folder or a pipe,
        has another name (hard link), or is not `size` bytes, or more than `largest`.
        """
        return plainfile.read(self.folder(name, version) / file, largest, size)

    def look(self, name: str, version: int, file: str, largest: int, size: int) -> None:
        """Open one file of a version and close it; raises what `read` raises before reading."""
        with plainfile.opened(self.folder(name, version) / file, largest, size):
            pass

    def map(self, name: str, version: int, file: str, largest: int, size: int) -> memoryview:
        """Return one file of a version mapped read-only, so that processes share its pages; checked as in `read`."""
        with plainfile.opened(self.folder(name, version) / file, largest, size) as descriptor:
            return memoryview(mmap.mmap(descriptor, size, access=mmap.ACCESS_READ))

    def fingerprint(self, name: str, version: int) -> tuple[object, ...]:
        """Return what changes when any file of a version is written, replaced or removed."""
        try:
            with os.scandir(self.folder(name, version)) as entries:
                found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
        except FileNotFoundError:
            return ()
        return tuple(sorted((file, stat.st_ino, stat.st_size, stat.st_mtime_ns) for file, stat in found))

    def mark(self, name: str) -> tuple[int, int]:
        """Return the inode of a model's folder and when an entry of it last changed, in ns; (0, 0) without one.

        Publishing, labelling and deleting change it, and so does what is put there by hand. The folder is
        opened, since that is when NFS asks the server again.
        """
        try:
            descriptor = os.open(self.folder(name), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return (0, 0)
        try:
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        return (found.st_ino, found.st_mtime_ns)

    def labels(self, name: str) -> dict[str, int]:
        """Return the labels of a model, sorted by label; empty where it has none."""
        return self._labels(name)[0]

    def needed(self, name: str) -> frozenset[int]:
        """Return the versions without which a model does not count as loaded: the newest, and the labelled ones."""
        found = set(self.versions(name)[-1:])
        with contextlib.suppress(RegistryError):  # labels that cannot be read are not followed
            found |= set(self.labels(name).values())
        return frozenset(found)

    # -- changing -----------------------------------------------------------------------------

    def touch(self) -> None:
        """Change HEAD, so that readers look again. Its random part makes racing writers visible."""
        with durable.storage("writing the registry's HEAD"):
            following = heads.generation(self.head()) + 1
            durable.replace(self.root / heads.FILE, f"{following} {secrets.token_hex(8)}\n".encode())

    def add(self, draft: Manifest, files: Sequence[tuple[str, bytes]]) -> Manifest:
        """Write a version under the next free number and return its manifest; only then is it there.

        Takes no lock: a number that another publisher took meanwhile is stepped over. Raises
        PublishRefused where the manifest cannot be written, StorageFailed where a file cannot.
        """
        with durable.storage(f"publishing '{draft.name}'"):
            folder, head = self.folder(draft.name), self.head()
            durable.make_folder(folder)
            if not head:  # nobody has finished a change of this registry yet
                durable.anchor(self.root)
            durable.collect(self.root)
            durable.collect(folder)
            numbers, live = self.numbers(draft.name), self.versions(draft.name)
            draft = replace(draft, version=(numbers or (0,))[-1] + 1, parent=live[-1] if live else None)
            staged = durable.stage(folder, [*files, (manifest.FILE, written(draft))])
            try:
                while not durable.put(staged, self.folder(draft.name, draft.version)):
                    draft = replace(draft, version=draft.version + 1)
                    durable.rewrite(staged, manifest.FILE, written(draft))
            except BaseException:
                with contextlib.suppress(OSError):
                    durable.discard(staged)
                raise
        self.touch()
        return draft

    def label(self, name: str, label: str, version: int) -> None:
        """Point a label to a version, atomically. The caller has made sure that the version loads."""
        check_label(label)
        self._change_labels(name, lambda labels: {**labels, label: self.require(name, version)})

    def unlabel(self, name: str, label: str) -> None:
        """Remove a label; LabelNotFound where the model has none of that name."""
        self.require(name)

        def without(labels: dict[str, int]) -> dict[str, int]:
            if label not in labels:
                raise LabelNotFound(name, label, tuple(labels))
            return {key: value for key, value in labels.items() if key != label}

        self._change_labels(name, without)

    def delete(self, name: str, version: int) -> None:
        """Retire a version at once; its number is never given again, its bytes go with `gc`.

        Raises VersionInUse while a label points to it.
        """
        self.require(name, version)
        with durable.storage(f"deleting version {version} of '{name}'"), durable.locked(self.folder(name)):
            holding = [label for label, held in self.labels(name).items() if held == version]
            if holding:
                raise VersionInUse(name, version, holding)
            durable.mark(self.folder(name, version), TOMBSTONE, b"{}\n")
        self.touch()

    def _change_labels(self, name: str, change: Callable[[dict[str, int]], dict[str, int]]) -> None:
        self.require(name)
        with durable.storage(f"changing the labels of '{name}'"), durable.locked(self.folder(name)):
            labels, serial = self._labels(name)
            document = {"format": LABELS_FORMAT, "serial": serial + 1, "labels": change(labels)}
            durable.replace(self.folder(name) / LABELS, manifest.canonical(document))
        self.touch()

    def _labels(self, name: str) -> tuple[dict[str, int], int]:
        path = self.folder(name) / LABELS
        try:
            document = manifest.strict_json(plainfile.read(path, LARGEST_LABELS))
            return _labels_in(document), _whole(document["serial"])
        except FileNotFoundError:
            return {}, 0
        except (UnsafeFileError, InvalidName, ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"the {LABELS} of model '{name}' is damaged: {error}"
            raise RegistryError(msg) from error


def written(draft: Manifest) -> bytes:
    """Return the file of a manifest; PublishRefused where it would be too large, or holds what is no number."""
    try:
        return manifest.dumps(draft)
    except ManifestError as error:
        msg = f"the manifest of '{draft.name}' cannot be written: {error}"
        raise PublishRefused(msg) from error


def _labels_in(document: Any) -> dict[str, int]:  # noqa: ANN401 (decoded JSON)
    if _whole(document["format"]) != LABELS_FORMAT:
        raise ValueError(f"it has format {document['format']!r}; this mlapi reads {LABELS_FORMAT}")
    return {check_label(key): _whole(value) for key, value in sorted(document["labels"].items())}


def _whole(value: Any) -> int:  # noqa: ANN401 (decoded JSON)
    if type(value) is not int:
        raise ValueError(f"it holds {type(value).__name__}; expected whole numbers")
    return value


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like `name`, or None."""
    near = get_close_matches(name, list(known), n=1)
    return near[0] if near else None


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise RegistryError(f"the folder {path.name} cannot be read: {error.strerror}") from error
