"""What the requests of a rollout came to, counted by each worker for itself; nothing waits for a disk.

Counts are cumulative and by stratum: the step and the share that was in force, so that the seconds in
which workers still follow different generations land where they belong. Failures count under the arm
that was assigned, whoever answered in the end (intention to treat). Somebody with a key counts once: a
key that fails a thousand times in a step is one bad event, else one broken heavy client would roll back.
"""

import base64
import math
import os
import secrets
import socket
import threading
import weakref
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlapi.errors import ModelFailed, ModelNotReady
from mlapi.inference.values import Assignment, InferenceEvent
from mlapi.rollouts.document import CANDIDATE, CONTROL
from mlapi.rollouts.judgement import judged

MOST_KEYS = 20_000
"""Keys that one worker follows in a rollout; the first ones, so that what they do cannot decide who is counted."""

MOST_BAD_KEYS = 5_000
RATIO = 1.04
_LOG_RATIO = math.log(RATIO)
ARMS = frozenset({CONTROL, CANDIDATE})
BAD = ("errors", "invalid", "slow")

Stratum = tuple[int, int]
"""A step, and the candidate's share in millionths while it counted."""


@dataclass(slots=True)
class Arm:
    """The counts of one arm in one stratum.

    `requests` are all that were assigned, `alone` those without a key; `bad` counts failures of requests
    without a key, `bad_keys` the hashes of keys that failed at least once; `keys` those first seen here.
    `scores` are number, sum and sum of squares of the mean prediction of each request without a key and
    of the first request of each key; `latency` is a histogram of model times, bucket `b` ending at
    1.04^b nanoseconds.
    """

    requests: int = 0
    alone: int = 0
    fell_back: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    bad_keys: dict[str, set[int]] = field(default_factory=dict)
    keys: set[int] = field(default_factory=set)
    scores: list[float] = field(default_factory=lambda: [0, 0.0, 0.0])
    latency: Counter[int] = field(default_factory=Counter)

    def score(self, mean: float) -> None:
        """Take in the mean prediction of one unit."""
        self.scores[0] += 1
        self.scores[1] += mean
        self.scores[2] += mean * mean


@dataclass(slots=True)
class Tally:
    """All strata of one rollout, by arm; `seen` are the keys of the whole rollout."""

    strata: dict[Stratum, dict[str, Arm]] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    changes: int = 0

    def arms(self, step: int, ppm: int) -> dict[str, Arm]:
        """Return the counts of both arms in a stratum, made where there are none."""
        arms = self.strata.get((step, ppm))
        if arms is None:
            arms = self.strata[step, ppm] = {CONTROL: Arm(), CANDIDATE: Arm()}
        return arms


class Counters:
    """Counts the events of every rollout in this process; an observer of the data plane.

    A forked worker begins at zero, under a name of its own.
    """

    def __init__(self) -> None:
        self._limits: Mapping[str, float] = {}
        self.begin()
        _all.add(self)

    def begin(self) -> None:
        """Begin at zero, as another worker."""
        self._lock = threading.Lock()
        self._tallies: dict[str, Tally] = {}
        self.name = worker_name()

    def limit(self, slow_ms: Mapping[str, float]) -> None:
        """Take an answer as slow where the model took longer than these milliseconds, by rollout."""
        self._limits = {rollout: limit * 1e6 for rollout, limit in slow_ms.items()}

    def observe(self, event: InferenceEvent) -> None:
        """Count inferences that a rollout decided; those that pinned a variant belong to no arm."""
        assignments = event.assignments
        if not assignments or assignments[0].ppm <= 0:
            return
        first, took, answers = assignments[0], event.model_ns, judged(event)
        bucket, is_slow = _bucket(took), took > self._limits.get(first.rollout, math.inf)
        with self._lock:
            tally = self._tallies.get(first.rollout) or Tally()
            arms = tally.arms(first.step, first.ppm)
            for number, told in enumerate(assignments):
                arm = arms.get(told.arm)
                if arm is None:
                    continue
                score, invalid = answers[number]
                tally.changes += 1
                arm.requests += 1
                arm.latency[bucket] += 1
                if _is_new_unit(tally, arm, told) and score is not None:
                    arm.score(score)
                if invalid or is_slow or told.fell_back or event.error is not None:
                    arm.fell_back += told.fell_back
                    for kind in _bad(event.error, told, invalid=invalid, is_slow=is_slow):
                        _note_bad(arm, kind, told)
            if tally.changes:
                self._tallies[first.rollout] = tally

    def snapshot(self, rollout_id: str) -> dict[str, Any]:
        """Return the counts of a rollout as plain JSON, for `written` to read; `changes` tells whether any are new."""
        with self._lock:
            tally = self._tallies.get(rollout_id, Tally())
            rows = [[*stratum, name, _plain(arm)]
                    for stratum, arms in tally.strata.items() for name, arm in arms.items()]  # fmt: skip
            return {"changes": tally.changes, "strata": rows}

    def changes(self, rollout_id: str) -> int:
        """Return how many events of a rollout were counted here."""
        tally = self._tallies.get(rollout_id)
        return 0 if tally is None else tally.changes

    def sums(self, rollout_id: str) -> dict[str, list[int]]:
        """Return requests, those that fell back, errors, invalid and slow answers, by arm, over all strata."""
        with self._lock:
            strata = list(self._tallies.get(rollout_id, Tally()).strata.values())
            return {name: [sum(numbers) for numbers in zip(*(_sums(arms[name]) for arms in strata), strict=True)]
                    for name in (CONTROL, CANDIDATE) if strata}  # fmt: skip

    def forget(self, but: frozenset[str]) -> None:
        """Drop the counts of all rollouts but these."""
        with self._lock:
            self._tallies = {name: tally for name, tally in self._tallies.items() if name in but}


