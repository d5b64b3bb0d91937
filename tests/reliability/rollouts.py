"""R1: a process that begins or advances a rollout is killed at each of its changing system calls."""

import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlapi.errors import MlapiError
from mlapi.registry.store import Store
from mlapi.rollouts import transitions
from mlapi.rollouts.document import Rollout, Step
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.transitions import Reason
from tests.reliability.figure import Figure
from tests.reliability.killing import killing, points
from tests.reliability.model import NAME
from tests.reliability.operations import Operation, unlabelled
from tests.reliability.workshop import Bench, attempt, copy, set_up

WHY = Reason("test", "because", "2026-11-24T00:00:00Z")
KINDS = ("injection points", "torn", "acknowledged lost", "later changes failed")


@dataclass(frozen=True, slots=True)
class Change:
    """An operation with the places of the rollouts before it and after it."""

    operation: Operation
    before: list[str]
    after: list[str]


def sweep(folder: Path, *, quick: bool) -> Figure:  # noqa: ARG001 (there are few points: none is left out)
    """Kill each change before, within and after every changing call."""
    counts = Counter(dict.fromkeys(KINDS, 0))
    faults = []
    for change in CHANGES:
        bench = set_up(change.operation, folder / change.operation.name)
        if not bench.calls:
            faults.append(f"{change.operation.name} changes nothing")
        for index, moment in points(bench, quick=False):
            counts["injection points"] += 1
            for kind, fault in _survive(change, bench, copy(bench.prepared, folder / "victim"), index, moment):
                counts[kind] += 1
                faults.append(f"{change.operation.name}, killed {moment} call {index}: {fault}")
    return Figure("R1", "kill -9 of rollouts", dict(counts), tuple(faults))


def _survive(change: Change, bench: Bench, registry: Path, index: int, moment: str) -> Iterator[tuple[str, str]]:
    outcome = attempt(bench, registry, killing(index, moment))
    acknowledged = moment == "acknowledged"
    if acknowledged != outcome.finished or (not acknowledged and outcome.signal != signal.SIGKILL):
        yield "torn", f"the injection missed: {outcome}"
        return
    try:
        found = [one.place for one in Generations(Store(registry)).all(NAME)]
    except MlapiError as error:
        yield "torn", str(error)
        return
    if found not in ([change.after] if acknowledged else [change.before, change.after]):
        yield "acknowledged lost" if acknowledged else "torn", str(found)
    yield from _troubles(registry, begun=bool(found))


def _troubles(registry: Path, *, begun: bool) -> Iterator[tuple[str, str]]:
    try:
        if not begun:
            _begin(registry)
        place = _advance(registry).place
    except MlapiError as error:
        yield "later changes failed", str(error)
        return
    if place not in {"running:1", "promoted"}:
        yield "later changes failed", place


def _begun(registry: Path) -> None:
    unlabelled(registry)
    _begin(registry)


def _begin(registry: Path) -> Rollout:
    plan = Plan(steps=(Step(10_000), Step(500_000)))
    return Generations(Store(registry)).begin(
        NAME, lambda serial: transitions.start(NAME, serial, (1, 2), plan, WHY), bytes(32),
    )


def _advance(registry: Path) -> Rollout:
    generations = Generations(Store(registry))
    return generations.change(generations.all(NAME)[-1], lambda now: transitions.advance(now, WHY))


CHANGES = (
    Change(Operation("begin", unlabelled, _begin), [], ["running:0"]),
    Change(Operation("advance", _begun, _advance), ["running:0"], ["running:1"]),
)
