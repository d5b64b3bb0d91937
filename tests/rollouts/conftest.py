"""Rollouts without a registry, and with one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlapi.inference.values import Assignment, InferenceEvent, Target
from mlapi.registry.live import LiveRegistry
from mlapi.registry.store import Store
from mlapi.rollouts import transitions
from mlapi.rollouts.breaker import Breaker
from mlapi.rollouts.counters import Counters
from mlapi.rollouts.document import Rollout, Step
from mlapi.rollouts.follower import RolloutFollower
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.recall import Recall
from mlapi.rollouts.router import Router
from mlapi.rollouts.transitions import Reason

WHY = Reason("test", "because", "2026-11-24T00:00:00Z")


@pytest.fixture
def why() -> Reason:
    return WHY


@pytest.fixture
def running() -> Callable[..., Rollout]:
    """Return what starts a rollout of iris from 1 to 2 by shares in millionths."""

    def start(*shares: int, **plan: Any) -> Rollout:
        steps = tuple(Step(share) for share in shares or (10_000, 500_000))
        return transitions.start("iris", 1, (1, 2), Plan(steps=steps, **plan), WHY)

    return start


@pytest.fixture
def event() -> Callable[..., InferenceEvent]:
    """Return what makes an event of a rollout."""

    def make(arm: str = "candidate", unit: str = "request", hashed: int = 1, **changes: Any) -> InferenceEvent:
        given = {"rollout": "ro_test", "generation": 1, "step": 0, "ppm": 500_000, "served": arm, "fell_back": False}
        told = {name: changes.pop(name, value) for name, value in given.items()}
        assignment = Assignment(arm=arm, unit=unit, hashed=hashed, prediction_id=None, **told)
        whole = {"version": 2, "rows": 1, "input_ns": 1, "predict_ns": 2_000_000, "output_ns": 1, "outputs": None,
                 "error": None, **changes}  # fmt: skip
        return InferenceEvent(Target("iris"), assignments=(assignment,), **whole)

    return make


class Clock:
    """Both clocks of a process; they can be moved apart."""

    def __init__(self) -> None:
        self.monotonic, self.wall = 1000.0, 1_700_000_000.0

    def forward(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds


class Worker:
    """One worker process without its thread."""

    def __init__(self, registry: Path, clock: Clock, recall: Recall | None = None) -> None:
        self.generations, self.counters = Generations(Store(registry)), Counters()
        live = LiveRegistry(Store(registry))
        live.refresh()
        self.router = Router(live, monotonic=lambda: clock.monotonic)
        self.follower = RolloutFollower(
            self.generations, self.router, self.counters, lambda: clock.wall, lambda: clock.monotonic,
            recall=recall,
        )
        self.breaker = Breaker(self.follower.trip)

    def files(self, rollout: Rollout) -> list[dict[str, Any]]:
        folder = self.generations.folder(rollout.model, rollout.id) / "workers"
        return [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]


@pytest.fixture
def clock() -> Clock:
    return Clock()
