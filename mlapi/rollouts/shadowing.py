"""Shadows: copies of requests that a candidate is asked after the answer, so that it answers nobody.

The request costs a hash and a place in a bounded queue. One thread a process asks the candidate and rests
in between, so that it keeps to its share of a processor; a candidate that hangs stops that thread and
nothing else. Whatever it raises is written down beside the control's answer.
"""

import contextlib
import logging
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlapi.errors import MlapiError
from mlapi.inference.conform import conform
from mlapi.inference.values import Array, Assignment, InferenceEvent, Target, Tensors
from mlapi.registry.lines import Lines
from mlapi.registry.live import LiveRegistry
from mlapi.registry.loading import LoadedModel
from mlapi.rollouts.buckets import Hasher, bucket
from mlapi.rollouts.document import CONTROL, RUNNING, Rollout
from mlapi.rollouts.judgement import PROBABILITIES

PAIRS = "pairs"
MOST_WAITING = 1000
MOST_VALUES = 10_000
"""Values of the inputs or of an answer beyond which a request is no pair, so that the queue stays small."""

LONGEST_ERROR = 300
SALT_CHARACTERS = 56  # with the purpose 64 bytes at most, which is what a key of BLAKE2b may have

log = logging.getLogger("mlapi.rollouts")


class _Copy(NamedTuple):
    """What the thread needs of a request."""

    rollout: Rollout
    assignment: Assignment
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    control_ns: int
    at_ns: int


