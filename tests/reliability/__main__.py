"""Run the reliability sweeps: `python -m tests.reliability [--quick] [--json] [R1 ...]`."""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is imported: a process that forks has one thread

from tests.reliability import forgery, kernel, killing, permanence, powerloss, publishers, refusing, rollouts, tampering
from tests.reliability.figure import Figure

MOST_FAULTS = 20
SWEEPS: tuple[tuple[str, Callable[..., Figure]], ...] = (
    ("R1", killing.sweep),
    ("R1", rollouts.sweep),
    ("R1", kernel.completeness),
    ("R2", refusing.sweep),
    ("R2", kernel.interruption),
    ("R2", refusing.full_disk),
    ("R3", powerloss.sweep),
    ("R3", powerloss.mutations),
    ("R4", publishers.sweep),
    ("R4", publishers.killed),
    ("R5", tampering.flips),
    ("R7", tampering.swaps),
    ("R8", permanence.immutability),
    ("R8", permanence.label_race),
    ("R9", permanence.deletion),
    ("R10", forgery.sweep),
)


def main(given: Sequence[str] | None = None) -> int:
    """Print a line for each requirement; return 1 where any figure is not what is required."""
    wanted = _arguments(given)
    failed = False
    for requirement, sweep in SWEEPS:
        if wanted.requirements and requirement not in wanted.requirements:
            continue
        with tempfile.TemporaryDirectory(prefix="mlapi-", dir=wanted.folder) as folder:
            began = time.perf_counter()
            figure = sweep(Path(folder).resolve(), quick=wanted.quick)
        seconds = time.perf_counter() - began
        failed |= bool(figure.faults)
        _print(figure, seconds, as_json=wanted.json)
    return int(failed)


def _print(figure: Figure, seconds: float, *, as_json: bool) -> None:
    if as_json:
        lines = [json.dumps({**figure.document(), "seconds": round(seconds, 1)})]
    else:
        lines = [f"{figure.line()} [{seconds:.1f} s]", *(f"    {fault}" for fault in figure.faults[:MOST_FAULTS])]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("requirements", nargs="*", metavar="R", help="which sweeps to run; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer points, for continuous integration")
    parser.add_argument("--json", action="store_true", help="one JSON document a line, with every fault")
    parser.add_argument("--folder", type=Path, help="where registries are made; default: the temporary folder")
    return parser.parse_args(given)


if __name__ == "__main__":
    sys.exit(main())
