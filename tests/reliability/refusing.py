"""R2: the operating system refuses a changing call, or all from one on: disk full or broken, quota, descriptors."""

import ctypes
import errno
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mlapi.errors import StorageFailed
from tests.reliability.calls import Around, Call
from tests.reliability.child import Outcome
from tests.reliability.figure import Figure
from tests.reliability.model import publish_line
from tests.reliability.operations import OPERATIONS
from tests.reliability.recovery import troubles
from tests.reliability.state import Promise, State, breaches
from tests.reliability.workshop import Bench, attempt, copy, set_up

REFUSALS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EMFILE, errno.EINTR)
LASTING = (errno.ENOSPC, errno.EIO)
KINDS = ("refusals", "torn", "acknowledged lost", "badly reported", "later publishes failed", "left behind")
PAGE = 4096
_FREEING = {"unlink", "rmdir", "chmod", "fchmod"}


def sweep(folder: Path, *, quick: bool) -> Figure:
    """Refuse each changing call of each operation, once and for good; quick: one error every third call."""
    counts = Counter(dict.fromkeys(KINDS, 0))
    faults = []
    for operation in OPERATIONS:
        bench = set_up(operation, folder / operation.name.replace(" ", "-"))
        for index, kind, around in _refusals(bench, quick=quick):
            counts["refusals"] += 1
            for what, fault in _suffer(bench, folder / "victim", kind, around):
                counts[what] += 1
                faults.append(f"{operation.name}, {kind} at call {index}: {fault}")
    return Figure("R2", "refused calls", dict(counts), tuple(faults))


def full_disk(folder: Path, *, quick: bool) -> Figure:
    """Publish onto a small file system of its own with 0, 1, 2, ... free pages, until there is room."""
    counts: Counter[str] = Counter({"publishes refused": 0, "published": 0, "torn": 0})
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, b"size=2m") != 0:
        reason = os.strerror(ctypes.get_errno())
        return Figure("R2", "full disk", dict(counts), note=f"skipped: no mount here, {reason}")
    try:
        faults = list(_fill(folder / "registry", counts, 4 if quick else 1))
    finally:
        libc.umount(os.fsencode(folder))
    return Figure("R2", "full disk", dict(counts), tuple(faults))


def _refusals(bench: Bench, *, quick: bool) -> Iterator[tuple[int, str, Around]]:
    turns = itertools.cycle(REFUSALS)
    for call in bench.calls[:: 3 if quick else 1]:
        for number in [next(turns)] if quick else REFUSALS:
            yield call.index, errno.errorcode[number], refuse(call.index, number)
        for number in () if quick else LASTING:
            yield call.index, f"lasting {errno.errorcode[number]}", refuse(call.index, number, lasting=True)
        if call.name == "write":
            yield call.index, "short write", _shortened(call.index)


def refuse(index: int, number: int, *, lasting: bool = False) -> Around:
    """Make call `index` fail with an errno; with `lasting`, all later ones too that do not free space."""

    def around(call: Call, make: Callable[..., Any]) -> object:
        if call.index == index or (lasting and call.index > index and call.name not in _FREEING):
            raise OSError(number, os.strerror(number), str(call.path))
        return make()

    return around


def _shortened(index: int) -> Around:
    """Let call `index`, a write, take the first byte only."""

    def around(call: Call, make: Callable[..., Any]) -> object:
        return make(call.args[0], call.args[1][:1]) if call.index == index else make()

    return around


def _suffer(bench: Bench, folder: Path, kind: str, around: Around) -> Iterator[tuple[str, str]]:
    registry = copy(bench.prepared, folder)
    outcome = attempt(bench, registry, around)
    if fault := _misreported(outcome, kind):
        yield "badly reported", fault
    for fault in breaches(registry, bench.kept if outcome.finished else bench.pending):
        yield "acknowledged lost" if fault.startswith("lost") else "torn", fault
    yield from troubles(registry, bench.before.taken)


def _misreported(outcome: Outcome, kind: str) -> str | None:
    if outcome.finished:
        return None
    if kind == "short write":
        return f"a short write is no error: {outcome}"
    wanted = os.strerror(getattr(errno, kind.removeprefix("lasting ")))
    if outcome.raised != StorageFailed.__name__ or wanted not in outcome.sentence or "\n" in outcome.sentence:
        return f"expected StorageFailed and '{wanted}': {outcome.raised}: {outcome.sentence}"
    return None


def _fill(registry: Path, counts: Counter[str], step: int) -> Iterator[str]:
    ballast = registry.parent / "ballast"
    publish_line(registry)
    live = State.of(registry).live
    for free in itertools.count(step=step):
        space = os.statvfs(registry)
        ballast.write_bytes(bytes(max(0, (space.f_bavail - free)) * PAGE))
        try:
            live |= {publish_line(registry)}
            counts["published"] += 1
            break
        except StorageFailed as error:
            counts["publishes refused"] += 1
            if os.strerror(errno.ENOSPC) not in str(error):
                yield f"{free} pages free: the error does not say that the disk is full: {error}"
        ballast.unlink()
        seen = State.of(registry).live
        for fault in breaches(registry, Promise(live, live | seen)):
            counts["torn"] += 1
            yield f"{free} pages free: {fault}"
        live = seen
    ballast.unlink()
    live |= {publish_line(registry)}
    yield from breaches(registry, Promise(live, live))