_all: weakref.WeakSet[Counters] = weakref.WeakSet()


def _begin_anew() -> None:
    for one in _all:
        one.begin()


os.register_at_fork(after_in_child=_begin_anew)  # to look at the process's number would cost each event


def merged(snapshots: list[dict[str, Any]]) -> Tally:
    """Return the sum of what the workers wrote.

    A key that several workers saw counts once: in the earliest step that any of them saw it in.
    """
    total = Tally()
    for snapshot in snapshots:
        for step, ppm, name, plain in snapshot["strata"]:
            _add(total.arms(step, ppm)[name], plain)
        total.changes += snapshot["changes"]
    for stratum in sorted(total.strata):
        for arm in total.strata[stratum].values():
            arm.keys -= total.seen
        for arm in total.strata[stratum].values():
            total.seen |= arm.keys
    return total


def _is_new_unit(tally: Tally, arm: Arm, assignment: Assignment) -> bool:
    if assignment.unit != "key":
        arm.alone += 1
        return True
    if assignment.hashed in tally.seen or len(tally.seen) >= MOST_KEYS:
        return False
    tally.seen.add(assignment.hashed)
    arm.keys.add(assignment.hashed)
    return True


def _note_bad(arm: Arm, kind: str, assignment: Assignment) -> None:
    arm.failed[kind] += 1
    if assignment.unit != "key":
        arm.bad[kind] += 1
        return
    keys = arm.bad_keys.setdefault(kind, set())
    if len(keys) < MOST_BAD_KEYS:
        keys.add(assignment.hashed)


def _bad(error: Exception | None, told: Assignment, *, invalid: bool, is_slow: bool) -> list[str]:
    failed = told.fell_back or isinstance(error, ModelFailed | ModelNotReady)
    tests = (failed, invalid and not told.fell_back, is_slow)
    return [kind for kind, is_bad in zip(BAD, tests, strict=True) if is_bad]


def _bucket(nanoseconds: int) -> int:
    return math.ceil(math.log(nanoseconds) / _LOG_RATIO) if nanoseconds > 1 else 0


def _sums(arm: Arm) -> list[int]:
    return [arm.requests, arm.fell_back, *(arm.failed[kind] for kind in BAD)]


def _plain(arm: Arm) -> dict[str, Any]:
    return {
        "requests": arm.requests, "alone": arm.alone, "fell_back": arm.fell_back, "failed": dict(arm.failed),
        "bad": dict(arm.bad), "bad_keys": {kind: _packed(keys) for kind, keys in arm.bad_keys.items()},
        "keys": _packed(arm.keys), "scores": arm.scores, "latency": list(arm.latency.items()),
    }  # fmt: skip


def _add(arm: Arm, plain: Mapping[str, Any]) -> None:
    arm.requests += plain["requests"]
    arm.alone += plain["alone"]
    arm.fell_back += plain["fell_back"]
    arm.failed.update(plain["failed"])
    arm.bad.update(plain["bad"])
    for kind, packed in plain["bad_keys"].items():
        arm.bad_keys.setdefault(kind, set()).update(_unpacked(packed))
    arm.keys.update(_unpacked(plain["keys"]))
    arm.scores = [a + b for a, b in zip(arm.scores, plain["scores"], strict=True)]
    arm.latency.update(dict(map(tuple, plain["latency"])))


def _packed(keys: set[int]) -> str:
    return base64.b64encode(np.fromiter(keys, dtype="<u8", count=len(keys)).tobytes()).decode()


def _unpacked(text: str) -> list[int]:
    unpacked: list[int] = np.frombuffer(base64.b64decode(text), dtype="<u8").tolist()
    return unpacked


def worker_name() -> str:
    """Return a name that no other process has: host, pid, and a random part, since pids are given again."""
    host = "".join(c if c.isalnum() else "-" for c in socket.gethostname())[:40]
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
