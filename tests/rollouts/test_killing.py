"""A process that changes a rollout is killed at each of its changing system calls: nothing torn, nothing lost."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlapi.registry.store import Store
from mlapi.rollouts import transitions
from mlapi.rollouts.document import Rollout, Step
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.transitions import Reason
from tests.reliability.calls import Call
from tests.reliability.model import NAME
from tests.reliability.operations import Operation, unlabelled
from tests.reliability.workshop import attempt, copy, set_up

pytestmark = pytest.mark.reliability

WHY = Reason("test", "because", "2026-11-24T00:00:00Z")


def begin(registry: Path) -> Rollout:
    plan = Plan(steps=(Step(10_000), Step(500_000)))
    return Generations(Store(registry)).begin(
        NAME, lambda serial: transitions.start(NAME, serial, (1, 2), plan, WHY), bytes(32),
    )


def begun(registry: Path) -> None:
    unlabelled(registry)
    begin(registry)


def advance(registry: Path) -> Rollout:
    generations = Generations(Store(registry))
    return generations.change(generations.all(NAME)[-1], lambda now: transitions.advance(now, WHY))


@pytest.mark.parametrize(("operation", "before", "after"), [
    (Operation("begin", unlabelled, begin), [], ["running:0"]),
    (Operation("advance", begun, advance), ["running:0"], ["running:1"]),
])  # fmt: skip
def test_a_kill_leaves_the_rollout_before_the_change_or_after_it(
    operation: Operation, before: list[str], after: list[str], tmp_path: Path,
) -> None:
    bench = set_up(operation, tmp_path / "bench")
    assert bench.calls
    for call in bench.calls:
        for moment in ("before", "after"):
            registry = copy(bench.prepared, tmp_path / "victim")
            assert attempt(bench, registry, killing(call.index, moment)).signal == signal.SIGKILL
            generations = Generations(Store(registry))
            found = [one.place for one in generations.all(NAME)]
            assert found in (before, after)
            if not found:
                begin(registry)
            assert advance(registry).place in {"running:1", "promoted"}


def killing(index: int, moment: str) -> Callable[[Call, Callable[..., Any]], object]:
    def around(call: Call, make: Callable[..., Any]) -> object:
        if call.index != index:
            return make()
        if moment == "after":
            make()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    return around