class Shadower:
    """Asks shadows; an observer of the data plane.

    `known` gives a rollout as this process last heard of it, `folder` its folder. With `inputs` the pairs
    carry what was asked. `wall` gives nanoseconds since the epoch, `busy` seconds of processor time of a thread.
    """

    def __init__(  # noqa: PLR0913 (what it is built of)
        self, live: LiveRegistry, known: Callable[[str], Rollout | None], folder: Callable[[str, str], Path],
        lines: Lines, *, inputs: bool = False, wall: Callable[[], int] = time.time_ns,
        busy: Callable[[], float] = time.thread_time,
    ) -> None:
        self._live, self._known, self._folder, self._lines = live, known, folder, lines
        self._inputs, self._wall, self._busy = inputs, wall, busy
        self._queue: queue.Queue[_Copy | None] = queue.Queue(MOST_WAITING)
        self._hashers: dict[str, Hasher] = {}
        self._started_in = 0
        self._ended = threading.Event()

    def start(self) -> None:
        """Ask in a thread; once a process, after the fork."""
        if self._started_in != os.getpid():
            self._started_in = os.getpid()
            threading.Thread(target=self._follow, name="mlapi-shadow", daemon=True).start()

    def stop(self) -> None:
        """Ask no more; a thread in which a candidate hangs stays with it until the process ends."""
        self._ended.set()
        with contextlib.suppress(queue.Full):  # then it does not sleep, and looks after each copy
            self._queue.put_nowait(None)

    def observe(self, event: InferenceEvent) -> None:
        """Queue copies of the answered requests that the shadow of their rollout draws; drop what finds no room."""
        if not event.assignments or event.inputs is None or event.outputs is None or event.error is not None:
            return
        rollout = self._known(event.assignments[0].rollout)
        if rollout is None or rollout.shadow is None or rollout.state != RUNNING:
            return
        for number, assignment in enumerate(event.assignments):
            if self._draws(rollout, rollout.shadow.ppm, assignment):
                self._copy(rollout, assignment, event.single(number))

    def _copy(self, rollout: Rollout, assignment: Assignment, event: InferenceEvent) -> None:
        inputs, outputs = event.inputs or {}, event.outputs or {}
        if not self._queued(_Copy(rollout, assignment, inputs, outputs, event.model_ns, self._wall())):
            self._lines.lose(self._pairs(rollout))

    def ask_next(self, timeout: float | None = None) -> float:
        """Ask the candidate the next copy and queue the pair; return the seconds to rest then. Raises queue.Empty."""
        copy = self._queue.get(timeout=timeout)
        if copy is None:
            raise queue.Empty
        began, shadow = self._busy(), copy.rollout.shadow
        self._lines.add(self._pairs(copy.rollout), self._pair(copy))
        share = 1.0 if shadow is None else shadow.core_share
        return (self._busy() - began) * (1 / share - 1)

    def _draws(self, rollout: Rollout, ppm: int, assignment: Assignment) -> bool:
        if assignment.arm != CONTROL:
            return False
        hasher = self._hashers.get(rollout.id)
        if hasher is None:  # a draw of its own: who is in the shadow must not depend on who gets the candidate later
            hasher = self._hashers[rollout.id] = Hasher(f"{rollout.salt[:SALT_CHARACTERS]}:shadow")
        return bucket(hasher.hash(assignment.hashed.to_bytes(8, "big"))) < ppm

    def _queued(self, copy: _Copy) -> bool:
        if max(_size(copy.inputs), _size(copy.outputs)) > MOST_VALUES:
            return False
        try:
            self._queue.put_nowait(copy)
        except queue.Full:
            return False
        return True

    def _pairs(self, rollout: Rollout) -> Path:
        return self._folder(rollout.model, rollout.id) / PAIRS

    def _pair(self, copy: _Copy) -> dict[str, Any]:
        began = time.perf_counter_ns()
        answer, fault = self._answer(copy)
        took = time.perf_counter_ns() - began
        name = next(iter(copy.outputs))
        segments = () if copy.rollout.shadow is None else copy.rollout.shadow.segments
        pair: dict[str, Any] = {
            "p": copy.assignment.prediction_id, "t": copy.at_ns // 1_000_000, "c": plain(copy.outputs[name]),
            "d": None if answer is None else plain(answer[name]), "qc": _chance(copy.outputs), "qd": _chance(answer),
            "lc": copy.control_ns / 1e6, "ld": took / 1e6, "e": fault,
            "g": {each: str(plain(copy.inputs[each][:1])[0]) for each in segments if each in copy.inputs},
        }  # fmt: skip
        if self._inputs:
            pair["x"] = {each: plain(array) for each, array in copy.inputs.items()}
        return pair

    def _answer(self, copy: _Copy) -> tuple[dict[str, Array] | None, str | None]:
        try:
            loaded = self._live.get(Target(copy.rollout.model, copy.rollout.candidate))
            return _asked(loaded, copy), None
        except MlapiError as error:
            return None, f"{type(error).__name__}: {error}"[:LONGEST_ERROR]
        except Exception as error:  # the code of the model: noted, never anybody's answer
            log.debug("a shadow failed", exc_info=True)
            return None, f"{type(error).__name__}: {error}"[:LONGEST_ERROR]

    def _follow(self) -> None:
        while not self._ended.is_set():
            try:
                self._ended.wait(self.ask_next())
            except queue.Empty:  # it was stopped
                continue
            except Exception:
                log.exception("a pair of a shadow was lost")


def _asked(loaded: LoadedModel, copy: _Copy) -> dict[str, Array]:
    wanted = loaded.outputs(tuple(copy.outputs))
    return dict(loaded.predict(conform(Tensors(dict(copy.inputs)), loaded.signature), wanted))


def plain(array: Array) -> list[Any]:
    """Return the values of an array in one list, row by row; numbers that are none, and infinite ones, as None."""
    values = np.asarray(array).reshape(-1).tolist()
    return [_plain(value) for value in values]


def _plain(value: Any) -> Any:  # noqa: ANN401 (a number, a text or bytes)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _chance(outputs: Mapping[str, Array] | None) -> float | None:
    """Return the probability of the last class, of an answer of one row that has probabilities."""
    array = None if outputs is None else outputs.get(PROBABILITIES)
    return None if array is None or len(array) != 1 else plain(array)[-1]


def _size(arrays: Mapping[str, Array]) -> int:
    return sum(array.size for array in arrays.values())
