"""Every write to the registry, durable: the only module that opens files for writing or renames.

A file is written whole under a name nobody reads, synced, and only then put in place by one rename;
the folder is synced before the caller hears of success. A process killed anywhere in between leaves
at most a `.tmp-*` that no reader looks at. (Pillai et al., OSDI 2014, on what file systems promise.)
"""

import atexit
import contextlib
import errno
import fcntl
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlapi.errors import StorageFailed

TEMPORARY = ".tmp-"
HELD = ".held"
ABANDONED_SECONDS = 3600.0
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}  # the last: a file or a link of that name


@contextlib.contextmanager
def storage(doing: str) -> Iterator[None]:
    """Turn an OSError inside into StorageFailed, which names what was being done."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(doing, error) from error


def make_folder(path: Path) -> None:
    """Make `path` and its missing parents, each entry synced."""
    if not path.is_dir():
        make_folder(path.parent)
        add_folder(path)


def add_folder(path: Path) -> None:
    """Make `path` in a folder that is there, the entry synced; raises FileNotFoundError where it is not there."""
    if path.is_dir():
        return
    with contextlib.suppress(FileExistsError):
        path.mkdir()
    _sync(path.parent)


def anchor(path: Path) -> None:
    """Sync the entries that lead to `path`, up to the root of its file system.

    Whoever made these folders may have been killed before it did. Folders that may not be read are left out.
    """
    device = path.stat().st_dev
    for folder in path.absolute().parents:
        if folder.stat().st_dev != device:
            return
        with contextlib.suppress(PermissionError):
            _sync(folder)


def stage(parent: Path, files: Iterable[tuple[str, bytes]]) -> Path:
    """Return a new temporary folder in `parent` that holds `files`, read-only and synced."""
    folder = parent / f"{TEMPORARY}{secrets.token_hex(8)}"
    folder.mkdir(mode=0o755)
    try:
        for name, data in files:
            _write_new(folder / name, data)
        _sync(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            discard(folder)
        raise
    return folder


def rewrite(folder: Path, name: str, data: bytes) -> None:
    """Put another content into a file of a folder that is not published yet."""
    staged = folder / f"{TEMPORARY}{name}"
    _write_new(staged, data)
    staged.rename(folder / name)
    _sync(folder)


def put(folder: Path, target: Path) -> bool:
    """Move a staged folder onto `target` and sync; False, and nothing done, where that is taken."""
    folder.chmod(0o555)
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno in _TAKEN:
            folder.chmod(0o755)
            return False
        raise
    _sync(target.parent)
    return True


def replace(path: Path, data: bytes) -> None:
    """Put `data` in place of the file `path` at once: readers see the old or the new, whole."""
    with _staged(path.parent) as staged:
        _write_new(staged, data)
        staged.rename(path)
    _sync(path.parent)


def create(path: Path, data: bytes, mode: int = 0o444) -> bool:
    """Make the file `path` with `data`, whole and synced; False, and nothing done, where it exists.

    A hard link is made atomically or not at all, also over NFS (link(2)), which makes this a compare-and-swap.
    """
    staged = path.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
    try:
        _write_new(staged, data, mode)
        os.link(staged, path)
    except FileExistsError:
        return False
    finally:
        with contextlib.suppress(OSError):
            staged.unlink()
    _sync(path.parent)
    return True


def swap(path: Path, data: bytes) -> None:
    """Put `data` in place of a file that need not survive the machine, such as counters: at once, not synced."""
    with _staged(path.parent) as staged:
        with os.fdopen(os.open(staged, _NEW, 0o600), "wb") as file:
            file.write(data)
        staged.rename(path)


def claim(path: Path) -> bool:
    """Make an empty file that need not survive the machine; False where it is there already."""
    try:
        os.close(os.open(path, _NEW, 0o600))
    except FileExistsError:
        return False
    return True


def volatile_folder(folder: Path | None = None) -> Path:
    """Return a folder for what the workers of one server share: `folder`, or a new one that goes with this process."""
    if folder is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder
    memory = Path("/dev/shm")  # noqa: S108 (mkdtemp gives it a name of its own, for this user alone)
    made = Path(tempfile.mkdtemp(prefix="mlapi-", dir=memory if os.access(memory, os.W_OK) else None))
    atexit.register(_remove_volatile, made, os.getpid())
    return made


def _remove_volatile(folder: Path, maker: int) -> None:
    if os.getpid() == maker:  # a forked worker that ends leaves it to the others
        with contextlib.suppress(OSError):
            discard(folder)


def hold(folder: Path) -> None:
    """Make `folder` and hold it until this process and all that it forks have ended: `discard_unheld` spares it."""
    while True:
        with contextlib.suppress(FileNotFoundError):  # discarded between two steps
            folder.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(folder / HELD, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if os.fstat(descriptor).st_nlink:
                return
            os.close(descriptor)


def discard_unheld(parent: Path, prefix: str) -> None:
    """Remove the folders in `parent` whose name begins with `prefix` and that no living process holds."""
    for folder in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # held, being made, or discarded by another
            descriptor = os.open(folder / HELD, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                discard(folder)
            finally:
                os.close(descriptor)


def mark(folder: Path, name: str, data: bytes) -> None:
    """Add one file to a published folder, whole or not at all."""
    with _staged(folder.parent) as staged:  # where `collect` finds it, if we are killed
        _write_new(staged, data)
        folder.chmod(0o755)
        staged.rename(folder / name)
        folder.chmod(0o555)
    _sync(folder)


def empty(folder: Path, keep: str) -> int:
    """Remove all of a folder but the file `keep`; return the bytes that were freed."""
    _sync(folder)  # `keep` first: its writer may have been killed before it synced
    folder.chmod(0o755)
    freed = 0
    for entry in list(folder.iterdir()):
        if entry.name != keep:
            freed += entry.lstat().st_size
            entry.unlink()
    _sync(folder)
    folder.chmod(0o555)
    return freed


def discard(path: Path) -> int:
    """Remove a temporary file or folder; return the bytes that were freed."""
    if not stat.S_ISDIR(path.lstat().st_mode):
        freed = path.lstat().st_size
        path.unlink()
        return freed
    path.chmod(0o755)
    freed = sum(discard(entry) for entry in list(path.iterdir()))
    path.rmdir()
    return freed


def collect(parent: Path, older_than: float = ABANDONED_SECONDS) -> int:
    """Remove what killed writers left in `parent` more than `older_than` seconds ago; return the bytes."""
    freed = 0
    for path in parent.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(OSError):  # another collector was faster, or it is not ours to remove
            if time.time() - path.lstat().st_mtime > older_than:
                freed += discard(path)
    return freed


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a model's folder: for labels and deletion, never for publishing.

    An advisory `flock` on a file of its own, so that it works between threads, processes and (NFS 4)
    hosts; a killed holder frees it.
    """
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` where nobody else does; tell whether. A killed holder frees it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def export(path: Path, data: bytes) -> None:
    """Write a file outside the registry, such as an archive: whole or not at all, existing ones replaced."""
    replace(path.absolute(), data)


@contextlib.contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    """Give a name that no reader looks at; the file is removed where what is done with it fails."""
    staged = folder / f"{TEMPORARY}{secrets.token_hex(8)}"
    try:
        yield staged
    except BaseException:
        with contextlib.suppress(OSError):
            staged.unlink()
        raise


def _write_new(path: Path, data: bytes, mode: int = 0o444) -> None:
    descriptor = os.open(path, _NEW, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
