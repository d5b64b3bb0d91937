"""Lines of JSON that one process adds to files of its own, four times a second; nobody waits for a disk.

What does not fit into the queue, or cannot be written, is dropped and counted: a log never costs an answer.
"""

import json
import logging
import os
import secrets
import socket
import threading
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlapi.registry.segments import Segments

FLUSH_SECONDS = 0.25
MOST_WAITING = 16 * 1024 * 1024
MOST_BYTES = 256 * 1024 * 1024

log = logging.getLogger("mlapi.registry")


class Lines:
    """Adds lines to the segments of this process in each folder.

    At most `waiting` bytes wait to be written. A process stops at `most` bytes in a folder; then lines are dropped.
    """

    def __init__(self, waiting: int = MOST_WAITING, most: int = MOST_BYTES) -> None:
        self._waiting, self._most = waiting, most
        self._segments: dict[Path, Segments] = {}
        self._queue: deque[tuple[Path, bytes]] = deque()
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
            self._started_in = os.getpid()
            self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        threading.Thread(target=self._follow, name="mlapi-lines", daemon=True).start()

    def stop(self) -> None:
        """Write no more by itself."""
        self._ended.set()
        self._wake.set()

    def add(self, folder: Path, line: dict[str, Any]) -> bool:
        """Queue one line for a folder; False, and it is counted as lost, where there is no room."""
        data = json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with self._lock:
            if self._held + len(data) <= self._waiting:
                self._queue.append((folder, data))
                self._held += len(data)
                self._wake.set()
                return True
        self.lose(folder)
        return False

    def lose(self, folder: Path, count: int = 1) -> None:
        """Count lines of a folder that nobody will write; the files say how many."""
        with self._lock:
            self._lost[folder] += count
            self._wake.set()

    def flush(self) -> None:
        """Write what waits, and how many lines were lost so far where that has grown."""
        with self._writing:
            for folder, data in self._taken().items():
                self._write(folder, data)
            for folder, count in list(self._lost.items()):
                if count != self._told[folder]:
                    self._append(folder, json.dumps({"dropped": count}).encode() + b"\n")
                    self._told[folder] = count

    def _taken(self) -> dict[Path, list[bytes]]:
        with self._lock:
            taken, self._queue, self._held = self._queue, deque(), 0
        found: dict[Path, list[bytes]] = {}
        for folder, data in taken:
            found.setdefault(folder, []).append(data)
        return found

    def _write(self, folder: Path, lines: list[bytes]) -> None:
        data = b"".join(lines)
        if self._written[folder] + len(data) > self._most or not self._append(folder, data):
            self.lose(folder, len(lines))

    def _append(self, folder: Path, data: bytes) -> bool:
        if folder not in self._segments:
            self._segments[folder] = Segments(folder, self._name)
        try:
            self._segments[folder].append(data)
        except OSError as error:
            if not self._warned:  # once, not four times a second
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


def read(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every whole line of a folder with the name of its writer; those that are none are left out."""
    for path in sorted(folder.glob("[!.]*")):
        writer = path.name.rpartition("-")[0]
        with path.open("rb") as file:
            for line in file:
                try:
                    known = json.loads(line)
                except ValueError:
                    continue
                if isinstance(known, dict):
                    yield writer, known
