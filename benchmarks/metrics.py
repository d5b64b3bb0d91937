"""What a scrape of /metrics costs: after many workers have ended, and with many versions.

    python benchmarks/metrics.py [--ended 1000] [--versions 1000] [--scrapes 20]

The files of the workers are real ones, written by the code that counts; only the processes are none. Exit code 1 unless
a scrape takes less than 200 ms after so many restarts of workers, those before their files are added up included.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from prometheus_client import generate_latest

from mlapi.inference.values import InferenceEvent, Target
from mlapi.monitoring.process import Process
from mlapi.monitoring.statistics import Statistics
from mlapi.monitoring.traffic import Traffic
from mlapi.registry.live import LiveRegistry
from mlapi.registry.store import Store
from mlapi.registry.worker_files import FILE, WorkerFiles
from mlapi.rollouts.router import Router
from mlapi.serving.metrics import SECTIONS, Metrics

LIMIT_MS = 200.0
ROUTES = 10
BEYOND = 2**22  # no process has such a number (proc(5), pid_max)
MS = 1_000_000


def main() -> None:
    """Print milliseconds; exit with 1 where a scrape takes longer than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ended", type=int, default=1000, help="workers that have ended")
    parser.add_argument("--versions", type=int, default=1000, help="versions that were asked")
    parser.add_argument("--scrapes", type=int, default=20)
    options = parser.parse_args()
    slowest = _restarts(options.ended, options.scrapes)
    _versions(options.versions, options.scrapes)
    sys.exit(int(slowest > LIMIT_MS))


def _restarts(ended: int, scrapes: int) -> float:
    """Print what scrapes take after so many workers have ended; return the longest of them."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ended):
            files = _worker(Path(folder), versions=5)
            files.name = f"{FILE}{BEYOND + number}-00000000.json"
            files.flush()
        asked = _worker(Path(folder), versions=5)
        before = _scrapes(asked, Path(folder), 3)
        begun = time.perf_counter()
        asked.gather()
        gathered = (time.perf_counter() - begun) * 1e3
        after = _scrapes(asked, Path(folder), scrapes)
    print(f"{ended} workers have ended: a scrape takes {before[0]:.1f} ms ({before[1]} bytes); "
          f"adding them up {gathered:.0f} ms; a scrape then {after[0]:.1f} ms")  # fmt: skip
    return max(before[0], after[0])


def _versions(versions: int, scrapes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(3):
            _worker(Path(folder), versions).flush()
        took, size = _scrapes(_worker(Path(folder), versions), Path(folder), scrapes)
    print(f"four workers, {versions} versions asked: a scrape takes {took:.1f} ms ({size} bytes)")


def _worker(folder: Path, versions: int) -> WorkerFiles:
    """Return the files of a worker that was asked for so many versions, over some routes."""
    counted, traffic, files = Statistics(), Traffic(), WorkerFiles(folder, SECTIONS)
    for version in range(1, versions + 1):
        counted.observe(InferenceEvent(Target("model"), version, 1, 10_000, MS, 10_000, None, None))
    for route in range(ROUTES):
        traffic.answered("POST", f"/route/{route}", 200, MS, 2 * MS)
    for source in (counted, traffic, Process({}, {})):
        files.add(source)
    return files


def _scrapes(files: WorkerFiles, folder: Path, times: int) -> tuple[float, int]:
    """Return the median milliseconds of a scrape, and the bytes that it gives."""
    live = LiveRegistry(Store(folder / "registry"))
    registry = Metrics(files, live, Router(live)).registry
    took, size = [], 0
    for _ in range(times):
        begun = time.perf_counter()
        size = len(generate_latest(registry))
        took.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(took), size


if __name__ == "__main__":
    main()
