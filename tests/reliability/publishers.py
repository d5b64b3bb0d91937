"""R4: many processes publish one name at once, undisturbed, and while some of them are killed."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlapi.errors import MlapiError
from mlapi.registry.loading import check, verify
from mlapi.registry.store import Store
from tests.reliability.figure import Figure
from tests.reliability.model import NAME, publish_line

PROCESSES = 8
PUBLISHES, QUICK_PUBLISHES = 200, 25
PROVEN = 50


@dataclass(slots=True)
class Publisher:
    """A process that publishes, and writes each number into a pipe when it is acknowledged."""

    process: int
    pipe: int

    @classmethod
    def start(cls, registry: Path, count: int) -> "Publisher":
        """Fork a process that publishes `count` times."""
        reader, writer = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                for _ in range(count):
                    os.write(writer, b"%d\n" % publish_line(registry))
            finally:
                os._exit(0)
        os.close(writer)
        return cls(process, reader)

    def acknowledged(self) -> list[int]:
        """Wait until the process ends and return the numbers that it was given."""
        with os.fdopen(self.pipe, "rb") as pipe:
            lines = pipe.read().splitlines()
        os.waitpid(self.process, 0)
        return [int(line) for line in lines]


def sweep(folder: Path, *, quick: bool) -> Figure:
    """Publish from 8 processes at once; the numbers are unique and without a gap."""
    registry, count = folder / "registry", QUICK_PUBLISHES if quick else PUBLISHES
    began = time.perf_counter()
    publishers = [Publisher.start(registry, count) for _ in range(PROCESSES)]
    given = [number for publisher in publishers for number in publisher.acknowledged()]
    seconds = time.perf_counter() - began
    wanted = set(range(1, PROCESSES * count + 1))
    faults = list(_faults(registry, given))
    if sorted(given) != sorted(wanted) or set(Store(registry).versions(NAME)) != wanted:
        faults.append(f"{len(wanted)} numbers without a gap were wanted, {len(set(given))} were given")
    counts = {"processes": PROCESSES, "publishes": len(given), "duplicates": len(given) - len(set(given)),
              "gaps": len(wanted - set(given)), "seconds": seconds}  # fmt: skip
    return Figure("R4", "racing publishers", counts, tuple(faults))


def killed(folder: Path, *, quick: bool) -> Figure:
    """The same while publishers are killed at random moments and replaced."""
    registry, count = folder / "registry", QUICK_PUBLISHES if quick else PUBLISHES
    draw = random.Random(4)  # noqa: S311 (moments, not secrets)
    running = [Publisher.start(registry, count) for _ in range(PROCESSES)]
    given: list[int] = []
    kills = PROCESSES if quick else 8 * PROCESSES
    for round_ in range(kills):
        _wait_for_version(registry, len(given) + draw.randrange(1, 4) + round_)
        victim = running.pop(draw.randrange(len(running)))
        _spin(draw.random() * 0.01)
        os.kill(victim.process, signal.SIGKILL)
        given += victim.acknowledged()
        running.append(Publisher.start(registry, count))
    given += [number for publisher in running for number in publisher.acknowledged()]
    faults = list(_faults(registry, given))
    lost = set(given) - set(Store(registry).versions(NAME))
    counts = {"publishers killed": kills, "publishes acknowledged": len(given),
              "duplicates": len(given) - len(set(given)), "lost": len(lost)}  # fmt: skip
    return Figure("R4", "publishers killed", counts, tuple(faults))


def _faults(registry: Path, given: list[int]) -> Iterator[str]:
    """Yield numbers given twice, lost or torn: all digests are compared, a sample is loaded and asked."""
    store = Store(registry)
    versions = store.versions(NAME)
    yield from (f"version {number} was given {times} times" for number, times in Counter(given).items() if times > 1)
    yield from (f"version {number} was acknowledged and lost" for number in sorted(set(given) - set(versions)))
    for place, version in enumerate(versions):
        try:
            check(store, NAME, version)
            if place % max(1, len(versions) // PROVEN) == 0:
                verify(store, NAME, version)
        except MlapiError as error:
            yield f"torn: {error}"


def _wait_for_version(registry: Path, count: int) -> None:
    store, deadline = Store(registry), time.monotonic() + 5.0
    while len(store.numbers(NAME)) < count and time.monotonic() < deadline:
        os.sched_yield()


def _spin(seconds: float) -> None:
    """Let a random moment pass, so that a kill lands anywhere in a publish."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        os.sched_yield()
