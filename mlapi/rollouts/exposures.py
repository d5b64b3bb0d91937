"""The exposure log: one line for every request that a rollout decided, for the ledger, for audits and replays.

A request costs its line, in a queue; a thread writes them five times a second. What a killed process loses is at
most a quarter of a second of them, the time of the writing included. A queue that is full, or a disk that is, drops
lines and counts them; it never holds a request up. The lines are made at once, not by the thread, and it writes few at
a time: thousands would keep the interpreter from the requests for longer than each of them does.
"""

import json
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from mlapi.errors import ModelFailed, ModelNotReady
from mlapi.inference.values import Array, InferenceEvent
from mlapi.registry import segments
from mlapi.registry.segments import Segments
from mlapi.rollouts.counters import ARMS, worker_name
from mlapi.rollouts.document import Rollout
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.judgement import NUMBERS, PROBABILITIES

EXPOSURES, OUTCOMES = "exposures", "outcomes"
KEPT_SECONDS = 30 * 86400.0
MOST_WAITING = 50_000
"""Lines of a rollout that wait to be written."""

AT_ONCE = 200
"""Lines that are written before the thread rests: some tens of microseconds' work."""

REST_SECONDS = 0.0005
"""A write lets go of the interpreter, but not of the processor, which the requests may have no other of."""

FLUSH_SECONDS = 0.2
MOST_CLASSES = 100
MICROSECOND, MILLISECOND = 1_000, 1_000_000
FAILURES = (ModelFailed, ModelNotReady)

log = logging.getLogger("mlapi.rollouts")


