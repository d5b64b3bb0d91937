"""What slow, silent and hanging requests do to everybody else: probes under attack, and how long the attack lasts.

    python benchmarks/hostile.py [--connections 200] [--seconds 10] [--json]

A real server (two workers, two threads each, deadlines of `--seconds` and 5 s). Three attacks of so many connections,
each on its own: silent ones, headers a byte a second, bodies a byte a second; every 20 ms a probe and a prediction on
new connections. Then every thread of every worker hangs in a model, and the same is asked until it is answered again.
"""

import argparse
import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.linear_model import LinearRegression

import mlapi

ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [6.0, 8.0]])
PREDICT = json.dumps({"instances": [[1.0, 2.0]]})
WORKERS, THREADS, DEADLINE = 2, 2, 5.0
OK, PATIENCE = 200, 60.0
HEAD = b"POST /v1/models/sum:predict HTTP/1.1\r\nHost: x\r\n"
ATTACKS = {
    "silent": (b"", b""),
    "headers, a byte a second": (HEAD, b"X-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    "body, a byte a second": (HEAD + b"Content-Length: 1000\r\n\r\n", b" " * 60),
}
HANGING = """
import time
from sklearn.base import BaseEstimator, RegressorMixin

class Hanging(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.n_features_in_ = 2
        return self

    def predict(self, X):
        if X[0, 0] == 666:
            time.sleep(3600)
        return X.sum(axis=1)
"""


def main() -> None:
    """Run all and print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--connections", type=int, default=200)
    arguments.add_argument("--seconds", type=float, default=10.0, help="the time that a request may take to arrive")
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(Path(folder), chosen.connections, chosen.seconds)
    if chosen.json:
        print(json.dumps(figures))
        return
    for name, found in figures.items():
        print(f"{name:26} " + ", ".join(f"{what} {value}" for what, value in found.items()))


def measured(folder: Path, connections: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return the figures by attack; times in milliseconds but where their name says seconds."""
    registry = folder / "registry"
    mlapi.publish(LinearRegression().fit(ROWS, ROWS.sum(axis=1)), "sum", sample=ROWS, registry=registry)
    (folder / "hanging.py").write_text(HANGING)
    sys.path.insert(0, str(folder))
    from hanging import Hanging  # noqa: PLC0415 (it was written a line before)

    mlapi.publish(Hanging().fit(ROWS, ROWS[:, 0]), "hanging", sample=ROWS, registry=registry)
    with served(registry, folder, seconds) as port:
        found = {name: attacked(port, connections, *sent) for name, sent in ATTACKS.items()}
        found["all threads hang"] = hung(port)
    return found


@contextlib.contextmanager
def served(registry: Path, folder: Path, seconds: float) -> Iterator[int]:
    """Run a server; give its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = {"MLAPI_READ_SECONDS": str(seconds), "MLAPI_REQUEST_SECONDS": str(DEADLINE), "MLAPI_LOG_LEVEL": "error",
                "MLAPI_WORKERS": str(WORKERS), "MLAPI_THREADS": str(THREADS),
                "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}  # fmt: skip
    command = [sys.executable, "-m", "mlapi.cli", "serve", "--registry", str(registry), "--bind", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL)
    try:
        while took(port, "GET", "/readyz")[0] != OK:
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


def took(port: int, method: str, path: str, body: str | None = None, timeout: float = 3.0) -> tuple[int, float]:
    """Return status (0: none) and milliseconds of one request on a connection of its own."""
    begun = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        status = 0
    finally:
        connection.close()
    return status, (time.perf_counter() - begun) * 1e3


def attacked(port: int, connections: int, begin: bytes, slowly: bytes) -> dict[str, float]:
    """Return how probes and predictions did while `connections` sent `begin` and then a byte of `slowly` a second."""
    begun = time.perf_counter()
    attackers = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(connections)]
    for one in attackers:
        one.sendall(begin)
    ended = threading.Event()
    closed = [0.0] * connections
    refused = [False] * connections
    threading.Thread(target=drip, args=(attackers, slowly, ended), daemon=True).start()
    waiting = [threading.Thread(target=await_end, args=(one, place, begun, closed, refused))
               for place, one in enumerate(attackers)]  # fmt: skip
    for thread in waiting:
        thread.start()
    probes, predictions, failed = [], [], 0
    while any(thread.is_alive() for thread in waiting):
        for method, path, body, times in (("GET", "/readyz", None, probes),
                                          ("POST", "/v1/models/sum:predict", PREDICT, predictions)):  # fmt: skip
            status, ms = took(port, method, path, body)
            times.append(ms)
            failed += status != OK
        time.sleep(0.02)
    ended.set()
    return {"probes": len(probes), "failed": failed, "probe p50": round(statistics.median(probes), 1),
            "probe max": round(max(probes), 1), "predict max": round(max(predictions), 1),
            "told 408": sum(refused), "last closed after s": round(max(closed), 1)}  # fmt: skip


def drip(attackers: list[socket.socket], slowly: bytes, ended: threading.Event) -> None:
    """Send a byte a second on each connection, for as long as it takes them."""
    for at in range(len(slowly)):
        for one in attackers:
            with contextlib.suppress(OSError):
                one.send(slowly[at : at + 1])
        if ended.wait(1.0):
            return


def await_end(one: socket.socket, place: int, begun: float, closed: list[float], refused: list[bool]) -> None:
    """Note when the server ended a connection, and whether it said 408."""
    received = b""
    with contextlib.suppress(OSError):
        while part := one.recv(4096):
            received += part
    closed[place], refused[place] = time.perf_counter() - begun, received.startswith(b"HTTP/1.1 408 ")
    one.close()


def hung(port: int) -> dict[str, float]:
    """Return how health did while every thread hung, and after how many seconds the model answered again."""
    body = json.dumps({"instances": [[666.0, 1.0]]})
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(took(port, "POST", "/v1/models/hanging:predict", body, 60)[0])

    hang = [threading.Thread(target=ask) for _ in range(4 * WORKERS * THREADS)]
    for thread in hang:
        thread.start()
    time.sleep(0.5)
    begun, probes, back = time.perf_counter(), [], 0.0
    fine = json.dumps({"instances": [[1.0, 1.0]]})
    while time.perf_counter() - begun < PATIENCE and not back:
        status, ms = took(port, "GET", "/livez")
        probes.append(ms if status == OK else 3000.0)
        if took(port, "POST", "/v1/models/hanging:predict", fine, 1.0)[0] == OK:
            back = time.perf_counter() - begun
        time.sleep(0.05)
    for thread in hang:
        thread.join()
    return {"health max": round(max(probes), 1), "told 504": statuses.count(504), "told 503": statuses.count(503),
            "cut off": statuses.count(0), "service back after s": round(back, 1)}  # fmt: skip


if __name__ == "__main__":
    main()
