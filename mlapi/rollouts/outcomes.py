"""Outcomes: what came of a prediction, told later under its id.

An outcome is on disk before it is acknowledged. Whether its id was given by a rollout here, and is young
enough, is read off the id itself; that it counts once, whoever tells it how often, is the ledger's matter.
"""

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import orjson

from mlapi.errors import InvalidRequest, RegistryError, RegistryGone, RolloutNotWritten
from mlapi.registry.segments import Segments
from mlapi.rollouts import prediction_id
from mlapi.rollouts.counters import worker_name
from mlapi.rollouts.document import LABELLED, Metric, Rollout
from mlapi.rollouts.exposures import OUTCOMES
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.losses import Label

REMEMBERED = 200_000
CONFLICT = "told before with another value: that one stands"
LOOK_SECONDS = 1.0
"""Ids of rollouts that are not known make us look for new ones, at most so often: anybody can make them up."""

log = logging.getLogger("mlapi.rollouts")

State = Literal["accepted", "duplicate", "late", "invalid"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one prediction: a value, or the label that would have been right, of the `metric` if it is named."""

    prediction_id: str
    value: float | None = None
    label: Label | None = None
    metric: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one outcome, and why where it does not count."""

    status: State
    why: str = ""


class Outcomes:
    """Takes outcomes in; `clock` gives seconds since the epoch."""

    def __init__(self, generations: Generations, clock: Callable[[], float] = time.time) -> None:
        self._generations, self._clock = generations, clock
        self._rollouts: dict[bytes, tuple[Rollout, bytes]] = {}
        self._looked = -math.inf
        self._seen: OrderedDict[str, Outcome] = OrderedDict()
        self._segments: dict[str, Segments] = {}
        self._lock = threading.Lock()

    def take(self, outcomes: Sequence[Outcome]) -> list[Receipt]:
        """Write down the outcomes that count and return a receipt for each, in order.

        Told again: a duplicate, which counts once; with another value it is written all the same, so that
        the conflict is seen. Raises RolloutNotWritten: then none of them was acknowledged, and all may be told again.
        """
        now_ms = round(self._clock() * 1000)
        with self._lock:
            receipts, fresh = [], dict[str, Outcome]()
            parts: dict[str, tuple[Rollout, list[Outcome]]] = {}
            for one in outcomes:
                receipt, rollout = self._judged(one, now_ms)
                before = self._seen.get(one.prediction_id) or fresh.get(one.prediction_id)
                if rollout is not None and before is not None:
                    receipt = Receipt("duplicate", "" if before == one else CONFLICT)
                if rollout is not None and before != one:
                    fresh.setdefault(one.prediction_id, one)
                    parts.setdefault(rollout.id, (rollout, []))[1].append(one)
                receipts.append(receipt)
            for rollout, told in parts.values():
                self._write(rollout, b"".join(_line(one, now_ms) for one in told))
                self._remember(told)
        return receipts

    def seal(self) -> None:
        """End the segments: when the process ends."""
        with self._lock:
            for one in self._segments.values():
                one.seal()

    def _judged(self, one: Outcome, now_ms: int) -> tuple[Receipt, Rollout | None]:
        """Return the receipt of an outcome as far as it stands for itself; the rollout where it is to be written."""
        try:
            rollout, secret = self._rollout(prediction_id.rollout_tag(one.prediction_id))
            said = prediction_id.read(one.prediction_id, rollout.id, secret)
        except InvalidRequest as error:
            return Receipt("invalid", str(error)), None
        if rollout.metric is None:
            return Receipt("invalid", f"rollout '{rollout.id}' has no metric"), None
        fault = "a pinned request belongs to no variant" if said.arm == "pinned" else _fault(rollout.metric, one)
        if fault:
            return Receipt("invalid", fault), None
        if now_ms - said.at_ms > rollout.metric.window_s * 1000:
            return Receipt("late", f"the window is {rollout.metric.window_s:g} seconds from the prediction"), None
        return Receipt("accepted"), rollout

    def _rollout(self, tag: bytes) -> tuple[Rollout, bytes]:
        if tag not in self._rollouts and self._clock() - self._looked > LOOK_SECONDS:
            for model in self._generations.store.folders():
                self._learn(model)
            self._generations.store.head()  # raises where the disk went meanwhile: then nothing is known of the id
            self._looked = self._clock()
        if tag not in self._rollouts:
            raise InvalidRequest(["the prediction id was given by no rollout of this registry"])
        return self._rollouts[tag]

    def _learn(self, model: str) -> None:
        try:
            for rollout in self._generations.all(model):
                secret = self._generations.secret(rollout)
                if secret is not None:
                    self._rollouts[prediction_id.tag_of(rollout.id)] = rollout, secret
        except RegistryGone:
            raise
        except (OSError, RegistryError) as error:  # one that is damaged must not cost the others their outcomes
            log.warning("a rollout cannot be read", extra={"model": model, "error": str(error)})

    def _write(self, rollout: Rollout, lines: bytes) -> None:
        try:
            self._segment(rollout).append(lines)
        except OSError as error:
            self._segments.pop(rollout.id, None)
            raise RolloutNotWritten(f"taking in outcomes of rollout '{rollout.id}'", error) from error

    def _segment(self, rollout: Rollout) -> Segments:
        if rollout.id not in self._segments:
            folder = self._generations.folder(rollout.model, rollout.id) / OUTCOMES
            self._segments[rollout.id] = Segments(folder, worker_name())
        return self._segments[rollout.id]

    def _remember(self, told: Sequence[Outcome]) -> None:
        for one in told:
            self._seen.setdefault(one.prediction_id, one)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)


def _line(one: Outcome, now_ms: int) -> bytes:
    row = {"p": one.prediction_id, "t": now_ms, "v": one.value, "l": one.label}
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def _fault(metric: Metric, one: Outcome) -> str:
    """Return what is wrong with an outcome of a metric; empty for nothing."""
    if one.metric not in {None, metric.name}:
        return f"the metric of the rollout is {metric.name}"
    if metric.kind in LABELLED:
        if one.label is None or one.value is not None:
            return f"{metric.name} ({metric.kind}) takes a label"
        if metric.kind == "squared_error" and isinstance(one.label, str | bool):
            return f"{metric.name} (squared_error) takes a label that is a number"
        return ""
    if one.value is None or one.label is not None:
        return f"{metric.name} ({metric.kind}) takes a value"
    odd = metric.kind == "binary" and one.value not in {0, 1}
    return f"{metric.name} (binary) takes a value of 0 or 1" if odd else ""