class ExposureLog:
    """Logs exposures; an observer of the data plane.

    `known` gives a rollout by its id, as this process last heard of it; `clock` gives nanoseconds since the epoch.
    """

    def __init__(
        self, generations: Generations, known: Callable[[str], Rollout | None],
        clock: Callable[[], int] = time.time_ns, *, on: bool = True,
    ) -> None:
        self._generations, self._known, self._clock, self._on = generations, known, clock, on
        self._waiting: dict[str, deque[str]] = {}
        self._segments: dict[str, Segments] = {}
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._ended = threading.Event()
        self._started_in: int | None = None
        self._failing: set[str] = set()
        self.dropped, self._told = 0, 0

    def observe(self, event: InferenceEvent) -> None:
        """Note inferences that a rollout decided; those that pinned a variant belong to no arm."""
        if not event.assignments or not self._on:
            return
        lines = lines_of(event, self._clock() // MILLISECOND)
        if not lines:
            return
        rollout_id = event.assignments[0].rollout
        waiting = self._waiting.get(rollout_id)
        if waiting is None:
            waiting = self._waiting.setdefault(rollout_id, deque())
        room = MOST_WAITING - len(waiting)
        if len(lines) > room:
            self.dropped += len(lines) - max(room, 0)
            del lines[max(room, 0) :]
        waiting.extend(lines)
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

    def write(self, rest: float = 0.0) -> None:
        """Write what waits, with a rest of so many seconds now and then.

        Lines that cannot be written are dropped, counted, and that is said in the log once.
        """
        with self._lock:
            for rollout_id, waiting in list(self._waiting.items()):
                if waiting:
                    self._append(rollout_id, waiting, rest)
            self._tell_dropped()

    def flush(self) -> None:
        """Write what waits and end the segments: when the process ends. What is left then is counted as dropped."""
        self.write()
        with self._lock:
            for waiting in self._waiting.values():
                self.dropped += len(waiting)
                waiting.clear()
            self._tell_dropped()
            for rollout_id, one in self._segments.items():
                try:
                    one.seal()
                except OSError as error:
                    log.warning("exposures may be lost", extra={"rollout": rollout_id, "error": str(error)})

    def _append(self, rollout_id: str, waiting: deque[str], rest: float) -> None:
        rollout = self._known(rollout_id)
        if rollout is None:
            self.dropped += len(self._waiting.pop(rollout_id))
            return
        if rollout_id not in self._segments:
            folder = self._generations.folder(rollout.model, rollout_id) / EXPOSURES
            self._segments[rollout_id] = Segments(folder, worker_name())
        left = len(waiting)
        while left:
            lines = [waiting.popleft() for _ in range(min(left, AT_ONCE))]
            left -= len(lines)
            try:
                self._segments[rollout_id].append("".join(lines).encode(), sync=not left)
                if not left:
                    self._failing.discard(rollout_id)
                elif rest:
                    time.sleep(rest)
            except OSError as error:  # what is left waits for the next time
                self.dropped += len(lines)
                self._wake.set()
                if rollout_id not in self._failing:  # once, not five times a second
                    log.warning("exposures cannot be written", extra={"rollout": rollout_id, "error": str(error)})
                self._failing.add(rollout_id)
                return

    def _tell_dropped(self) -> None:
        if self.dropped > 2 * self._told:  # when they have become twice as many, not five times a second
            self._told = self.dropped
            log.warning("exposures were dropped", extra={"dropped": self.dropped})

    def _keep_writing(self) -> None:
        while self._wake.wait() and not self._ended.wait(FLUSH_SECONDS):  # a process without a rollout never wakes
            self._wake.clear()
            try:
                self.write(REST_SECONDS)
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


def lines_of(event: InferenceEvent, at_ms: int) -> list[str]:
    """Return the lines of the exposures in an event, as docs/rollouts.md describes them.

    Put together by hand, at a third of what any encoder of JSON takes: nothing that it puts in needs an escape.
    """
    first, end = event.assignments[0], f',"n":{event.rows}'
    when = f',"t":{at_ms},"g":{first.generation},"s":{first.step},"w":{first.ppm},"a":"'
    took = event.model_ns // MICROSECOND / 1000
    failed, answers = event.error is not None and isinstance(event.error, FAILURES), _answers(event)
    lines = []
    for number, told in enumerate(event.assignments):
        if told.arm in ARMS:
            fell_back = "1" if told.fell_back else "0"
            lines.append(
                f'{{"p":{_quoted(told.prediction_id)}{when}{told.arm}","f":{fell_back},"u":"{told.unit}",'
                f'"k":"{told.hashed:016x}","l":{took},"e":{"1" if failed else fell_back}{end}{answers[number]}}}\n'
            )
    return lines


def _quoted(prediction_id: str | None) -> str:
    return "null" if prediction_id is None else f'"{prediction_id}"'


def _answers(event: InferenceEvent) -> Sequence[str]:
    """Return the answer to each request, as `_answer` writes it."""
    outputs = event.outputs
    if event.rows != 1 or outputs is None:
        return [""] * event.requests
    if event.requests == 1:
        return (_answer(outputs),)
    if all(array.dtype.kind in NUMBERS for array in outputs.values()):
        return _answers_together(outputs, event.requests)
    return [_answer(event.single(number).outputs or {}) for number in range(event.requests)]


def _answers_together(outputs: Mapping[str, Array], count: int) -> list[str]:
    """Return the answers to `count` rows, which are all numbers, written at once; what is not finite is null there."""
    values, probabilities = [""] * count, [""] * count
    for name, array in outputs.items():
        size = array.size // count
        if name == PROBABILITIES and size <= MOST_CLASSES:
            rows = _json(array.reshape(count, -1).tolist())[2:-2].split("],[")
            probabilities = [f',"q":[{row}]' for row in rows]
        elif name != PROBABILITIES and size == 1:
            written = _json(array.reshape(-1).tolist())[1:-1].split(",")
            found = ["" if one == "null" else f',"y":{one}' for one in written]
            values = [value or one for value, one in zip(values, found, strict=True)]
    return [value + chances for value, chances in zip(values, probabilities, strict=True)]


def _answer(outputs: Mapping[str, Array]) -> str:
    """Return the answer to one row: `y`, the first output that is no probability, and `q`, the probabilities."""
    value = probabilities = ""
    for name, array in outputs.items():
        if name == PROBABILITIES:
            if array.size <= MOST_CLASSES:
                probabilities = f',"q":{_json(array.reshape(-1).tolist())}'
        elif not value and array.size == 1:
            found = array.item()
            written = "null" if isinstance(found, bytes) else _json(found)
            if written != "null":  # as it is where it is not finite
                value = f',"y":{written}'
    return value + probabilities


def _json(value: Any) -> str:  # noqa: ANN401 (a number, a text, or a list of numbers)
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # half of a surrogate pair, which UTF-8 has no bytes for
        return json.dumps(value)
