"""A shadow with real workers: everybody gets the control, and what the candidate does hurts nobody."""

import contextlib
import http.client
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from mlapi.registry.publishing import publish
from mlapi.rollouts.shadowing import MOST_WAITING
from tests.server.conftest import OddModel, Server, until
from tests.server.test_rollouts import ROWS, both_follow, call, predict, registry, start, workers

__all__ = ["registry"]
pytestmark = pytest.mark.server
ASKED = 60


def compared(server: Server, path: str) -> Any:
    return call(server, "GET", f"{path}/comparison")[2]


def test_a_shadow_answers_nobody_and_its_losses_are_known_from_labels(
    serve: Callable[..., Server], registry: Path,
) -> None:
    """Version 2 answers 2 where version 1 answers 1, and 2 is right."""
    server = serve(registry, MLAPI_WORKERS="2")
    metric = {"name": "error", "kind": "squared_error", "mde": 0.5, "direction": "down", "window_s": 60}
    shadow = {"core_share": 1.0, "tolerance": 0.5}
    path = f"/v1/rollouts/{start(server, candidate='2', control='1', shadow=shadow, metric=metric)}"
    assert until(lambda: both_follow(server, path))
    found = [predict(server) for _ in range(ASKED)]
    assert {one["X-Model-Version"] for one in found} == {"1"}
    batch = [{"prediction_id": one["X-Mlapi-Prediction-Id"], "label": 2.0} for one in found]
    assert call(server, "POST", "/v1/outcomes", {"outcomes": batch})[2]["accepted"] == ASKED
    assert until(lambda: compared(server, path)["pairs"] == ASKED)
    seen = compared(server, path)
    assert (seen["disagreement"]["share"], seen["mean_difference"]) == (1.0, pytest.approx(1.0))
    assert (seen["losses"]["number"], seen["losses"]["mean"]) == (ASKED, pytest.approx(-1.0))
    assert call(server, "GET", path)[2]["state"] == "running"


def test_a_shadow_that_can_answer_nothing_is_counted_and_not_noticed(
    serve: Callable[..., Server], tmp_path: Path,
) -> None:
    path = tmp_path / "other"
    wide = np.hstack([ROWS, ROWS])
    publish(LinearRegression().fit(ROWS, ROWS[:, 0]), "m", sample=ROWS, registry=path)
    publish(LinearRegression().fit(wide, wide[:, 0]), "m", sample=wide, registry=path)
    server = serve(path, MLAPI_WORKERS="2")
    url = f"/v1/rollouts/{start(server, candidate='2', control='1', shadow={'core_share': 1.0})}"
    assert until(lambda: both_follow(server, url))
    assert {predict(server)["X-Model-Version"] for _ in range(ASKED)} == {"1"}
    assert until(lambda: compared(server, url)["errors"] == ASKED)
    assert call(server, "GET", url)[2]["state"] == "running"


def test_a_candidate_that_hangs_hurts_nobody_and_what_it_did_not_get_to_is_counted(
    serve: Callable[..., Server], tmp_path: Path, odd_model: OddModel,
) -> None:
    """A request that waited for it would never be answered."""
    path = tmp_path / "other"
    for model in (LinearRegression().fit(ROWS, ROWS[:, 0]), odd_model.fitted):
        publish(model, "m", sample=ROWS, registry=path)
    server = serve(path, MLAPI_WORKERS="2", **odd_model.environ)
    url = f"/v1/rollouts/{start(server, candidate='2', control='1', shadow={'core_share': 1.0})}"
    assert until(lambda: both_follow(server, url))
    first = workers(server, url)
    for count in (MOST_WAITING + 5, *[1] * 20):  # more to one worker than may wait, and some to any
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=40)) as connection:
            for _ in range(count):
                connection.request("POST", "/v1/models/m:predict", b'{"instances": [[666, 1]]}')
                answer = connection.getresponse()
                assert (answer.read(), answer.status, answer.headers["X-Model-Version"])[1:] == (200, "1")
    assert until(lambda: compared(server, url)["dropped"] > 0)
    assert compared(server, url)["pairs"] == 0
    assert (call(server, "GET", url)[2]["state"], workers(server, url)) == ("running", first), "no worker was replaced"
    assert call(server, "POST", f"{url}:abort")[0] == 200
    assert server.stop() == 0
