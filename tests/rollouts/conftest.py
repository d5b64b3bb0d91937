"""Rollouts without a registry, and with one."""

from collections.abc import Callable
from typing import Any

import pytest

from mlapi.inference.values import Assignment, InferenceEvent, Target
from mlapi.rollouts import transitions
from mlapi.rollouts.document import Rollout, Step
from mlapi.rollouts.transitions import Plan, Reason

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
        return InferenceEvent(Target("iris"), assignment=assignment, **whole)

    return make
