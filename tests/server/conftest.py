"""A real gunicorn over a registry of its own, on a free port."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

START_SECONDS = 30.0


@dataclass
class Server:
    """One running `mlapi serve`."""

    process: subprocess.Popen[str]
    port: int
    log: Path
    stdout: Path = field(default_factory=Path)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self, how: int = signal.SIGTERM, within: float = 20.0) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(within)


ODD = '''
import threading
from sklearn.base import BaseEstimator, RegressorMixin

class Odd(RegressorMixin, BaseEstimator):
    """Hangs on rows that begin with 666, and would end the process on those that begin with 667."""

    def fit(self, X, y=None):
        self.n_features_in_ = 2
        return self

    def predict(self, X):
        if X[0, 0] == 666:
            threading.Event().wait()
        if X[0, 0] == 667:
            raise SystemExit(3)
        return X.sum(axis=1)
'''


@dataclass
class OddModel:
    """A model of two columns whose code is in a module of its own, and the environment that a server finds it by."""

    fitted: Any
    environ: dict[str, str]


@pytest.fixture
def odd_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OddModel]:
    """Return the odd model, fitted; see ODD."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "odd.py").write_text(ODD)
    monkeypatch.syspath_prepend(str(code))
    environ = {"PYTHONPATH": os.pathsep.join([str(code), os.environ.get("PYTHONPATH", "")])}
    yield OddModel(import_module("odd").Odd().fit(None), environ)
    sys.modules.pop("odd", None)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers that are stopped, or killed, when the test ends."""
    with serving(tmp_path) as start:
        yield start


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Callable[..., Server]]:
    """Give what starts servers, whose logs go to `folder`; all are stopped, or killed, at the end."""
    with contextlib.ExitStack() as stack:

        def start(registry: Path, *options: str, **settings: str) -> Server:
            port = free_port()
            number = len(list(folder.glob("server-*.log")))
            log, out = folder / f"server-{number}.log", folder / f"server-{number}.out"
            command = [sys.executable, "-m", "mlapi.cli", "serve", "--registry", str(registry),
                       "--bind", f"127.0.0.1:{port}", *options]  # fmt: skip
            with log.open("w") as errors, out.open("w") as lines:
                process = subprocess.Popen(
                    command, stdout=lines, stderr=errors, text=True, cwd=folder, env={**os.environ, **settings},
                )
            server = Server(process, port, log, out)
            stack.callback(end, server)
            wait_until_ready(server)
            return server

        yield start


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(reached: Callable[[], bool], within: float = START_SECONDS) -> bool:
    """Look until it is reached, each look a request or a read of a file; tell whether it was in so many seconds."""
    deadline = time.monotonic() + within
    while not (there := reached()) and time.monotonic() < deadline:
        pass
    return there


def workers(server: Server) -> set[int]:
    """Return the pids of the workers of a server."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return {int(pid) for pid in children.read_text().split()}


def wait_until_ready(server: Server) -> None:
    """Return when the server is ready; fail with its log when it ended or took too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(0.05)
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{server.url}/v2/health/ready", timeout=5) as answer:
            if answer.status == 200:
                return
    pytest.fail(f"the server did not get ready:\n{server.log.read_text()[-3000:]}")


def end(server: Server) -> None:
    """Stop a server, or kill it."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.stop()
    server.process.kill()
    server.process.wait()
