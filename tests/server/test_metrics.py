"""Metrics of two real workers: added up, kept when a worker is killed, and told while the registry is gone."""

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sklearn.linear_model import LinearRegression

from mlapi.registry.publishing import publish
from tests.server.conftest import Server, until, workers

pytestmark = pytest.mark.server

ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [6.0, 8.0]])
BODY = json.dumps({"instances": [[1, 2]]})
SUCCESS = {"model": "sum", "version": "1", "outcome": "success"}


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """Return a registry of two versions of one model."""
    for _ in range(2):
        publish(LinearRegression().fit(ROWS, ROWS.sum(axis=1)), "sum", sample=ROWS, registry=tmp_path / "registry")
    return tmp_path / "registry"


@pytest.fixture
def server(serve: Callable[..., Server], registry: Path) -> Iterator[Server]:
    """Return two workers; a registry that was moved away comes back before they end."""
    yield serve(registry, MLAPI_WORKERS="2")
    if not registry.exists():
        registry.with_name("away").rename(registry)


def told(server: Server, metric: str, **labels: str) -> float:
    """Return the sum of a metric over all samples that have these labels, by a scrape on a connection of its own."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=20) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    samples = [one for family in families for one in family.samples if one.name == metric]
    return sum(one.value for one in samples if labels.items() <= one.labels.items())


def predict(server: Server, times: int, path: str = "/v1/models/sum/versions/1:predict") -> int:
    """Ask so often, on one connection; return how many of the answers a rollout decided."""
    decided = 0
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
        for _ in range(times):
            connection.request("POST", path, BODY)
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (200, True)
            decided += answer.headers["X-Mlapi-Rollout"] is not None
    return decided


def document(server: Server, path: str, body: bytes | None = None) -> Any:
    with urllib.request.urlopen(urllib.request.Request(server.url + path, body), timeout=20) as answer:
        return json.loads(answer.read())


def test_workers_are_added_up_and_what_a_killed_one_counted_stays_counted(server: Server) -> None:
    for _ in range(20):
        predict(server, 10)
    route = "/v1/models/{name}/versions/{version}:predict"
    assert until(lambda: told(server, "mlapi_inference_requests_total", **SUCCESS) == 200)
    assert told(server, "mlapi_http_requests_total", method="POST", route=route, status="200") == 200
    assert told(server, "mlapi_http_request_duration_seconds_count", route=route) == 200
    assert told(server, "mlapi_inference_duration_seconds_count", model="sum", version="1") == 200
    assert until(lambda: told(server, "mlapi_workers") == 2)
    for _ in range(3):
        before = workers(server)
        os.kill(min(before), signal.SIGKILL)
        assert until(lambda before=before: len(workers(server)) == 2 and workers(server) != before)
    assert told(server, "mlapi_inference_requests_total", **SUCCESS) == 200
    predict(server, 50)
    assert until(lambda: told(server, "mlapi_inference_requests_total", **SUCCESS) == 250)


def test_no_scrape_tells_less_than_the_one_before_while_workers_count_die_and_are_born(server: Server) -> None:
    ended, seen = threading.Event(), [0.0]

    def ask() -> None:
        while not ended.is_set():
            try:
                predict(server, 20)
            except (OSError, http.client.HTTPException):  # its worker was killed
                continue

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(60):
            seen.append(told(server, "mlapi_inference_requests_total", **SUCCESS))
            if number in {15, 30, 45}:
                before = workers(server)
                os.kill(max(before), signal.SIGKILL)
                assert until(lambda before=before: len(workers(server)) == 2 and workers(server) != before)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert seen == sorted(seen)
    assert seen[-1] > seen[1]


def test_what_the_server_refuses_itself_and_what_it_holds_is_told(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(b"NO HTTP AT ALL\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 400 ")
    assert until(lambda: told(server, "mlapi_server_refusals_total", status="400") == 1)
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(5)]
    assert until(lambda: told(server, "mlapi_server_connections") >= 5)
    for line in idle:
        line.close()
    assert told(server, "mlapi_server_running_requests") >= 1  # this very request


def test_a_registry_that_cannot_be_reached_is_told_while_it_is_so(server: Server, registry: Path) -> None:
    order = json.dumps({"model": "sum", "candidate": "2", "plan": [{"weight": 0.5, "min_duration_s": 3600}]}).encode()
    rollout = document(server, "/v1/rollouts", order)["id"]
    named = {"model": "sum", "rollout": rollout}
    assert until(lambda: bool(document(server, f"/v1/rollouts/{rollout}")["converged"]))
    assert predict(server, 10, "/v1/models/sum:predict") == 10
    assert until(lambda: told(server, "mlapi_rollout_requests_total", **named) >= 10)
    assert told(server, "mlapi_registry_silence_seconds") < 5
    registry.rename(registry.with_name("away"))
    moved = time.monotonic()
    assert until(lambda: told(server, "mlapi_registry_silence_seconds") > 4)
    assert time.monotonic() - moved > 3
    assert predict(server, 10, "/v1/models/sum:predict") == 10
    assert told(server, "mlapi_rollout_info", state="running", **named) == 1
    assert not registry.exists()  # nobody begins it anew with what he has to write
    registry.with_name("away").rename(registry)
    assert until(lambda: told(server, "mlapi_registry_silence_seconds") < 3)
