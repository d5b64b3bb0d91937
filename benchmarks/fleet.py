"""The models and the servers that are measured: five models in a registry, mlapi over it, and the bare limits."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlapi.registry.publishing import publish

HERE = Path(__file__).parent
SEED = 20261124
HZ = os.sysconf("SC_CLK_TCK")
START_SECONDS = 60.0
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "BLIS")}


@dataclass(frozen=True)
class Model:
    """A fitted estimator, rows like those it has learnt from, and the output that is asked for."""

    about: str
    estimator: Any
    rows: np.ndarray[Any, Any]
    output: str = "predict"

    def request_rows(self, count: int) -> np.ndarray[Any, Any]:
        """Return `count` rows near the data, at six significant digits as JSON has them in practice."""
        random = np.random.default_rng([SEED, count])
        picked = self.rows[random.integers(0, len(self.rows), count)]
        near = picked * random.uniform(0.97, 1.03, picked.shape)
        return np.array([[float(f"{value:.6g}") for value in row] for row in near])

    def expected(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the estimator's own answers."""
        return np.asarray(getattr(self.estimator, self.output)(rows))


def models(names: Sequence[str]) -> dict[str, Model]:
    """Return the models asked for, fitted; every one from a fixed seed."""
    random = np.random.default_rng(SEED)
    houses = random.uniform([0.5, 1, 2, 0.8, 100, 1.5, 32, -125], [15, 52, 10, 2, 6000, 6, 42, -114], (5000, 8))
    price = houses @ [0.4, 0.01, -0.02, 0, 0, 0, 0, 0] + random.normal(0, 0.3, 5000)
    cancer, digits = load_breast_cancer(return_X_y=True), load_digits(return_X_y=True)
    scaled = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=SEED))
    forest = RandomForestClassifier(100, random_state=SEED)
    perceptron = MLPClassifier((64,), max_iter=300, random_state=SEED)
    made = {
        "M1": ("linear regression, 8 columns", LinearRegression(), (houses, price), "predict"),
        "M2": ("scaled logistic regression, 30 columns", scaled, cancer, "predict_proba"),
        "M3": ("random forest of 100, 30 columns", forest, cancer, "predict"),
        "M4": ("histogram boosting, 30 columns", HistGradientBoostingClassifier(random_state=SEED), cancer, "predict"),
        "M5": ("perceptron of 64, 64 columns", perceptron, digits, "predict"),
    }  # fmt: skip
    return {
        name: Model(about, estimator.fit(*data), np.asarray(data[0], dtype=float), output)
        for name, (about, estimator, data, output) in made.items() if name in names
    }  # fmt: skip


def publish_all(fitted: dict[str, Model], registry: Path) -> None:
    """Put the models into a registry, as `mlapi.publish` does it for anybody."""
    for name, model in fitted.items():
        publish(model.estimator, name, sample=model.rows[:200], registry=registry)


@dataclass
class Server:
    """One running server and all processes that it has started."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def pids(self) -> list[int]:
        """Return the server's processes, the busiest first."""
        found, waiting = [], [self.process.pid]
        while waiting:
            pid = waiting.pop()
            with contextlib.suppress(OSError):
                waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
                found.append(pid)
        return sorted(found, key=_cpu_seconds, reverse=True)

    def cpu_seconds(self) -> float:
        """Return the processor time of all of them, user and system, since their start."""
        return sum(map(_cpu_seconds, self.pids()))

    def ask(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.headers.items()}, answer.read()
        finally:
            connection.close()


@contextlib.contextmanager
def started(command: Sequence[str], folder: Path, name: str, pin: Sequence[str], **environ: str) -> Iterator[Server]:
    """Start a server whose command names its port `{port}`, and end it; it accepts connections when entered."""
    port, log = _free_port(), folder / f"{name}.log"
    settings = {key: value for key, value in os.environ.items() if not key.startswith("MLAPI_")}
    with log.open("wb") as lines:
        process = subprocess.Popen(
            [*pin, *(part.format(port=port) for part in command)], stdout=lines, stderr=lines, cwd=HERE,
            env={**settings, **ONE_THREAD, **environ},
        )  # fmt: skip
    try:
        _wait(process, port, log)
        yield Server(process, port, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


def mlapi_command(workers: int) -> list[str]:
    """Return mlapi as it is deployed: gunicorn with the project's settings."""
    return [sys.executable, "-m", "gunicorn", "mlapi.app:create_app()", "-c", "python:mlapi.server.settings",
            "--bind", "127.0.0.1:{port}", "--workers", str(workers)]  # fmt: skip


def gthread_command(workers: int) -> list[str]:
    """Return a constant answer behind gunicorn's threads."""
    return [sys.executable, "-m", "gunicorn", "limits:wsgi", "-k", "gthread", "--threads", "4", "--http-parser",
            "python", "--no-control-socket", "--bind", "127.0.0.1:{port}", "--workers", str(workers)]  # fmt: skip


def loop_command() -> list[str]:
    """Return a constant answer from an event loop; always one process."""
    return [sys.executable, str(HERE / "limits.py"), "{port}"]


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    sys.exit(f"a server did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / HZ


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
