"""R8, R9: versions never change; a label never points to a deleted one; bytes stay until they are collected."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from mlapi.errors import ModelNotFound, VersionInUse, VersionNotFound, VersionRefused
from mlapi.registry import durable
from mlapi.registry.loading import check, verify
from mlapi.registry.store import TOMBSTONE, Store
from mlapi.registry.upkeep import collect_garbage
from tests.reliability import child
from tests.reliability.figure import Figure
from tests.reliability.model import NAME, publish_line
from tests.reliability.tree import read_tree

Answer = TypeVar("Answer")
PROCESSES = 8
ROUNDS, QUICK_ROUNDS = 200, 30
NOBODY = 65534
IN_USE, NOT_FOUND = VersionInUse.__name__, VersionNotFound.__name__
GONE = {VersionRefused.__name__, VersionNotFound.__name__, ModelNotFound.__name__}


def immutability(folder: Path, *, quick: bool) -> Figure:  # noqa: ARG001 (all sweeps are called alike)
    """Nobody but the owner may write a version, and nothing is ever published onto a number that is taken."""
    registry, faults = folder / "registry", []
    versions = [registry / NAME / str(publish_line(registry)) for _ in range(3)]
    Store(registry).delete(NAME, 2)
    collect_garbage(Store(registry), 0.0)
    paths = [path for version in versions for path in (version, *version.iterdir())]
    for path in paths:
        mode, wanted = path.stat().st_mode & 0o777, 0o555 if path.is_dir() else 0o444
        if mode != wanted:
            faults.append(f"{path.relative_to(registry)} has mode {mode:o}; expected {wanted:o}")
    before = read_tree(registry / NAME)
    for version in versions:
        staged = durable.stage(registry / NAME, [("manifest.json", b"{}\n")])
        if durable.put(staged, version):
            faults.append(f"another version was put onto {version.name}")
        durable.discard(staged)
    if read_tree(registry / NAME) != before:
        faults.append("a version changed")
    counts = {"files and folders": len(paths), "puts onto a taken number": len(versions), "writable": 0}
    note = ""
    if os.geteuid() == 0:
        opened = child.run(lambda: _writable(versions)).result()
        counts["writable"], faults = len(opened), [*faults, *opened]
    else:
        note = "not root: another user was not tried"
    return Figure("R8", "immutable", counts, tuple(faults), note)


def label_race(folder: Path, *, quick: bool) -> Figure:
    """Processes label a version while others delete it: one side wins, and all of the other side is refused."""
    registry, rounds = folder / "registry", QUICK_ROUNDS if quick else ROUNDS
    for _ in range(rounds + 1):
        publish_line(registry)
    barrier = get_context("fork").Barrier(PROCESSES)

    def labels(version: int) -> None:
        Store(registry).label(NAME, "stable", version)

    def deletes(version: int) -> None:
        Store(registry).delete(NAME, version)

    def work(act: Callable[[int], None]) -> list[str]:
        said = []
        for version in range(1, rounds + 1):
            barrier.wait()
            said.append(_say(lambda: act(version)))  # noqa: B023 (called at once)
            barrier.wait()
            said[-1] += _dangling(registry)
        return said

    sides = [labels, deletes] * (PROCESSES // 2)
    said = _together([lambda act=act: work(act) for act in sides])  # type: ignore[misc]
    faults, won = [], {"labels": 0, "deletions": 0}
    for version, outcomes in enumerate(zip(*said, strict=True), 1):
        labelled, deleted = set(outcomes[::2]), set(outcomes[1::2])
        if labelled == {"done"} and deleted == {IN_USE}:
            won["labels"] += 1
        elif labelled == {NOT_FOUND} and {"done"} <= deleted <= {"done", NOT_FOUND}:
            won["deletions"] += 1
        else:
            faults.append(f"version {version}: labelling: {sorted(labelled)}, deleting: {sorted(deleted)}")
    counts = {"rounds": rounds, "processes": PROCESSES, "won by a label": won["labels"],
              "won by a deletion": won["deletions"], "dangling or mixed": len(faults)}  # fmt: skip
    return Figure("R8", "label against delete", counts, tuple(faults))


def deletion(folder: Path, *, quick: bool) -> Figure:
    """Processes load versions in a loop while another deletes and collects them."""
    registry, count = folder / "registry", QUICK_ROUNDS if quick else ROUNDS
    for _ in range(count + 1):
        publish_line(registry)
    store = Store(registry)
    store.label(NAME, "stable", count + 1)
    faults = []
    if _say(lambda: store.delete(NAME, count + 1)) != IN_USE:
        faults.append("a labelled version was deleted")
    last = registry / NAME / str(count) / TOMBSTONE
    removed, *loadings = _together([
        lambda: Loads(faults=list(_remove(registry, count))), *[lambda: _load_until(registry, last, count)] * 3,
    ])
    loads, refusals = sum(each.loads for each in loadings), sum(each.refusals for each in loadings)
    faults += [fault for each in (removed, *loadings) for fault in each.faults]
    counts = {"deletions": count, "loads meanwhile": loads, "refused as deleted": refusals, "other errors": len(faults)}
    return Figure("R9", "delete under load", counts, tuple(faults))


@dataclass(slots=True)
class Loads:
    """What a loop of loads came to."""

    loads: int = 0
    refusals: int = 0
    faults: list[str] = field(default_factory=list)


def _load_until(registry: Path, last: Path, count: int) -> Loads:
    """Load versions in turn until `last` exists, and once more; only the errors for gone versions are right."""
    store, found = Store(registry), Loads()
    done = False
    while not done:
        done = last.exists()
        for version in range(1, count + 2):
            said = _say(lambda: verify(store, NAME, store.require(NAME, version)))  # noqa: B023 (called at once)
            found.loads, found.refusals = found.loads + 1, found.refusals + (said in GONE)
            if said != "done" and (said not in GONE or version == count + 1):
                found.faults.append(f"loading version {version}: {said}")
    return found


def _remove(registry: Path, count: int) -> Iterator[str]:
    """Delete each version; its bytes stay until they are collected, its number is never free again."""
    store = Store(registry)
    for version in range(1, count + 1):
        store.delete(NAME, version)
        if (said := _say(lambda: check(store, NAME, version))) != "done":  # noqa: B023 (called at once)
            yield f"version {version} was deleted, not collected, and lost bytes: {said}"
        collect_garbage(store)
        if (said := _say(lambda: check(store, NAME, version))) != "done":  # noqa: B023 (called at once)
            yield f"version {version} lost bytes within the grace: {said}"
        collect_garbage(store, 0.0)
        if [path.name for path in store.folder(NAME, version).iterdir()] != [TOMBSTONE]:
            yield f"version {version} was collected and files remain"


def _dangling(registry: Path) -> str:
    store = Store(registry)
    live = store.versions(NAME)
    return "".join(f", label {label} dangles" for label, version in store.labels(NAME).items() if version not in live)


def _say(act: Callable[[], object]) -> str:
    """Do something and return 'done', or the class of the error."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 (whatever it is, it is judged by its class)
        return type(error).__name__
    return "done"


def _writable(versions: list[Path]) -> list[str]:
    """Return what another user may write, or cannot even read. Runs in a child, which gives up its rights.

    The folders are opened before, so that it is their own modes that are tried, not those of the folders above.
    """
    opened = [(version, os.open(version, os.O_RDONLY), os.listdir(version)) for version in versions]  # noqa: PTH208 (names)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    found = []
    for version, descriptor, names in opened:
        found += [
            f"another user may not read {name} of version {version.name}" for name in names
            if _say(lambda: os.open(name, os.O_RDONLY, dir_fd=descriptor)) != "done"  # noqa: B023 (called at once)
        ]
        for name in [*names, "new"]:
            flags = os.O_WRONLY | (os.O_CREAT if name == "new" else 0)
            if _say(lambda: os.open(name, flags, 0o644, dir_fd=descriptor)) != PermissionError.__name__:  # noqa: B023 (as above)
                found.append(f"another user may write {name} of version {version.name}")
    return found


def _together(acts: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Run each in a process of its own, all at once, and return their answers."""
    running = [child.start(act) for act in acts]
    return [process.outcome().result() for process in running]
