"""Lines of JSON that one process adds to files of its own, five times a second; nobody waits for a disk.

What does not fit into the queue, or cannot be written, is dropped and counted: a log never costs an answer.
"""

import contextlib
import json
import logging
import os
import secrets
import socket
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mlapi.registry import segments
from mlapi.registry.segments import Segments

FLUSH_SECONDS = 0.2
MOST_WAITING = 16 * 1024 * 1024
MOST_BYTES = 256 * 1024 * 1024
ROLLED_BYTES = 4 * 1024 * 1024

Made = Callable[[], bytes | None]

log = logging.getLogger("mlapi.registry")


class Lines:
    """Adds lines to the segments of this process in each folder.

    At most `waiting` bytes wait to be written. A process stops at `most` bytes in a folder; then lines are dropped.
    If `rolling`, segments are small, and the oldest ones, whoever wrote them, go when a folder has more than `most`.
    """

    def __init__(self, waiting: int = MOST_WAITING, most: int = MOST_BYTES, *, rolling: bool = False) -> None:
        self._waiting, self._most, self._rolling = waiting, most, rolling
        self._segments: dict[Path, Segments] = {}
        self._queue: deque[tuple[Path, Made]] = deque()
        self._held = 0
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._wake, self._ended = threading.Event(), threading.Event()
        self._written: Counter[Path] = Counter()
        self._lost: Counter[Path] = Counter()
        self._told: Counter[Path] = Counter()
        self._name, self._started_in = "", 0
        self._warned = False

    def start(self) -> None:
        """Write in a thread; once a process, after the fork."""
        with self._lock:
            if self._started_in == os.getpid():
                return
            self._started_in, self._name = os.getpid(), _writer()
        threading.Thread(target=self._follow, name="mlapi-lines", daemon=True).start()

    def stop(self) -> None:
        """Write no more by itself."""
        self._ended.set()
        self._wake.set()

    def add(self, folder: Path, line: dict[str, Any]) -> bool:
        """Queue one line for a folder; False, and it is counted as lost, where there is no room."""
        data = json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        return self.add_later(folder, len(data), lambda: data)

    def add_later(self, folder: Path, size: int, made: Made) -> bool:
        """Queue a line of about `size` bytes that the thread makes; `made` gives it with its end, or None for none.

        False, and it is counted as lost, where there is no room.
        """
        with self._lock:
            if self._held + size <= self._waiting:
                self._queue.append((folder, made))
                self._held += size
                if not self._wake.is_set():
                    self._wake.set()
                return True
        self.lose(folder)
        return False

    def lost(self, folder: Path) -> int:
        """Return how many lines of a folder this process has lost."""
        return self._lost[folder]

    @property
    def all_lost(self) -> int:
        """How many lines this process has lost, of all folders."""
        return sum(tuple(self._lost.values()))

    def lose(self, folder: Path, count: int = 1) -> None:
        """Count lines of a folder that nobody will write; the files say how many."""
        with self._lock:
            self._lost[folder] += count
            self._wake.set()

    def flush(self) -> None:
        """Write what waits, and how many lines were lost so far where that has grown."""
        with self._writing:
            for folder, made in self._taken().items():
                self._make(folder, made)
            for folder, count in list(self._lost.items()):
                if count != self._told[folder]:
                    self._append(folder, json.dumps({"dropped": count}).encode() + b"\n")
                    self._told[folder] = count

    def seal(self) -> None:
        """Write what waits and end the segments: when the process ends. Raises OSError."""
        self.flush()
        with self._writing:
            for one in self._segments.values():
                one.seal()

    def _taken(self) -> dict[Path, list[Made]]:
        with self._lock:
            taken, self._queue, self._held = self._queue, deque(), 0
        found: dict[Path, list[Made]] = {}
        for folder, made in taken:
            found.setdefault(folder, []).append(made)
        return found

    def _make(self, folder: Path, waiting: list[Made]) -> None:
        lines: list[bytes] = []
        size = 0
        for made in waiting:
            line = made()
            if line is None:
                self.lose(folder)
                continue
            lines.append(line)
            size += len(line)
            if size > ROLLED_BYTES:  # so that a segment is not many times as large as one may be
                self._write(folder, lines)
                lines, size = [], 0
        self._write(folder, lines)

    def _write(self, folder: Path, lines: list[bytes]) -> None:
        data = b"".join(lines)
        full = not self._rolling and self._written[folder] + len(data) > self._most
        if lines and (full or not self._append(folder, data)):
            self.lose(folder, len(lines))

    def _append(self, folder: Path, data: bytes) -> bool:
        if folder not in self._segments:
            largest = ROLLED_BYTES if self._rolling else None
            self._name = self._name or _writer()
            self._segments[folder] = Segments(folder, self._name, largest=largest)
        own = self._segments[folder]
        try:
            begun = own.begun
            own.append(data)
            if self._rolling and own.begun != begun:
                segments.trim(folder, self._most)
        except OSError as error:
            if not self._warned:  # once, not five times a second
                log.warning("lines cannot be written", extra={"folder": str(folder), "error": str(error)})
            self._warned = True
            return False
        self._written[folder] += len(data)
        self._warned = False
        return True

    def _follow(self) -> None:
        while self._wake.wait() and not self._ended.wait(FLUSH_SECONDS):  # a process without a shadow never wakes
            self._wake.clear()
            try:
                self.flush()
            except Exception:
                log.exception("writing lines failed")


def whole(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every whole line of a folder, as it stands there, with the name of its writer."""
    for path in sorted(folder.glob("[!.]*")):
        writer = path.name.rpartition("-")[0]
        with contextlib.suppress(FileNotFoundError), _opened(path) as file:
            yield from ((writer, line) for line in file if line.endswith(b"\n"))


def read(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every whole line of a folder with the name of its writer; those that are none are left out."""
    for writer, line in whole(folder):
        try:
            known = json.loads(line)
        except ValueError:
            continue
        if isinstance(known, dict):
            yield writer, known


def _writer() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


def _opened(path: Path) -> BinaryIO:
    """Open a segment, also one that was sealed since its name was read; FileNotFoundError where it is gone."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        return path.with_suffix(segments.SEALED).open("rb")
