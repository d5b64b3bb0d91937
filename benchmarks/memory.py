"""How many copies of a large forest four workers hold, at the start and after hot reloads; whether memory grows.

    python benchmarks/memory.py [--megabytes 500] [--workers 4] [--reloads 20] [--requests 200000]

Copies are the proportional set size of the master and its workers, less that of the same server with a
small model instead, divided by the bytes of the forest. Growth is that of their resident set sizes: over the
requests, and from the first reload to the last. The first is not compared with the start: a version that comes while
the server runs is in memory as a whole, of one that was there only the pages that rows have touched.
Exit code 1 where there are more than --most-copies, at the start or when the last reload has settled, or
where requests and reloads leave more than 3 % behind.
"""

import argparse
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from started import Server, copy_version

from mlapi.registry.publishing import publish
from mlapi.registry.residents import LINGER_SECONDS
from mlapi.registry.store import Store

PATH, BODY = "/v1/models/m:predict", {"instances": [[0.1, 0.2, 0.3, 0.4]]}
TREE_ROWS, TREE_BYTES = 20_000, 1.8e6
MOST_GROWTH = 0.03
CONNECTIONS = 8
FIRST = 1
WARMING = 5
"""Rounds of a hundredth of the requests, each over connections of its own, so that every worker gets some."""
SETTLED_SECONDS = LINGER_SECONDS + 5


def make(registry: Path, megabytes: int) -> int:
    """Publish a forest of about `megabytes`, or a constant where that is 0; return the bytes it takes in memory."""
    random = np.random.default_rng(0)
    rows, target = random.normal(size=(TREE_ROWS, 4)), random.normal(size=TREE_ROWS)
    trees = round(megabytes * 1e6 / TREE_BYTES)
    model = RandomForestRegressor(trees, max_features=1, random_state=0) if trees else DummyRegressor()
    model.fit(rows, target)
    publish(model, "m", sample=rows[:100], registry=registry)
    return Store(registry).manifest("m", 1).memory_bytes


def ask(server: Server, requests: int) -> None:
    """Send requests over several connections."""

    def some(_: int) -> None:
        connection = server.connect()
        for _ in range(requests // CONNECTIONS):
            server.ask(PATH, BODY, connection)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(some, range(CONNECTIONS)))


def reload(server: Server, store: Store, version: int) -> None:
    """Put a version in place and wait until every worker, as far as many requests tell, answers with it."""
    copy_version(store, "m", version)
    store.touch()
    seen: set[str | None] = set()
    while seen != {str(version)}:
        time.sleep(0.2)
        seen = set()
        for _ in range(20):
            connection = server.connect()
            connection.request("GET", "/v2/models/m")
            answer = connection.getresponse()
            answer.read()
            seen.add(answer.headers["X-Model-Version"])


def chosen() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--most-copies", type=float, default=1.2)
    return parser.parse_args()


def main() -> None:
    """Run it and print the figures."""
    options = chosen()
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small"), Path(folder, "large")
        make(small, 0)
        one = make(large, options.megabytes)
        with Server(small, options.workers) as server:
            ask(server, 400)
            besides = server.memory()
        print(f"one copy {one / 1e6:.0f} MB; the server without it {besides / 1e6:.0f} MB")
        store = Store(large)
        with Server(large, options.workers) as server:
            for _ in range(WARMING):
                ask(server, options.requests // 100)
            at_start, before = server.memory(), server.memory("Rss")
            print(f"at the start {at_start / 1e6:6.0f} MB, {(at_start - besides) / one:.2f} copies", flush=True)
            ask(server, options.requests)
            served, after = server.memory(), server.memory("Rss")
            print(f"after {options.requests} requests {served / 1e6:6.0f} MB, {(served - besides) / one:.2f} copies, "
                  f"resident {after / before - 1:+.1%}", flush=True)
            peak = 0
            for version in range(2, options.reloads + 2):
                reload(server, store, version)
                peak = max(peak, server.memory())
                if version - 1 > FIRST:  # the disk need not hold them all
                    shutil.rmtree(store.folder("m", version - 1))
                if version == FIRST + 1:
                    _settle(server, options.requests)
                    once, reloaded = server.memory(), server.memory("Rss")
                    print(f"after the first reload {once / 1e6:6.0f} MB, {(once - besides) / one:.2f} copies, "
                          f"resident {reloaded / after - 1:+.1%}", flush=True)
            _settle(server, options.requests)
            settled, last = server.memory(), server.memory("Rss")
            print(f"after {options.reloads} reloads {settled / 1e6:6.0f} MB, {(settled - besides) / one:.2f} copies, "
                  f"resident {last / reloaded - 1:+.1%} since the first; "
                  f"at most {(peak - besides) / one:.2f} copies on the way")
    copies = max(at_start, served, settled) - besides
    grown = max(after / before, last / reloaded) - 1
    sys.exit(copies / one > options.most_copies or grown > MOST_GROWTH)


def _settle(server: Server, requests: int) -> None:
    """Wait until what was replaced has left, then ask a little."""
    time.sleep(SETTLED_SECONDS)
    for _ in range(WARMING):
        ask(server, requests // 100)


if __name__ == "__main__":
    main()
