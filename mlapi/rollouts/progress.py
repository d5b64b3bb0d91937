"""How a rollout stands: who follows it, what each arm was asked, and what came of it."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlapi.rollouts import decision, trace
from mlapi.rollouts.counters import RATIO, Arm, merged
from mlapi.rollouts.decision import Elapsed, Evidence
from mlapi.rollouts.document import CANDIDATE, CONTROL, RUNNING, Rollout
from mlapi.rollouts.generations import WORKERS, Generations
from mlapi.rollouts.moments import milliseconds
from mlapi.rollouts.trace import Point

FRESH_SECONDS = 10.0
HEARD_SECONDS = 3.0
"""After these every worker has heard of a rollout: two seconds, and the one by which a moment may be cut."""

WATCHED = "watched.json"
P95 = 0.95


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker process as it was last heard of: `lag` is how many generations it is behind."""

    name: str
    generation: int
    lag: int
    seconds_ago: float
    stale: bool


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """What one arm came to over all steps; `p95_ms` is milliseconds of model time, None before any request."""

    requests: int
    keys: int
    fell_back: int
    errors: int
    invalid: int
    slow: int
    mean_score: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """A rollout with its workers and counts; `converged` when every living worker follows the newest generation.

    Who has not heard of the rollout at all is no worker of it yet; so that is not said in its first seconds.

    `waiting_for` is what the step still waits for, empty where it waits for nothing; `trace` is how it went.
    """

    rollout: Rollout
    workers: tuple[Worker, ...]
    converged: bool
    arms: dict[str, ArmCounts]
    evidence: Evidence
    waiting_for: str
    trace: tuple[Point, ...] = ()

    @property
    def effect(self) -> Mapping[str, float]:
        """Return how the metric stood at the controller's last look, by name; empty without one."""
        return self.trace[-1].effect if self.trace else {}


def of(generations: Generations, rollout: Rollout, clock: Callable[[], float] = time.time) -> Progress:
    """Return how a rollout stands; `clock` gives seconds since the epoch, to tell the living from the dead."""
    reports = read_workers(generations, rollout)
    now = clock()
    living = [report for report in reports if abs(now - report["at"]) < FRESH_SECONDS]
    workers = tuple(
        Worker(
            one["name"], one["generation"], rollout.generation - one["generation"], round(now - one["at"], 1),
            one["stale"],
        )
        for one in living
    )
    tally = merged(reports)
    arms = {name: _counts([arms[name] for arms in tally.strata.values()]) for name in (CONTROL, CANDIDATE)}
    running = rollout.state == RUNNING
    points = trace.read(generations.folder(rollout.model, rollout.id))
    return Progress(
        rollout, workers, _converged(rollout, workers, now), arms,
        decision.weigh(rollout, tally, len(reports)),
        decision.waiting_for(rollout, tally, watched(generations, rollout)) if running else "", points,
    )


def _converged(rollout: Rollout, workers: tuple[Worker, ...], now: float) -> bool:
    heard = abs(now - milliseconds(rollout.history[0].at) / 1000) >= HEARD_SECONDS
    return heard and bool(workers) and all(one.lag == 0 for one in workers)


def watched(generations: Generations, rollout: Rollout) -> Elapsed:
    """Return how long the controllers have watched a rollout, this step of it and all; zeros where none has."""
    try:
        known = json.loads((generations.folder(rollout.model, rollout.id) / WATCHED).read_bytes())
    except (OSError, ValueError):
        return Elapsed()
    return Elapsed(known["step_s"] if known["step"] == rollout.step else 0.0, known["total_s"])


def read_workers(generations: Generations, rollout: Rollout) -> list[dict[str, Any]]:
    """Return what each worker last wrote about a rollout, dead ones included; what cannot be read is left out."""
    found = []
    for path in sorted((generations.folder(rollout.model, rollout.id) / WORKERS).glob("[!.]*.json")):
        try:
            found.append(json.loads(path.read_bytes()))
        except (OSError, ValueError):
            continue
    return found


def _counts(arms: list[Arm]) -> ArmCounts:
    failed = {kind: sum(arm.failed[kind] for arm in arms) for kind in ("errors", "invalid", "slow")}
    number, total = sum(arm.scores[0] for arm in arms), sum(arm.scores[1] for arm in arms)
    return ArmCounts(
        sum(arm.requests for arm in arms), sum(len(arm.keys) for arm in arms), sum(arm.fell_back for arm in arms),
        failed["errors"], failed["invalid"], failed["slow"], total / number if number else None, _p95(arms),
    )  # fmt: skip


def _p95(arms: list[Arm]) -> float | None:
    buckets: dict[int, int] = {}
    for arm in arms:
        for bucket, count in arm.latency.items():
            buckets[bucket] = buckets.get(bucket, 0) + count
    wanted, seen = P95 * sum(buckets.values()), 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= wanted:
            return round(RATIO**bucket / 1e6, 4)
    return None
