"""Rollouts with real workers: all follow, all count, one controls, and a rollback reaches everybody."""

import contextlib
import http.client
import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from mlapi.registry.publishing import publish
from mlapi.registry.store import Store
from mlapi.rollouts import progress
from mlapi.rollouts.generations import Generations
from tests.server.conftest import OddModel, Server, until

pytestmark = pytest.mark.server

ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [6.0, 8.0]])


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """Return a registry whose model `m` has two versions."""
    path = tmp_path / "registry"
    for factor in (1.0, 2.0):
        publish(LinearRegression().fit(ROWS, factor * ROWS[:, 0]), "m", sample=ROWS, registry=path)
    return path


def call(server: Server, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], Any]:
    """Return status, headers and document of one request on a connection of its own, so that any worker may answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=40)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), json.loads(answer.read())
    finally:
        connection.close()


def predict(server: Server, **headers: str) -> dict[str, str]:
    status, found, _ = call(server, "POST", "/v1/models/m:predict", {"instances": [[1, 2]]}, **headers)
    assert status == 200
    return found


def start(server: Server, **order: Any) -> str:
    status, _, document = call(server, "POST", "/v1/rollouts", {"model": "m", **order})
    assert status == 201, document
    return str(document["id"])


def workers(server: Server, path: str) -> dict[str, int]:
    """Return the pids of the workers that follow a rollout, by the names of their counters."""
    return {one["name"]: int(one["name"].split("-")[-2]) for one in call(server, "GET", path)[2]["workers"]}


def both_follow(server: Server, path: str) -> bool:
    stands = call(server, "GET", path)[2]
    return bool(stands["converged"] and len(stands["workers"]) == 2)


def test_every_worker_follows_counts_and_keeps_each_key_at_its_version(
    serve: Callable[..., Server], registry: Path,
) -> None:
    server = serve(registry, MLAPI_WORKERS="2")
    rollout = start(server, candidate="2", control="1", plan=[{"weight": 0.5, "min_duration_s": 600}])
    path = f"/v1/rollouts/{rollout}"
    assert until(lambda: both_follow(server, path))
    versions = {key: {predict(server, **{"X-User-Id": key})["X-Model-Version"] for _ in range(5)}
                for key in map(str, range(40))}  # fmt: skip
    assert {len(found) for found in versions.values()} == {1}
    assert {version for found in versions.values() for version in found} == {"1", "2"}

    def counted() -> tuple[int, int]:
        arms = call(server, "GET", path)[2]["arms"].values()
        return sum(arm["requests"] for arm in arms), sum(arm["keys"] for arm in arms)

    assert until(lambda: counted() == (200, 40))
    before = workers(server, path)
    os.kill(min(before.values()), signal.SIGKILL)
    assert until(lambda: bool(workers(server, path).keys() - before.keys()))
    assert counted() == (200, 40)
    assert call(server, "POST", f"{path}:abort")[0] == 200
    assert until(lambda: {predict(server)["X-Model-Version"] for _ in range(20)} == {"1"})


def test_a_ramp_ends_at_the_candidate_by_itself(serve: Callable[..., Server], registry: Path) -> None:
    server = serve(registry, MLAPI_WORKERS="2")
    rollout = start(server, candidate="2", control="1", plan=[{"weight": 0.5, "min_samples": 20}])
    path = f"/v1/rollouts/{rollout}"

    def promoted() -> bool:
        predict(server)
        return bool(call(server, "GET", path)[2]["state"] == "promoted")

    assert until(promoted)
    assert until(lambda: {predict(server)["X-Model-Version"] for _ in range(20)} == {"2"})
    assert call(server, "GET", path)[2]["history"][-1]["by"] == "controller"


def test_a_candidate_that_fails_never_reaches_a_caller_and_is_rolled_back_in_every_worker(
    serve: Callable[..., Server], tmp_path: Path,
) -> None:
    """The candidate takes twice the columns, so that it can answer nothing."""
    path = tmp_path / "other"
    wide = np.hstack([ROWS, ROWS])
    publish(LinearRegression().fit(ROWS, ROWS[:, 0]), "m", sample=ROWS, registry=path)
    publish(LinearRegression().fit(wide, wide[:, 0]), "m", sample=wide, registry=path)
    server = serve(path, MLAPI_WORKERS="2")
    rollout = start(server, candidate="2", control="1", plan=[{"weight": 0.5, "min_duration_s": 600}])
    assert until(lambda: both_follow(server, f"/v1/rollouts/{rollout}"))
    seen: Counter[tuple[str | None, str | None]] = Counter()

    def ended() -> bool:
        found = predict(server)
        seen[found.get("X-Model-Version"), found.get("X-Mlapi-Fallback")] += 1
        return Generations(Store(path)).latest("m", rollout).state == "rolled_back"

    assert until(ended)
    assert seen["1", "true"] >= 5
    last = Generations(Store(path)).latest("m", rollout)
    assert last.history[-1].by in {"breaker", "controller"}
    assert until(lambda: progress.of(Generations(Store(path)), last).converged)
    found = [predict(server) for _ in range(20)]
    assert {one["X-Model-Version"] for one in found} == {"1"}
    assert not any("X-Mlapi-Rollout" in one for one in found)


@pytest.fixture
def odd(registry: Path, odd_model: OddModel) -> dict[str, str]:
    """Publish a version 3 that is odd; return the environment that has its code."""
    publish(odd_model.fitted, "m", sample=ROWS, registry=registry)
    return odd_model.environ


def test_a_candidate_that_hangs_is_rolled_back_though_its_requests_never_end(
    serve: Callable[..., Server], registry: Path, odd: dict[str, str],
) -> None:
    server = serve(registry, MLAPI_WORKERS="2", MLAPI_REQUEST_SECONDS="2", **odd)
    path = f"/v1/rollouts/{start(server, candidate='3', control='1', plan=[{'weight': 0.5, 'min_duration_s': 600}])}"
    assert until(lambda: both_follow(server, path))
    statuses: Counter[int] = Counter()

    def ask(number: int) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):  # its worker was replaced
            statuses[call(server, "POST", "/v1/models/m:predict", {"instances": [[666, number]]})[0]] += 1

    def rolled_back() -> bool:
        with ThreadPoolExecutor(6) as callers:
            list(callers.map(ask, range(6)))
        return bool(call(server, "GET", path)[2]["state"] == "rolled_back")

    assert until(rolled_back, within=60)
    assert statuses[504] >= 3
    assert call(server, "GET", path)[2]["arms"]["candidate"]["errors"] >= 3
    assert until(lambda: {predict(server)["X-Model-Version"] for _ in range(10)} == {"1"})


def test_a_candidate_that_would_end_the_process_is_answered_for_by_the_control(
    serve: Callable[..., Server], registry: Path, odd: dict[str, str],
) -> None:
    server = serve(registry, MLAPI_WORKERS="2", **odd)
    path = f"/v1/rollouts/{start(server, candidate='3', control='1', plan=[{'weight': 0.999999}])}"
    assert until(lambda: both_follow(server, path))
    for _ in range(20):
        status, headers, _ = call(server, "POST", "/v1/models/m:predict", {"instances": [[667, 1]]})
        assert (status, headers["X-Model-Version"]) == (200, "1")
    assert until(lambda: call(server, "GET", path)[2]["state"] == "rolled_back")
