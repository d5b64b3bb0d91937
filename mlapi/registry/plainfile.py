"""A plain file: the only kind that the registry writes, and the only one that it reads."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path


class UnsafeFileError(Exception):
    """A file is not the plain, singly linked one that the registry writes."""


def read(path: Path, largest: int, size: int | None = None) -> bytes:
    """Return the bytes of a file, read once through one descriptor; raises as `opened`."""
    with opened(path, largest, size) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(os.fstat(descriptor).st_size)


@contextlib.contextmanager
def opened(path: Path, largest: int, size: int | None = None) -> Iterator[int]:
    """Give the descriptor of a file.

    Raises UnsafeFileError where it is a link, a device, a folder or a pipe, has another name (hard link),
    or is not `size` bytes, or more than `largest`; FileNotFoundError where it is missing.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        msg = f"'{path.name}' cannot be opened: {error.strerror}"
        raise UnsafeFileError(msg) from error
    try:
        if fault := _unsafe(os.fstat(descriptor), largest, size):
            msg = f"'{path.name}' {fault}"
            raise UnsafeFileError(msg)
        yield descriptor
    except OSError as error:
        msg = f"'{path.name}' cannot be read: {error.strerror}"
        raise UnsafeFileError(msg) from error
    finally:
        os.close(descriptor)


def _unsafe(found: os.stat_result, largest: int, size: int | None) -> str | None:
    """Return why a file with this status must not be read, or None."""
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    if found.st_nlink != 1:
        return f"has {found.st_nlink} names; expected a file of its own"
    if size is not None and found.st_size != size:
        return f"has {found.st_size} bytes; the manifest says {size}"
    if found.st_size > largest:
        return f"has {found.st_size} bytes; the limit is {largest}"
    return None
