"""What an operation did to the disk, call by call, as a model of power loss needs it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from tests.reliability import child
from tests.reliability.calls import Call, steered
from tests.reliability.tree import Tree, read_tree

_SAME = {"write", "fsync", "mkdir", "unlink", "rmdir"}


@dataclass(frozen=True, slots=True)
class Event:
    """One change of the disk, or sync; paths are relative to the folder that was watched."""

    name: str
    path: PurePath
    target: PurePath | None = None
    data: bytes = b""
    folder: bool = False
    tree: Tree = field(default_factory=dict)


def record(folder: Path, act: Callable[[], object], stop: int | None = None) -> list[Event]:
    """Run `act` in a child and return what it did below `folder`; the child ends before call `stop`."""
    events: list[Event] = []

    def watched(leave: child.Leave) -> list[Event]:
        def around(call: Call, make: Callable[..., Any]) -> object:
            if call.index == stop:
                leave(events)
            existed = call.path.exists()
            try:
                made = make()
            except OSError:
                events.extend(_failed(call, folder))
                raise
            if call.name in _SAME or call.name == "rename" or (call.creates and not existed):
                events.append(_event(call, folder))
            return made

        with steered(folder, around):
            act()
        return events

    return list(child.run_until(watched).result())


def _event(call: Call, folder: Path) -> Event:
    path = call.path.relative_to(folder)
    if call.name == "rename":
        return Event("rename", path, target=Path(call.args[1]).relative_to(folder))
    if call.name == "write":
        return Event("write", path, data=call.args[1])
    return Event("create" if call.creates else call.name, path, folder=call.path.is_dir())


def _failed(call: Call, folder: Path) -> list[Event]:
    """A rename that failed found its target taken: by another process, which has synced it."""
    if call.name != "rename":
        return []
    target = Path(call.args[1])
    return [Event("appear", target.relative_to(folder), tree=read_tree(target))]
