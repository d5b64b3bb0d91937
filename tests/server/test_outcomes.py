"""Outcomes with real workers: they decide a rollout, and a worker that is killed takes next to nothing with it."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import Server, until
from tests.server.test_rollouts import both_follow, call, predict, registry, start, workers

__all__ = ["registry"]
pytestmark = pytest.mark.server
PRICE = {"name": "error", "kind": "squared_error", "mde": 0.05, "direction": "down", "window_s": 1}
LOST_SECONDS = 0.25
DECIDED_SECONDS = 60.0


def lines(registry: Path, kind: str) -> list[dict[str, Any]]:
    found = registry.glob(f"m/rollouts/ro_*/{kind}/*")
    return [json.loads(line) for path in found for line in path.read_text().splitlines()]


def test_a_killed_worker_loses_a_quarter_of_a_second_of_exposures_and_no_outcome(
    serve: Callable[..., Server], registry: Path,
) -> None:
    server = serve(registry, MLAPI_WORKERS="2")
    rollout = start(server, candidate="2", control="1", plan=[{"weight": 0.5, "min_duration_s": 600}], metric=PRICE)
    path = f"/v1/rollouts/{rollout}"
    assert until(lambda: both_follow(server, path))
    given: list[tuple[float, str]] = []
    told: list[str] = []
    for _ in range(300):
        name = predict(server)["X-Mlapi-Prediction-Id"]
        given.append((time.time(), name))
        status, _, receipt = call(server, "POST", "/v1/outcomes", {"outcomes": [{"prediction_id": name, "label": 1.0}]})
        assert (status, receipt["accepted"]) == (202, 1)
        told.append(name)
    victim = min(workers(server, path).values())
    os.kill(victim, signal.SIGKILL)
    killed = time.time()
    assert until(lambda: len(workers(server, path)) > 2 or not _is_alive(victim))
    kept = {row["p"] for row in lines(registry, "exposures")}
    # the other worker needs its quarter of a second as well
    assert until(lambda: {name for at, name in given if at < killed - 2 * LOST_SECONDS} <= {
        row["p"] for row in lines(registry, "exposures")
    })  # fmt: skip
    assert kept <= {name for _, name in given}
    assert sorted(row["p"] for row in lines(registry, "outcomes")) == sorted(told)


def test_labels_promote_the_better_version_by_themselves(
    serve: Callable[..., Server], registry: Path,
) -> None:
    """Version 2 answers twice what version 1 does, and that is right on average: a thousand units an arm say so."""
    server = serve(registry, MLAPI_WORKERS="2", MLAPI_LOG_LEVEL="warning")
    rollout = start(server, candidate="2", control="1", plan=[{"weight": 0.5}], metric=PRICE)
    path = f"/v1/rollouts/{rollout}"
    assert until(lambda: both_follow(server, path))

    def ended() -> bool:
        names = [predict(server)["X-Mlapi-Prediction-Id"] for _ in range(100)]
        batch = [{"prediction_id": name, "label": 1.5 + at % 2} for at, name in enumerate(names)]
        assert call(server, "POST", "/v1/outcomes", {"outcomes": batch})[0] == 202
        return bool(call(server, "GET", path)[2]["state"] != "running")

    until_then = time.monotonic() + DECIDED_SECONDS
    while time.monotonic() < until_then:
        try:
            if ended():
                break
        except KeyError:  # it has ended while we asked: answers carry no id any more
            break
    stands = call(server, "GET", path)[2]
    assert (stands["state"], stands["history"][-1]["by"]) == ("promoted", "controller")
    assert "error: superiority is shown" in stands["history"][-1]["why"]
    assert stands["effect"]["difference"] < 0
    assert min(stands["effect"]["settled_control"], stands["effect"]["settled_candidate"]) >= 1000


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
