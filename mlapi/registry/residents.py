"""Which versions are in memory, and which of them leave it.

What answers by default or by a label stays. A version that was asked for by its number stays until the
room is needed for others, least recently used first. One that was superseded stays for half a minute,
one a model, for a way back and for requests that still name it.
"""

import contextlib
import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path

LINGER_SECONDS = 30.0
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

Key = tuple[str, int]
"""A model and a version of it."""


class Residents:
    """The versions that one process has in memory.

    `room` is the bytes that all of them may take, None any. What a process shares with others, read
    before the fork, takes none of it and leaving would free nothing; such a version is given 0 bytes.
    """

    def __init__(self, room: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.room = room
        self._clock = clock
        self._bytes: dict[Key, int] = {}
        self._asked: dict[Key, float] = {}
        self._superseded: dict[str, tuple[int, float]] = {}

    def asked(self, key: Key) -> None:
        """Note that a version was asked for by its number."""
        self._asked[key] = self._clock()

    def came(self, key: Key, size: int) -> None:
        """Note that a version takes `size` bytes of memory now."""
        self._bytes[key] = size

    def superseded(self, key: Key) -> None:
        """Note that a version answers by default no more."""
        self._superseded[key[0]] = (key[1], self._clock())

    def gone(self, key: Key) -> None:
        """Forget a version."""
        self._bytes.pop(key, None)
        self._asked.pop(key, None)

    def of(self, model: str) -> tuple[int, ...]:
        """Return the versions of a model that are in memory, ascending."""
        return tuple(sorted(version for name, version in self.all() if name == model))

    def all(self) -> tuple[Key, ...]:
        """Return every version that is in memory."""
        return tuple(self._bytes)

    def __len__(self) -> int:
        return len(self._bytes)

    @property
    def size(self) -> int:
        """Bytes of all that this process does not share."""
        return sum(tuple(self._bytes.values()))

    def leaving(self, is_pinned: Callable[[Key], bool], newest: Key | None = None) -> list[tuple[Key, str]]:
        """Return what has to leave and why; `newest` has just come, and stays this time."""
        free = [key for key, size in self._bytes.items() if size and key != newest and not is_pinned(key)]
        over = 0 if self.room is None else self.size - self.room
        leaving = []
        for key in sorted(free, key=lambda key: self._asked.get(key, 0.0)):
            forgotten = key not in self._asked and not self._lingers(key)
            if forgotten or over > 0:
                over -= self._bytes[key]
                leaving.append((key, "superseded" if forgotten else "no room"))
        return leaving

    def _lingers(self, key: Key) -> bool:
        version, since = self._superseded.get(key[0], (0, 0.0))
        return version == key[1] and self._clock() - since < LINGER_SECONDS


def give_back() -> None:
    """Return freed memory to the operating system, where the C library keeps it and can be told not to (glibc).

    Loading and dropping a model leaves holes as large as the model in the arena of the thread that loaded it.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def half_of_memory() -> int:
    """Return half of the bytes that this machine has, or that its control group allows, whichever is less."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in CGROUP_LIMITS:
        text = path.read_text().strip() if path.is_file() else "max"
        limits += [int(text)] if text.isdecimal() else []
    return min(limits) // 2
