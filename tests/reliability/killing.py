"""R1: a process that changes the registry is killed at each of its changing system calls."""

import contextlib
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.reliability.calls import Around, Call
from tests.reliability.figure import Figure
from tests.reliability.operations import OPERATIONS
from tests.reliability.recovery import troubles
from tests.reliability.state import breaches
from tests.reliability.workshop import Bench, attempt, copy, set_up

MOMENTS = ("before", "halfway", "after")
KINDS = ("injection points", "torn", "acknowledged lost", "later publishes failed", "left behind")


def sweep(folder: Path, *, quick: bool) -> Figure:
    """Kill each operation before, within and after every changing call; quick: every third call."""
    counts = Counter(dict.fromkeys(KINDS, 0))
    faults = []
    for operation in OPERATIONS:
        bench = set_up(operation, folder / operation.name.replace(" ", "-"))
        for index, moment in points(bench, quick=quick):
            counts["injection points"] += 1
            for kind, fault in _survive(bench, folder / "victim", index, moment):
                counts[kind] += 1
                faults.append(f"{operation.name}, killed {moment} call {index}: {fault}")
    return Figure("R1", "kill -9", dict(counts), tuple(faults))


def points(bench: Bench, *, quick: bool) -> Iterator[tuple[int, str]]:
    """Yield where to kill: a call and a moment; last none, for the operation that is acknowledged."""
    for call in bench.calls[:: 3 if quick else 1]:
        for moment in MOMENTS:
            if moment != "halfway" or call.name == "write":
                yield call.index, moment
    yield len(bench.calls), "acknowledged"


def killing(index: int, moment: str) -> Around:
    """Return what makes all calls until one, and kills this process before, within or after that."""

    def around(call: Call, make: Callable[..., Any]) -> object:
        if call.index != index:
            return make()
        if moment == "halfway":
            make(call.args[0], call.args[1][: len(call.args[1]) // 2])
        elif moment == "after":
            with contextlib.suppress(OSError):  # a rename onto a taken number fails, then we die
                make()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    return around


def _survive(bench: Bench, folder: Path, index: int, moment: str) -> Iterator[tuple[str, str]]:
    registry = copy(bench.prepared, folder)
    outcome = attempt(bench, registry, killing(index, moment))
    acknowledged = moment == "acknowledged"
    if acknowledged != outcome.finished or (not acknowledged and outcome.signal != signal.SIGKILL):
        yield "torn", f"the injection missed: {outcome}"
        return
    for fault in breaches(registry, bench.kept if acknowledged else bench.pending):
        yield "acknowledged lost" if fault.startswith("lost") else "torn", fault
    yield from troubles(registry, bench.before.taken)
