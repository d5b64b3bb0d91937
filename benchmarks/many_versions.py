"""What ten thousand versions cost: start-up, latency, and following a publish, against ten models of one version.

    python benchmarks/many_versions.py [--versions 10000] [--models 10] [--requests 3000] [--rounds 3]

The two servers run one after the other, in turns; medians are compared. Exit code 1 unless the start
takes at most half a second more and the median latency at most 5 % more.
"""

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sklearn.linear_model import LinearRegression
from started import Server, copy_version

from mlapi.registry.publishing import publish
from mlapi.registry.store import Store

ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [6.0, 8.0]])
BODY = {"instances": [[1.0, 2.0]]}
MOST_SECONDS, MOST_LATENCY = 0.5, 1.05
LAG_LOOK = 0.005
FIGURES = (
    ("start", "s to the first prediction", 1), ("cpu", "s of processor time until then", 1),
    ("median", "ms, median latency", 1e3), ("slow", "ms, 99th percentile", 1e3),
    ("first", "ms, first request to an old version", 1e3), ("lag", "s until a publish answers", 1),
)


@dataclass
class Figures:
    """Medians of one registry, one value a round; seconds."""

    start: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    median: list[float] = field(default_factory=list)
    slow: list[float] = field(default_factory=list)
    lag: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)


def fill(registry: Path, models: int, versions: int) -> None:
    """Write `models` models with `versions` versions each, all of which load."""
    model = LinearRegression().fit(ROWS, ROWS.sum(axis=1))
    store = Store(registry)
    for number in range(models):
        name = f"m{number}"
        publish(model, name, sample=ROWS, registry=registry)
        for version in range(2, versions + 1):
            copy_version(store, name, version)
    store.touch()


def measure(registry: Path, requests: int, figures: Figures) -> None:
    """Start a server on `registry` and add what it needs to start, to answer and to follow."""
    with Server(registry, workers=1) as server:
        server.ask("/v1/models/m0:predict", BODY)
        figures.start.append(server.age)
        figures.cpu.append(server.cpu_seconds())
        began = time.perf_counter()
        server.ask("/v1/models/m1/versions/1:predict", BODY)
        figures.first.append(time.perf_counter() - began)
        connection = server.connect()
        times = []
        for _ in range(requests):
            began = time.perf_counter()
            server.ask("/v1/models/m0:predict", BODY, connection)
            times.append(time.perf_counter() - began)
        figures.median.append(statistics.median(times))
        figures.slow.append(statistics.quantiles(times, n=100)[98])
        published = str(publish(LinearRegression().fit(ROWS, ROWS[:, 0]), "m0", sample=ROWS, registry=registry))
        began = time.perf_counter()
        while not _answers(connection, published):
            time.sleep(LAG_LOOK)
        figures.lag.append(time.perf_counter() - began)
        Store(registry).delete("m0", int(published))


def _answers(connection: object, version: str) -> bool:
    connection.request("GET", "/v2/models/m0")  # type: ignore[attr-defined]
    answer = connection.getresponse()  # type: ignore[attr-defined]
    answer.read()
    return bool(answer.headers["X-Model-Version"] == version)


def main() -> None:
    """Run it and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    few, many = Figures(), Figures()
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder, "few"), options.models, 1)
        fill(Path(folder, "many"), options.models, options.versions // options.models)
        for _ in range(options.rounds):
            measure(Path(folder, "few"), options.requests, few)
            measure(Path(folder, "many"), options.requests, many)
    print(f"{'':36} {options.models:>10} {options.versions:>10} versions")
    for name, unit, scale in FIGURES:
        values = [statistics.median(getattr(each, name)) * scale for each in (few, many)]
        print(f"{unit:36} {values[0]:10.3f} {values[1]:10.3f}")
    longer = statistics.median(many.start) - statistics.median(few.start)
    slower = min(many.median) / min(few.median)
    print(f"start {longer:+.3f} s; latency x {slower:.3f} (the best round of each)")
    sys.exit(longer > MOST_SECONDS or slower > MOST_LATENCY)


if __name__ == "__main__":
    main()
