"""The request log: a share of the answered requests, whole, so that a version can be asked them before it has traffic.

A request costs a draw and a place in a bounded queue; a thread writes the lines, five times a second. They hold
what callers sent: nothing is logged unless `MLAPI_REQUEST_LOG` asks for it, and files are their owner's alone.
"""

import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from heapq import heappush, heappushpop
from pathlib import Path

from mlapi.inference.values import Array, InferenceEvent
from mlapi.registry import lines, segments
from mlapi.registry.lines import Lines
from mlapi.registry.store import Store
from mlapi.rollouts import request_line
from mlapi.rollouts.request_line import LoggedRequest

FOLDER = "requests"
LARGEST = 1_000_000
"""Bytes of a line beyond which a request is not logged."""

MOST_BYTES = lines.MOST_BYTES
KEPT_SECONDS = 30 * 86400.0
MILLISECOND = 1_000_000
_TIME = b'{"t":'

log = logging.getLogger("mlapi.rollouts")


@dataclass(frozen=True, slots=True)
class Logged:
    """The newest lines of a model's log, oldest first, each one whole; `dropped` requests were not written."""

    lines: tuple[bytes, ...]
    dropped: int

    def requests(self) -> list[LoggedRequest]:
        """Return the requests in the lines; a line that is damaged is left out."""
        found = []
        for line in self.lines:
            with contextlib.suppress(ValueError):
                found.append(request_line.loads(line))
        return found


class RequestLog:
    """Logs a share of the requests; an observer of the data plane.

    `wall` gives nanoseconds since the epoch, `draw` numbers from 0 to less than 1.
    """

    def __init__(
        self, store: Store, share: float, wall: Callable[[], int] = time.time_ns,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._store, self.share, self._wall, self._draw = store, share, wall, draw
        self._lines = Lines(rolling=True, most=MOST_BYTES)
        self._folders: dict[str, Path] = {}

    def observe(self, event: InferenceEvent) -> None:
        """Queue the answered requests that are drawn; those that are too large or find no room are counted."""
        if event.error is not None:
            return
        for number in range(event.requests):
            if self._draw() < self.share:
                self._log(event.single(number))

    def _log(self, event: InferenceEvent) -> None:
        inputs, outputs, version = event.inputs, event.outputs, event.version
        if inputs is None or outputs is None or version is None:
            return
        name = event.target.model
        folder = self._folders.get(name)
        if folder is None:
            folder = self._folders[name] = folder_of(self._store, name)
        size = _bytes(inputs) + _bytes(outputs)
        if size > LARGEST:
            self._lines.lose(folder)
            return
        request = LoggedRequest(self._wall() // MILLISECOND, version, event.rows, event.model_ns, inputs, outputs)
        self._lines.add_later(folder, size, partial(_line, request))

    def dropped(self, model: str) -> int:
        """Return how many requests of a model this process drew and did not write."""
        return self._lines.lost(folder_of(self._store, model))

    @property
    def all_dropped(self) -> int:
        """How many requests of all models this process drew and did not write."""
        return self._lines.all_lost

    def start(self) -> None:
        """Write in a thread from now on; once a process, after the fork."""
        if self.share:
            self._lines.start()

    def stop(self) -> None:
        """Write no more by itself."""
        self._lines.stop()

    def flush(self) -> None:
        """Write what waits and end the segments: when the process ends."""
        self._lines.seal()


def folder_of(store: Store, model: str) -> Path:
    """Return where the requests of a model are logged, whether there are any or not."""
    return store.folder(model) / FOLDER


def newest(store: Store, model: str, most: int, since_ms: int = 0) -> Logged:
    """Return the `most` newest requests of a model that were answered at `since_ms` or later."""
    kept: list[tuple[int, int, bytes]] = []
    dropped: Counter[str] = Counter()
    for number, (writer, line) in enumerate(lines.whole(folder_of(store, model))):
        if not line.startswith(_TIME):
            dropped[writer] = max(dropped[writer], _dropped(line))
            continue
        at = _time(line)
        if at < since_ms:
            continue
        if len(kept) < most:
            heappush(kept, (at, number, line))
        else:
            heappushpop(kept, (at, number, line))
    return Logged(tuple(line for _, _, line in sorted(kept)), sum(dropped.values()))


def discard_old(store: Store, older_than: float = KEPT_SECONDS) -> int:
    """Remove the requests of all models that were logged a while ago, or are too many; return the bytes."""
    folders = [folder_of(store, name) for name in store.folders()]
    return sum(segments.discard_old(folder, older_than) + segments.trim(folder, MOST_BYTES) for folder in folders)


def _line(request: LoggedRequest) -> bytes | None:
    try:
        line = request_line.dumps(request)
    except Exception:  # an array of a model may hold anything
        log.exception("a request could not be logged")
        return None
    return line if len(line) <= LARGEST else None


def _bytes(arrays: Mapping[str, Array]) -> int:
    """Return about how many bytes the values hold; texts are only looked at where they are not too many already."""
    size = 0
    for array in arrays.values():
        size += array.nbytes
        if array.dtype.hasobject and size <= LARGEST:
            size += sum(len(value) for value in array.flat if isinstance(value, str | bytes))
    return size


def _time(line: bytes) -> int:
    digits = line[len(_TIME) : line.find(b",", len(_TIME))]
    return int(digits) if digits.isdigit() else -1


def _dropped(line: bytes) -> int:
    found = line.removeprefix(b'{"dropped": ').removesuffix(b"}\n")
    return int(found) if found.isdigit() else 0
