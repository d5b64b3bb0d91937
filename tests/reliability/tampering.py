"""R5, R7: a version with a file changed, or swapped for something else, is refused before anything is unpickled."""

import os
import random
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlapi.errors import VersionRefused
from mlapi.registry.loading import verify
from mlapi.registry.store import Store
from tests.reliability import child
from tests.reliability.figure import Figure
from tests.reliability.model import NAME, publish_line

FLIPS, QUICK_FLIPS = 200, 60
SLOWEST_SECONDS = 0.1
SPARSE_BYTES = 10 * 2**30
ARTIFACT = "model.joblib"


@dataclass(frozen=True, slots=True)
class Loading:
    """What one attempt to load came to: the error, if any, how long it took, how many names it unpickled."""

    raised: str | None
    sentence: str
    seconds: float
    unpickled: int

    def fault(self) -> str | None:
        """Return why this is not the refusal that is required, or None."""
        if self.raised != VersionRefused.__name__:
            return f"expected VersionRefused: {self.raised} {self.sentence}"
        return f"{self.unpickled} names were unpickled after the mismatch" if self.unpickled else None


def flips(folder: Path, *, quick: bool) -> Figure:
    """Change one byte at random offsets of every file of a version, one at a time."""
    registry = folder / "registry"
    version = registry / NAME / str(publish_line(registry))
    faults = list(_intact(registry))
    draw = random.Random(5)  # noqa: S311 (offsets, not secrets)
    files = sorted(path.name for path in version.iterdir())
    count = QUICK_FLIPS if quick else FLIPS
    cases = [(files[i % len(files)], draw.random(), draw.randrange(1, 256)) for i in range(count)]
    loadings = child.run(lambda: [_flipped(registry, version / file, at, bit) for file, at, bit in cases]).result()
    refused = 0
    for (file, _, _), loading in zip(cases, loadings, strict=True):
        fault = loading.fault()
        refused += fault is None
        if fault:
            faults.append(f"one byte of {file}: {fault}")
    return Figure("R5", "flipped bytes", {"offsets": count, "files": len(files), "refused": refused,
                  "unpickled": sum(loading.unpickled for loading in loadings)}, tuple(faults))  # fmt: skip


def swaps(folder: Path, *, quick: bool) -> Figure:
    """Put something else in the place of each file of a version; each is refused in less than 100 ms."""
    faults, slowest, count, skipped = [], 0.0, 0, []
    pristine = folder / "pristine"
    publish_line(pristine)
    files = ("manifest.json", ARTIFACT) if quick else sorted(path.name for path in (pristine / NAME / "1").iterdir())
    for kind, swap in SWAPS.items():
        for file in files:
            registry = folder / "registry"
            shutil.rmtree(registry, ignore_errors=True)
            shutil.copytree(pristine, registry)
            try:
                _swap(registry / NAME / "1" / file, swap)
            except PermissionError:
                skipped.append(kind)
                break
            loading = child.run(lambda: _load(registry)).result()  # noqa: B023 (called at once)
            count, slowest = count + 1, max(slowest, loading.seconds)
            if fault := loading.fault():
                faults.append(f"{kind} in place of {file}: {fault}")
    if slowest >= SLOWEST_SECONDS and not quick:
        faults.append(f"the slowest refusal took {slowest * 1000:.0f} ms")
    note = f"not permitted here: {', '.join(skipped)}" if skipped else ""
    counts = {"swaps": count, "refused": count - len(faults), "ms at most": slowest * 1000}
    return Figure("R7", "swapped files", counts, tuple(faults), note)


def _load(registry: Path) -> Loading:
    """Load version 1, count the names that are unpickled and take the time. Runs in a child of its own."""
    names: list[object] = []

    def on_event(event: str, args: tuple[object, ...]) -> None:
        if event == "pickle.find_class":
            names.append(args)

    sys.addaudithook(on_event)
    return _attempt(registry, names)


def _attempt(registry: Path, names: list[object]) -> Loading:
    began, before = time.perf_counter(), len(names)
    raised, sentence = None, ""
    try:
        verify(Store(registry), NAME, 1)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is reported)
        raised, sentence = type(error).__name__, str(error)
    return Loading(raised, sentence, time.perf_counter() - began, len(names) - before)


def _intact(registry: Path) -> Iterator[str]:
    """Yield a fault unless the untouched version loads, and unpickling is noticed: else nothing is proven."""
    loading = child.run(lambda: _load(registry)).result()
    if loading.raised or not loading.unpickled:
        yield f"the untouched version: {loading}"


def _flipped(registry: Path, path: Path, at: float, bit: int) -> Loading:
    data = path.read_bytes()
    offset = int(at * len(data))
    path.chmod(0o644)
    path.write_bytes(data[:offset] + bytes([data[offset] ^ bit]) + data[offset + 1 :])
    try:
        return _load(registry)
    finally:
        path.write_bytes(data)


def _swap(path: Path, swap: Callable[[Path, bytes], None]) -> None:
    data = path.read_bytes()
    path.parent.chmod(0o755)
    path.unlink()
    swap(path, data)


def _symlink(path: Path, data: bytes) -> None:
    aside = path.parent.parent / "aside"
    aside.write_bytes(data)
    path.symlink_to(aside)


def _hard_link(path: Path, data: bytes) -> None:
    aside = path.parent.parent / "aside"
    aside.write_bytes(data)
    path.hardlink_to(aside)


def _sparse(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    os.truncate(path, SPARSE_BYTES)


SWAPS: dict[str, Callable[[Path, bytes], None]] = {
    "symbolic link": _symlink,
    "hard link": _hard_link,
    "pipe": lambda path, _: os.mkfifo(path),
    "device": lambda path, _: os.mknod(path, stat.S_IFCHR | 0o644, os.makedev(1, 5)),
    "folder": lambda path, _: path.mkdir(),
    "empty file": lambda path, _: path.touch(),
    "sparse file of 10 GB": _sparse,
    "dangling link": lambda path, _: path.symlink_to("nowhere"),
    "nothing": lambda _path, _data: None,
}
