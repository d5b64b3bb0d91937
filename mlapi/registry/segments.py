"""Segments: files that one process appends whole lines to, and that others read while they grow.

`<folder>/<name>-00000001.open` becomes `.jsonl` when it is full, old, or its writer ends. A writer that is
killed leaves it `.open`, at worst with a torn last line; a disk that was full leaves one in the midst. Readers
leave those out. With `durable.py` this is the only module that writes.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mlapi.registry import durable

OPEN, SEALED = ".open", ".jsonl"
LARGEST = 64 * 2**20
OLDEST_SECONDS = 600.0
SPARE_SECONDS = 60.0
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class Segments:
    """The segments that this process writes in `folder`, under a `name` that no other process has.

    `clock` gives monotonic seconds; `largest` is how many bytes a segment is full with, LARGEST where none is given.
    """

    def __init__(
        self, folder: Path, name: str, clock: Callable[[], float] = time.monotonic, largest: int | None = None,
    ) -> None:
        self._folder, self._name, self._clock = folder, name, clock
        self._largest = LARGEST if largest is None else largest
        self._descriptor: int | None = None
        self._number, self._size, self._since = 0, 0, 0.0
        self._is_torn = False

    @property
    def begun(self) -> int:
        """How many segments this process has begun in the folder."""
        return self._number

    def append(self, lines: bytes, *, sync: bool = True) -> None:
        """Append whole lines; with `sync` all so far survive the machine when this returns. Raises OSError."""
        is_done = self._clock() - self._since > OLDEST_SECONDS or self._size > self._largest
        if self._descriptor is not None and (is_done or self._is_deleted(self._descriptor)):
            self.seal()
        if self._descriptor is None:
            self._begin()
        descriptor, view = self._descriptor or 0, memoryview(b"\n" + lines if self._is_torn else lines)
        while view:
            written = os.write(descriptor, view)
            view = view[written:]
            self._size += written
            self._is_torn = bool(view)  # until the rest is written; else the next line would be lost with this one
        if sync:
            os.fdatasync(descriptor)

    def seal(self) -> None:
        """End the present segment, if there is one; raises OSError."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        with contextlib.suppress(FileNotFoundError):  # its rollout is gone
            self._path.rename(self._path.with_suffix(SEALED))

    @staticmethod
    def _is_deleted(descriptor: int) -> bool:
        """Tell whether nobody can read what is written there: somebody has removed the file."""
        return os.fstat(descriptor).st_nlink == 0

    @property
    def _path(self) -> Path:
        return self._folder / f"{self._name}-{self._number:08d}{OPEN}"

    def _begin(self) -> None:
        durable.add_folder(self._folder)  # and no parents: a registry that is gone is not to be begun anew
        self._number, self._size, self._since = self._number + 1, 0, self._clock()
        self._is_torn = False
        self._descriptor = os.open(self._path, _APPEND, 0o600)


def discard_old(folder: Path, older_than: float) -> int:
    """Remove the segments in `folder` that were last written more than `older_than` seconds ago; return the bytes."""
    freed = 0
    for path, stat in _segments(folder):
        if time.time() - stat.st_mtime > older_than:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                freed += stat.st_size
    return freed


def trim(folder: Path, most: int) -> int:
    """Remove the oldest segments in `folder`, whoever wrote them, until `most` bytes are left; return the bytes.

    A segment that may still be written to stays: one that is open, unless its writer would begin another one by now.
    """
    found = sorted(_segments(folder), key=lambda one: one[1].st_mtime)
    total, freed = sum(stat.st_size for _, stat in found), 0
    for path, stat in found:
        if total - freed <= most:
            break
        if path.suffix == SEALED or time.time() - stat.st_mtime > OLDEST_SECONDS + SPARE_SECONDS:
            with contextlib.suppress(FileNotFoundError):  # another worker was faster
                path.unlink()
            freed += stat.st_size
    return freed


def _segments(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in folder.glob("[!.]*"):
        if path.suffix in {OPEN, SEALED}:
            with contextlib.suppress(FileNotFoundError):
                yield path, path.lstat()
