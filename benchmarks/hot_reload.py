"""Load on two workers while versions are published, a label moves and versions are deleted.

    python benchmarks/hot_reload.py [--versions 20] [--rate 300] [--json]

Starts a real `mlapi serve` on a registry of its own, keeps several connections busy, and counts failed
requests, answers that mix two versions (body against the X-Model-Version header), and how long after
the acknowledgement of a change the last answer from before it was seen. Exit code 1 unless all
requests succeeded, none was mixed, and every change was served everywhere within a second.
"""

import argparse
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from sklearn.dummy import DummyRegressor

from mlapi.registry.loading import verify
from mlapi.registry.publishing import publish
from mlapi.registry.store import Store

CONNECTIONS = 8
BODY = json.dumps({"instances": [[1.0, 2.0]]})
PATHS = {"newest": "/v1/models/m:predict", "label": "/v1/models/m/labels/stable:predict"}
LARGEST_LAG = 1.0


@dataclass
class Result:
    """What was counted; lags in seconds, one a change."""

    requests: int = 0
    failed: int = 0
    mixed: int = 0
    seconds: float = 0.0
    lags: dict[str, list[float]] = field(default_factory=lambda: {"publish": [], "label": []})
    faults: list[str] = field(default_factory=list)
    workers_seen: int = 0


class Load:
    """Connections that ask all the time, and remember when which version last answered on which path."""

    def __init__(self, port: int, rate: float) -> None:
        self._port, self._pause = port, CONNECTIONS / rate
        self._lock, self._stop = threading.Lock(), threading.Event()
        self.result = Result()
        self.last_seen: dict[tuple[str, int], float] = {}
        self._threads = [threading.Thread(target=self._ask, args=(i,)) for i in range(CONNECTIONS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def watch(self, seconds: float) -> None:
        """Let the load run."""
        self._stop.wait(seconds)

    def lag(self, kind: str, path: str, old: int, acknowledged: float) -> None:
        """Note how long after a change was acknowledged `old` still answered on `path`."""
        with self._lock:
            self.result.lags[kind].append(max(0.0, self.last_seen.get((path, old), 0.0) - acknowledged))

    def _ask(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        turn = number
        while not self._stop.wait(self._pause):
            turn += 1
            path = ("newest", "label")[turn % 2]
            if turn % 50 == 0:  # a new connection may land on the other worker
                connection.close()
            self._count(path, *self._request(connection, PATHS[path]))

    @staticmethod
    def _request(connection: http.client.HTTPConnection, path: str) -> tuple[int, str, bytes]:
        try:
            connection.request("POST", path, BODY)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("X-Model-Version", ""), answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return 0, "", repr(error).encode()

    def _count(self, path: str, status: int, version: str, body: bytes) -> None:
        now = time.monotonic()
        with self._lock:
            self.result.requests += 1
            if status != http.client.OK:
                self.result.failed += 1
                self.result.faults = [*self.result.faults, f"{status} {body[:200]!r}"][-5:]
                return
            self.result.mixed += json.loads(body)["predictions"] != [float(version)]
            self.last_seen[path, int(version)] = now


def run(versions: int, rate: float, folder: Path) -> Result:
    """Publish `versions` versions, move the label as often, delete half of them; return the counts."""
    registry = folder / "registry"
    store = Store(registry)
    _publish(registry, 1)
    store.label("m", "stable", 1)
    port = _free_port()
    log = folder / "server.log"
    with log.open("w") as errors, _Server(registry, port, errors), Load(port, rate) as load:
        began = time.monotonic()
        for version in range(2, versions + 2):
            _publish(registry, version)
            acknowledged = time.monotonic()
            load.watch(1.5)
            load.lag("publish", "newest", version - 1, acknowledged)
            verify(store, "m", version)
            store.label("m", "stable", version)
            acknowledged = time.monotonic()
            load.watch(1.5)
            load.lag("label", "label", version - 1, acknowledged)
            if version % 2:
                store.delete("m", version - 1)
        load.result.seconds = time.monotonic() - began
    load.result.workers_seen = len(set(re.findall(r'"pid": (\d+)', log.read_text())))
    return load.result


def _publish(registry: Path, version: int) -> None:
    rows = np.array([[1.0, 2.0], [3.0, 4.0]])
    model = DummyRegressor(strategy="constant", constant=float(version)).fit(rows, np.zeros(2))
    published = publish(model, "m", sample=rows, registry=registry)
    if published != version:
        sys.exit(f"published version {published}; expected {version}")


class _Server:
    """A real server, ready when entered, ended when left."""

    def __init__(self, registry: Path, port: int, errors: object) -> None:
        command = [sys.executable, "-m", "mlapi.cli", "serve", "--registry", str(registry),
                   "--bind", f"127.0.0.1:{port}", "--workers", "2"]  # fmt: skip
        self._port = port
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=os.environ)

    def __enter__(self) -> Self:
        for _ in range(300):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
                connection.request("GET", "/v2/health/ready")
                if connection.getresponse().status == http.client.OK:
                    return self
            except OSError:
                pass
            time.sleep(0.1)
        sys.exit("the server did not start")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Run it and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=int, default=20)
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second, over all connections")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(options.versions, options.rate, Path(folder))
    largest = {kind: round(max(lags), 3) for kind, lags in result.lags.items() if lags}
    if options.json:
        print(json.dumps(asdict(result)))
    else:
        print(f"{result.requests} requests in {result.seconds:.0f} s on {CONNECTIONS} connections: "
              f"{result.failed} failed, {result.mixed} mixed")
        print(f"largest lag after {options.versions} publishes and label moves: {largest} s")
        print("\n".join(result.faults))
    sys.exit(result.failed > 0 or result.mixed > 0 or max(largest.values()) > LARGEST_LAG)


if __name__ == "__main__":
    main()
