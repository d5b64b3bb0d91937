"""What two workers must agree on: orders, once confirmed, and counts, once written."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from mlapi.registry.publishing import publish
from tests.server.conftest import Server, end, free_port, until, wait_until_ready, workers

pytestmark = pytest.mark.server

ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [6.0, 8.0]])
BODY = json.dumps({"instances": [[1, 2]]})


@pytest.fixture
def server(serve: Callable[..., Server], tmp_path: Path) -> Server:
    """Return two workers over one model."""
    publish(LinearRegression().fit(ROWS, ROWS.sum(axis=1)), "sum", sample=ROWS, registry=tmp_path / "registry")
    return serve(tmp_path / "registry", MLAPI_WORKERS="2")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers by a command of their own; they are ended with the test."""
    with contextlib.ExitStack() as stack:

        def start(command: list[str], registry: Path, **settings: str) -> Server:
            port, log = free_port(), tmp_path / f"run-{time.monotonic_ns()}.log"
            environ = {**os.environ, "MLAPI_REGISTRY": str(registry), **settings}
            with log.open("w") as errors:
                process = subprocess.Popen(
                    [sys.executable, *command, "--bind", f"127.0.0.1:{port}"], stdout=errors, stderr=errors, text=True,
                    cwd=tmp_path, env=environ,
                )
            server = Server(process, port, log)
            stack.callback(end, server)
            wait_until_ready(server)
            return server

        yield start


def ask(server: Server, method: str, path: str, body: str | None = None) -> tuple[int, Any]:
    """Return status and document of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=40)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def predict(server: Server) -> int:
    return ask(server, "POST", "/v1/models/sum:predict", BODY)[0]


def order(server: Server, verb: str) -> int:
    return ask(server, "POST", f"/v2/repository/models/sum/{verb}")[0]


def success_count(server: Server) -> int:
    entry = ask(server, "GET", "/v2/models/sum/stats")[1]["model_stats"][0]
    assert entry["inference_count"] == entry["inference_stats"]["success"]["count"]
    return int(entry["inference_count"])


def test_after_unload_is_answered_no_worker_serves_and_after_load_every_one_does(server: Server) -> None:
    for _ in range(3):
        assert order(server, "unload") == 200
        assert {predict(server) for _ in range(200)} == {503}
        assert order(server, "load") == 200
        assert {predict(server) for _ in range(200)} == {200}


def test_statistics_are_the_sum_over_workers_and_survive_one_that_is_killed(server: Server) -> None:
    assert {predict(server) for _ in range(300)} == {200}
    assert until(lambda: success_count(server) == 300)
    before = workers(server)
    os.kill(min(before), signal.SIGKILL)
    assert until(lambda: len(workers(server)) == 2 and workers(server) != before)
    assert success_count(server) == 300
    assert {predict(server) for _ in range(100)} == {200}
    assert until(lambda: success_count(server) == 400)


def test_statistics_of_a_worker_that_is_asked_to_end_are_not_lost(server: Server) -> None:
    assert {predict(server) for _ in range(100)} == {200}
    before = workers(server)
    server.process.send_signal(signal.SIGHUP)
    assert until(lambda: len(workers(server)) == 2 and not workers(server) & before)
    assert until(lambda: success_count(server) == 100)


def test_a_worker_that_is_born_later_obeys_the_orders_that_stand(server: Server) -> None:
    assert order(server, "unload") == 200
    before = workers(server)
    os.kill(min(before), signal.SIGKILL)
    assert until(lambda: len(workers(server)) == 2 and workers(server) != before)
    os.kill(min(before & workers(server)), signal.SIGKILL)
    assert until(lambda: len(workers(server)) == 2 and not workers(server) & before)
    assert {predict(server) for _ in range(200)} == {503}
    assert order(server, "load") == 200
    assert {predict(server) for _ in range(200)} == {200}


@pytest.mark.parametrize("command", [
    ["-m", "mlapi.cli", "serve"],
    ["-m", "gunicorn", "mlapi.app:create_app()", "--workers", "2", "--threads", "2", "--no-control-socket"],
])
def test_a_run_folder_that_outlives_a_restart_hands_on_neither_orders_nor_counts(
    run: Callable[..., Server], tmp_path: Path, command: list[str],
) -> None:
    """Also for plain gunicorn, where every worker builds the application by itself."""
    publish(LinearRegression().fit(ROWS, ROWS.sum(axis=1)), "sum", sample=ROWS, registry=tmp_path / "registry")
    settings = {"MLAPI_WORKERS": "2", "MLAPI_RUN_FOLDER": str(tmp_path / "run")}
    server = run(command, tmp_path / "registry", **settings)
    assert {predict(server) for _ in range(50)} == {200}
    assert until(lambda: success_count(server) == 50)
    assert order(server, "unload") == 200
    before = workers(server)
    os.kill(min(before), signal.SIGKILL)
    assert until(lambda: len(workers(server)) == 2 and workers(server) != before)
    assert {predict(server) for _ in range(100)} == {503}
    assert until(lambda: success_count(server) == 50)
    assert len(list((tmp_path / "run").glob("run-*"))) == 1
    server.stop()
    again = run(command, tmp_path / "registry", **settings)
    assert {predict(again) for _ in range(100)} == {200}
    assert until(lambda: success_count(again) == 100)
    assert len(list((tmp_path / "run").glob("run-*"))) == 1


def test_an_order_during_the_birth_of_a_worker_holds_for_it(server: Server) -> None:
    for _ in range(3):
        os.kill(min(workers(server)), signal.SIGKILL)
        assert order(server, "unload") == 200
        assert {predict(server) for _ in range(200)} == {503}
        os.kill(max(workers(server)), signal.SIGKILL)
        assert order(server, "load") == 200
        assert {predict(server) for _ in range(200)} == {200}
