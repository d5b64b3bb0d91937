"""A server whose registry is gone answers, whoever of its workers ends meanwhile, and is whole when that is back."""

import http.client
import json
import os
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from mlapi.registry.publishing import publish
from tests.server.conftest import Server, until, workers

pytestmark = pytest.mark.server

ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [6.0, 8.0]])
BODY = json.dumps({"instances": [[1, 2]]}).encode()


def add(registry: Path, factor: float = 1.0) -> None:
    publish(LinearRegression().fit(ROWS, factor * ROWS.sum(axis=1)), "sum", sample=ROWS, registry=registry)


def ask(server: Server, path: str, body: bytes | None = None) -> tuple[int, Any, str | None]:
    """Return status, document and version of one request, on a connection of its own."""
    try:
        with urllib.request.urlopen(urllib.request.Request(server.url + path, body), timeout=20) as answer:
            return answer.status, json.loads(answer.read()), answer.headers["X-Model-Version"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read()), None


def answers(server: Server, times: int = 30) -> set[tuple[int, str | None]]:
    """Return the statuses and versions of so many predictions; connections that are cut count for none."""
    found = set()
    for _ in range(times):
        try:
            status, _, version = ask(server, "/v1/models/sum:predict", BODY)
        except (OSError, http.client.HTTPException):  # its worker was killed
            continue
        found.add((status, version))
    return found


def replaced(server: Server, replace: Callable[[], None]) -> None:
    """Have all workers replaced, and return when two others answer."""
    before = workers(server)
    replace()
    assert until(lambda: len(workers(server)) == 2 and not workers(server) & before)
    assert until(lambda: ask_ready(server))


def ask_ready(server: Server) -> bool:
    try:
        return ask(server, "/v2/health/ready")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


@pytest.mark.parametrize("how", ["killed", "replaced"])
def test_workers_that_begin_while_it_is_gone_answer_and_give_a_rollout_to_its_control(
    serve: Callable[..., Server], tmp_path: Path, how: str,
) -> None:
    registry, away = tmp_path / "registry", tmp_path / "away"
    add(registry)
    add(registry)
    server = serve(registry, MLAPI_WORKERS="2")
    order = {"model": "sum", "candidate": "2", "plan": [{"weight": 0.999999, "min_duration_s": 3600}]}
    status, rollout, _ = ask(server, "/v1/rollouts", json.dumps(order).encode())
    assert status == 201
    assert until(lambda: bool(ask(server, f"/v1/rollouts/{rollout['id']}")[1]["converged"]))
    replaced(server, lambda: server.process.send_signal(signal.SIGHUP))  # both versions are read before the fork now
    assert until(lambda: answers(server, 10) == {(200, "2")})
    registry.rename(away)
    if how == "killed":
        replaced(server, lambda: [os.kill(pid, signal.SIGKILL) for pid in workers(server)] and None)
    else:
        replaced(server, lambda: server.process.send_signal(signal.SIGHUP))
    assert answers(server) == {(200, "1")}
    assert ask(server, f"/v1/rollouts/{rollout['id']}")[1]["stale"] is True
    assert ask(server, "/v1/rollouts")[0] == 503
    assert server.process.poll() is None
    away.rename(registry)
    assert until(lambda: answers(server, 10) == {(200, "2")})
    assert server.stop() == 0


def test_another_registry_in_its_place_is_served_with_its_own_models(
    serve: Callable[..., Server], tmp_path: Path,
) -> None:
    registry = tmp_path / "registry"
    add(registry)
    server = serve(registry, MLAPI_WORKERS="2")
    assert predicted(server) == pytest.approx(3.0)
    shutil.rmtree(registry)
    assert {status for status, _ in answers(server)} == {200}
    add(registry, factor=2.0)
    assert until(lambda: {round(predicted(server), 6) for _ in range(10)} == {6.0})


def predicted(server: Server) -> float:
    return float(ask(server, "/v1/models/sum:predict", BODY)[1]["predictions"][0])
