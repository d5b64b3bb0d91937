"""R3: power is lost after any step of an operation; every folder that may be found then is made and checked."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlapi.registry.store import Store
from mlapi.registry.upkeep import collect_garbage
from tests.reliability.figure import Figure
from tests.reliability.model import publish_line
from tests.reliability.operations import OPERATIONS, Operation
from tests.reliability.state import Promise, State, breaches
from tests.reliability.trace import Event, record
from tests.reliability.tree import Frozen, Tree, frozen, read_tree, write_tree
from tests.reliability.volume import EXHAUSTIVE, Semantics, losses
from tests.reliability.workshop import Bench, copy, set_up

KINDS = ("crash points", "states", "distinct folders", "violations")
BOTH: tuple[Semantics, ...] = ("strict", "ordered")
SAMPLE = 64
QUICK = tuple(operation for operation in OPERATIONS if operation.name in {"publish", "label move", "delete"})
SYNCS: dict[str, Callable[[Event], bool]] = {
    "of a file": lambda event: not event.folder,
    "of the staged folder": lambda event: event.folder and event.path.name.startswith(".tmp-"),
    "of the folder above": lambda event: event.folder and not event.path.name.startswith(".tmp-"),
}


class Judge:
    """Makes folders that may be found after a power loss, and checks each distinct one once."""

    def __init__(self, folder: Path) -> None:
        self.counts = Counter(dict.fromkeys(KINDS, 0))
        self._folder = folder
        self._known: dict[tuple[Frozen, Promise], tuple[str, ...]] = {}

    def faults(self, tree: Tree, promise: Promise) -> tuple[str, ...]:
        """Return what the registry in `tree` breaks of a promise."""
        self.counts["states"] += 1
        key = frozen(tree), promise
        if key not in self._known:
            self.counts["distinct folders"] += 1
            shutil.rmtree(self._folder, ignore_errors=True)
            write_tree(tree, self._folder)
            self._known[key] = tuple(breaches(self._folder / "registry", promise))
            self.counts["violations"] += bool(self._known[key])
        return self._known[key]


@dataclass(frozen=True, slots=True)
class Course:
    """What is done to a disk, and what its registry may say until the end, and after it.

    Power is lost after each event from `first` on, and at most `limit` outcomes of each loss are looked at.
    """

    base: Tree
    events: Sequence[Event]
    pending: Promise
    kept: Promise
    first: int = 0
    limit: int = EXHAUSTIVE


def sweep(folder: Path, *, quick: bool) -> Figure:
    """Lose power in every operation, and in one that follows another that was killed; quick: fewer of these."""
    judge = Judge(folder / "found")
    faults: list[str] = []
    for operation in QUICK if quick else OPERATIONS:
        course = _course(set_up(operation, folder / operation.name.replace(" ", "-")))
        for semantics in BOTH:
            faults += (f"{operation.name}, {semantics}: {fault}" for fault in _lose(judge, course, semantics))
    for first, second in PAIRS:
        faults += _after_kill(judge, folder / "pairs" / first.replace(" ", "-"), first, second, 8 if quick else 1)
    return Figure("R3", "power loss", dict(judge.counts), tuple(dict.fromkeys(faults)))


def mutations(folder: Path, *, quick: bool) -> Figure:  # noqa: ARG001 (all sweeps are called alike)
    """Leave each kind of sync out of the trace: a model that then finds no violation would prove nothing."""
    missed, caught = [], 0
    for name, kinds in (("publish", list(SYNCS)), ("label move", ["of a file", "of the folder above"])):
        course = _course(set_up(_operation(name), folder / name.replace(" ", "-")))
        for kind in kinds:
            fewer = [event for event in course.events if event.name != "fsync" or not SYNCS[kind](event)]
            violations = _lose(Judge(folder / "found"), replace(course, events=fewer), "strict")
            if len(fewer) < len(course.events) and next(violations, None):
                caught += 1
            else:
                missed.append(f"{name} without the sync {kind}: not caught")
    return Figure("R3", "test of the test", {"removed syncs caught": caught, "missed": len(missed)}, tuple(missed))


PAIRS: tuple[tuple[str, Callable[[Path], object]], ...] = (
    ("first publish", publish_line),
    ("publish", publish_line),
    ("label move", publish_line),
    ("delete", lambda registry: collect_garbage(Store(registry), 0.0)),
)


def _operation(name: str) -> Operation:
    return next(operation for operation in OPERATIONS if operation.name == name)


def _course(bench: Bench) -> Course:
    registry = copy(bench.prepared, bench.prepared.parent / "rehearsal")
    events = record(registry.parent, lambda: bench.operation.act(registry))
    return Course(read_tree(bench.prepared), events, bench.pending, bench.kept)


def _lose(judge: Judge, course: Course, semantics: Semantics) -> Iterator[str]:
    """Lose power after each event; the operation is acknowledged after the last."""
    for count in range(course.first, len(course.events) + 1):
        judge.counts["crash points"] += 1
        promise = course.kept if count == len(course.events) else course.pending
        for tree in losses(course.base, course.events[:count], semantics, course.limit):
            found = judge.faults(tree, promise)
            yield from (f"after step {count} of {len(course.events)}: {fault}" for fault in found)


def _after_kill(
    judge: Judge, folder: Path, name: str, following: Callable[[Path], object], step: int,
) -> Iterator[str]:
    """Kill an operation before each call, let another process do the following one, and lose power in it."""
    bench = set_up(_operation(name), folder)
    for stop in range(0, len(bench.calls), step):
        course = _following(bench, folder / "rehearsal", stop, following)
        for semantics in BOTH:
            for fault in _lose(judge, course, semantics):
                yield f"{name} killed before call {stop}, then another, {semantics}: {fault}"


def _following(bench: Bench, folder: Path, stop: int, following: Callable[[Path], object]) -> Course:
    registry = copy(bench.prepared, folder)
    events = record(folder, lambda: bench.operation.act(registry), stop)
    killed = State.of(registry)
    more = record(folder, lambda: following(registry))
    after = State.of(registry)
    pending = Promise.between([bench.before, bench.after, killed, after])
    acknowledged = State(after.live & (bench.before.live | (after.live - killed.live)), bench.before.labels)
    kept = Promise.between([after, acknowledged])
    return Course(read_tree(bench.prepared), [*events, *more], pending, kept, len(events), SAMPLE)
