"""The exposure log: one line for every request that a rollout decided, for the ledger, for audits and replays.

A request costs an entry in a queue; a thread writes the lines four times a second. What a killed process
loses is at most a quarter of a second of them. A queue that is full, or a disk that is, drops lines and
counts them; it never holds a request up.
"""

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from mlapi.errors import ModelFailed, ModelNotReady
from mlapi.inference.values import Array, Assignment, InferenceEvent
from mlapi.registry import segments
from mlapi.registry.segments import Segments
from mlapi.rollouts.counters import PROBABILITIES, worker_name
from mlapi.rollouts.document import CANDIDATE, CONTROL, Rollout
from mlapi.rollouts.generations import Generations

EXPOSURES, OUTCOMES = "exposures", "outcomes"
KEPT_SECONDS = 30 * 86400.0
MOST_WAITING = 50_000
FLUSH_SECONDS = 0.25
MOST_CLASSES = 100
MICROSECOND, MILLISECOND = 1_000, 1_000_000

log = logging.getLogger("mlapi.rollouts")


class _Exposure(NamedTuple):
    at_ms: int
    assignment: Assignment
    predict_ns: int
    failed: bool
    rows: int
    outputs: Mapping[str, Array] | None


class ExposureLog:
    """Logs exposures; an observer of the data plane.

    `known` gives a rollout by its id, as this process last heard of it; `clock` gives nanoseconds since the epoch.
    """

    def __init__(
        self, generations: Generations, known: Callable[[str], Rollout | None],
        clock: Callable[[], int] = time.time_ns, *, on: bool = True,
    ) -> None:
        self._generations, self._known, self._clock, self._on = generations, known, clock, on
        self._waiting: deque[_Exposure] = deque()
        self._segments: dict[str, Segments] = {}
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._ended = threading.Event()
        self._started_in: int | None = None
        self._writable = True
        self.dropped = 0

    def observe(self, event: InferenceEvent) -> None:
        """Note one inference that a rollout decided; those that pinned a variant belong to no arm."""
        assignment = event.assignment
        if assignment is None or not self._on or assignment.arm not in {CONTROL, CANDIDATE}:
            return
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            return
        failed = assignment.fell_back or isinstance(event.error, ModelFailed | ModelNotReady)
        alone = event.outputs if event.rows == 1 else None
        self._waiting.append(
            _Exposure(self._clock() // MILLISECOND, assignment, event.model_ns, failed, event.rows, alone),
        )
        if not self._wake.is_set():
            self._wake.set()

    def start(self) -> None:
        """Write in a thread from now on; once a process, after the fork."""
        if self._started_in == os.getpid() or not self._on:
            return
        self._started_in = os.getpid()
        self._waiting.clear()
        self._segments = {}
        threading.Thread(target=self._keep_writing, name="mlapi-exposures", daemon=True).start()

    def stop(self) -> None:
        """Write no more by itself."""
        self._ended.set()
        self._wake.set()

    def write(self) -> None:
        """Write what waits; what cannot be written is dropped, counted, and said in the log once."""
        with self._lock:
            lines: dict[str, list[bytes]] = {}
            while self._waiting:
                one = self._waiting.popleft()
                lines.setdefault(one.assignment.rollout, []).append(line_of(one))
            for rollout_id, written in lines.items():
                self._append(rollout_id, written)

    def flush(self) -> None:
        """Write what waits and end the segments: when the process ends."""
        self.write()
        with self._lock:
            for one in self._segments.values():
                one.seal()

    def _append(self, rollout_id: str, lines: list[bytes]) -> None:
        rollout = self._known(rollout_id)
        if rollout is None:
            self.dropped += len(lines)
            return
        if rollout_id not in self._segments:
            folder = self._generations.folder(rollout.model, rollout_id) / EXPOSURES
            self._segments[rollout_id] = Segments(folder, worker_name())
        try:
            self._segments[rollout_id].append(b"".join(lines))
            self._writable = True
        except OSError as error:
            self.dropped += len(lines)
            if self._writable:
                log.warning("exposures cannot be written", extra={"rollout": rollout_id, "error": str(error)})
            self._writable = False

    def _keep_writing(self) -> None:
        while self._wake.wait() and not self._ended.wait(FLUSH_SECONDS):  # a process without a rollout never wakes
            self._wake.clear()
            try:
                self.write()
            except Exception:
                log.exception("writing the exposures failed")


def discard_old(generations: Generations, older_than: float = KEPT_SECONDS) -> int:
    """Remove the exposures and outcomes of rollouts that ended a while ago; return the bytes that were freed."""
    freed = 0
    for model in generations.store.folders():
        for rollout in generations.all(model):
            if not rollout.is_active:
                folder = generations.folder(model, rollout.id)
                freed += sum(segments.discard_old(folder / kind, older_than) for kind in (EXPOSURES, OUTCOMES))
    return freed


def line_of(one: _Exposure) -> bytes:
    """Return the line of an exposure, as docs/rollouts.md describes it."""
    told = one.assignment
    line: dict[str, Any] = {
        "p": told.prediction_id, "t": one.at_ms, "g": told.generation, "s": told.step, "w": told.ppm, "a": told.arm,
        "f": int(told.fell_back), "u": told.unit, "k": f"{told.hashed:016x}",
        "l": one.predict_ns // MICROSECOND / 1000, "e": int(one.failed), "n": one.rows,
    }  # fmt: skip
    if one.outputs is not None:
        _put_answer(line, one.outputs)
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _put_answer(line: dict[str, Any], outputs: Mapping[str, Array]) -> None:
    """Add the answer to one row: `y`, the first output that is no probability, and `q`, the probabilities."""
    for name, array in outputs.items():
        if name == PROBABILITIES:
            if array.size <= MOST_CLASSES:
                line["q"] = array.reshape(-1).tolist()
        elif "y" not in line and array.size == 1:
            value = array.item()
            if not isinstance(value, bytes) and not (isinstance(value, float) and not math.isfinite(value)):
                line["y"] = value
