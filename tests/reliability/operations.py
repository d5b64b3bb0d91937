"""The changes a registry goes through, each with the registry that it starts from."""

import itertools
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlapi.registry.store import Store
from mlapi.registry.upkeep import collect_garbage
from tests.reliability import child
from tests.reliability.model import NAME, publish_line

LONG_AGO = 7200.0


@dataclass(frozen=True, slots=True)
class Operation:
    """One change: `prepare` makes the registry before it, `act` makes the change and returns when it is done."""

    name: str
    prepare: Callable[[Path], None]
    act: Callable[[Path], object]


def nothing(_: Path) -> None:
    """Leave the registry's folder missing."""


def unlabelled(registry: Path) -> None:
    """Make a registry of two versions."""
    publish_line(registry)
    publish_line(registry)


def two_versions(registry: Path) -> None:
    """Make a registry of two versions; the label 'stable' points to the first."""
    unlabelled(registry)
    Store(registry).label(NAME, "stable", 1)


def retired(registry: Path) -> None:
    """Make a registry with a version that was deleted, and what a killed publisher left two hours ago."""
    two_versions(registry)
    publish_line(registry)
    Store(registry).delete(NAME, 2)
    abandoned = registry / NAME / ".tmp-abandoned"
    shutil.copytree(registry / NAME / "1", abandoned)
    age(abandoned)


def age(path: Path) -> None:
    """Make a file or folder look two hours old."""
    then = path.stat().st_mtime - LONG_AGO
    os.utime(path, (then, then))


def publish_after_rival(registry: Path) -> int:
    """Publish while another process takes the number that this one was about to take."""
    rivals = itertools.chain([lambda: publish_line(registry)], itertools.repeat(None))

    def on_event(event: str, args: tuple[object, ...]) -> None:
        if event == "os.mkdir" and ".tmp-" in str(args[0]):
            rival = next(rivals)
            if rival is not None:
                child.run(rival)

    sys.addaudithook(on_event)
    return publish_line(registry)


def label_second(registry: Path) -> None:
    """Point 'stable' to version 2."""
    Store(registry).label(NAME, "stable", 2)


OPERATIONS = (
    Operation("first publish", nothing, publish_line),
    Operation("publish", two_versions, publish_line),
    Operation("publish onto a taken number", two_versions, publish_after_rival),
    Operation("first label", unlabelled, label_second),
    Operation("label move", two_versions, label_second),
    Operation("unlabel", two_versions, lambda registry: Store(registry).unlabel(NAME, "stable")),
    Operation("delete", two_versions, lambda registry: Store(registry).delete(NAME, 2)),
    Operation("gc", retired, lambda registry: collect_garbage(Store(registry), 0.0)),
)
