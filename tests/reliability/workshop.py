"""A folder in which registries are made once, copied many times, and broken."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.reliability import child
from tests.reliability.calls import Around, Call, steered
from tests.reliability.child import Outcome
from tests.reliability.operations import Operation
from tests.reliability.state import Promise, State


@dataclass(frozen=True, slots=True)
class Bench:
    """An operation with its states: the registry as prepared, and what it says before and after."""

    operation: Operation
    prepared: Path
    before: State
    after: State
    calls: tuple[Call, ...]

    @property
    def pending(self) -> Promise:
        """What the registry may say until the operation is acknowledged."""
        return Promise.between([self.before, self.after])

    @property
    def kept(self) -> Promise:
        """What the registry must say once the operation is acknowledged."""
        return Promise.between([self.after])


def set_up(operation: Operation, folder: Path) -> Bench:
    """Prepare an operation's registry, do it once on a copy, and return what was seen."""
    prepared = folder / "prepared"
    prepared.mkdir(parents=True)
    child.run(lambda: operation.prepare(prepared / "registry"))
    registry = copy(prepared, folder / "rehearsal")
    before = State.of(registry)
    calls: list[Call] = []

    def note(call: Call, make: Callable[..., Any]) -> object:
        calls.append(call)
        return make()

    def rehearse() -> list[Call]:
        with steered(registry.parent, note):
            operation.act(registry)
        return calls

    seen = child.run(rehearse).result()
    return Bench(operation, prepared, before, State.of(registry), tuple(seen))


def copy(prepared: Path, folder: Path) -> Path:
    """Copy a prepared registry into `folder`, emptied before, and return its path."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(prepared, folder)
    return folder / "registry"


def attempt(bench: Bench, registry: Path, around: Around) -> Outcome:
    """Do the operation in a child, steered by `around`, and return how it ended."""

    def steer() -> object:
        with steered(registry.parent, around):
            return bench.operation.act(registry)

    return child.run(steer)
