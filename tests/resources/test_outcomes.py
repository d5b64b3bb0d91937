"""Outcomes over REST: from an answer's prediction id to a line on disk, once, or to the reason why not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

FLOWER = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
CLICKS = {"name": "clicks", "kind": "binary", "mde": 0.01, "window_s": 60}


@pytest.fixture
def app(make_app: Callable[..., Flask], registry_copy: Path) -> Flask:
    return make_app(registry_copy)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def asked(client: FlaskClient, app: Flask) -> Callable[..., str]:
    """Start a rollout of iris with a metric at the first call; return the id of a prediction."""
    begun: list[str] = []

    def ask(metric: Any = CLICKS, **headers: str) -> str:
        if not begun:
            order = {"model": "iris", "candidate": "2", "plan": [{"weight": 0.5}], "metric": metric}
            answer = client.post("/v1/rollouts", json=order)
            assert answer.status_code == 201, answer.data
            begun.append(answer.get_json()["id"])
            app.extensions["mlapi"].rollouts.tick()
        response = client.post("/v1/models/iris:predict", json=FLOWER, headers=headers)
        return str(response.headers["X-Mlapi-Prediction-Id"])

    return ask


def tell(client: FlaskClient, *outcomes: dict[str, Any]) -> tuple[int, Any]:
    answer = client.post("/v1/outcomes", json={"outcomes": list(outcomes)})
    return answer.status_code, answer.get_json()


def lines(registry: Path, kind: str) -> list[dict[str, Any]]:
    found = registry.glob(f"iris/rollouts/ro_*/{kind}/*")
    return [json.loads(line) for path in sorted(found) for line in path.read_text().splitlines()]


def test_an_outcome_is_on_disk_when_it_is_acknowledged_and_counts_once(
    client: FlaskClient, asked: Callable[..., str], registry_copy: Path,
) -> None:
    first, second = asked(), asked()
    status, found = tell(client, {"prediction_id": first, "value": 1}, {"prediction_id": second, "value": False})
    assert (status, found["accepted"]) == (202, 2)
    assert [(row["p"], row["v"], row["l"]) for row in lines(registry_copy, "outcomes")] == [
        (first, 1.0, None), (second, 0.0, None),
    ]  # fmt: skip
    status, found = tell(client, {"prediction_id": first, "value": 1}, {"prediction_id": second, "value": 1})
    assert [row["status"] for row in found["outcomes"]] == ["duplicate", "duplicate"]
    assert "another value" in found["outcomes"][1]["why"]
    assert len(lines(registry_copy, "outcomes")) == 3  # the conflict is kept for the ledger to count


@pytest.mark.parametrize(("metric", "outcome", "why"), [
    (CLICKS, {"value": 2}, "0 or 1"), (CLICKS, {"label": "x"}, "takes a value"),
    (CLICKS, {"value": 1, "metric": "revenue"}, "the metric of the rollout is clicks"),
    ({**CLICKS, "kind": "squared_error"}, {"value": 1}, "takes a label"),
    ({**CLICKS, "kind": "squared_error"}, {"label": "x"}, "a label that is a number"),
    ({**CLICKS, "kind": "squared_error"}, {"label": True}, "a label that is a number"),
])  # fmt: skip
def test_an_outcome_that_does_not_fit_is_named(
    client: FlaskClient, asked: Callable[..., str], metric: Any, outcome: Any, why: str,
) -> None:
    status, found = tell(client, {"prediction_id": asked(metric), **outcome})
    assert (status, found["invalid"]) == (202, 1)
    assert why in found["outcomes"][0]["why"]


def test_forged_foreign_malformed_and_pinned_ids_are_invalid_and_good_ones_beside_them_count(
    client: FlaskClient, asked: Callable[..., str], registry_copy: Path,
) -> None:
    good = asked()
    forged = good[:-3] + ("AAA" if good[-3:] != "AAA" else "BBB")
    pinned = asked(**{"X-Mlapi-Variant": "candidate"})
    _, found = tell(client, *({"prediction_id": one, "value": 1} for one in (good, forged, "A" * 47, "short", pinned)))
    assert [row["status"] for row in found["outcomes"]] == ["accepted", "invalid", "invalid", "invalid", "invalid"]
    whys = [row.get("why", "") for row in found["outcomes"]]
    wanted = ("", "signature", "no rollout", "47 characters", "pinned")
    assert all(want in why for want, why in zip(wanted, whys, strict=True))
    assert len(lines(registry_copy, "outcomes")) == 1


def test_an_outcome_after_its_window_is_late(
    client: FlaskClient, asked: Callable[..., str], app: Flask, monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = asked()
    desk = app.extensions["mlapi"].outcomes
    now = desk._clock()
    monkeypatch.setattr(desk, "_clock", lambda: now + 61)
    _, found = tell(client, {"prediction_id": name, "value": 1})
    assert found["outcomes"][0]["status"] == "late"


def test_while_the_registry_is_gone_no_outcome_is_called_invalid_that_it_might_know(
    client: FlaskClient, asked: Callable[..., str], app: Flask, registry_copy: Path,
) -> None:
    name = asked()
    app.extensions["mlapi"].outcomes._rollouts.clear()  # as in a worker that was not told of any yet
    app.extensions["mlapi"].outcomes._looked = float("-inf")
    registry_copy.rename(registry_copy.with_name("away"))
    assert [tell(client, {"prediction_id": name, "value": 1})[0] for _ in range(3)] == [503, 503, 503]
    registry_copy.with_name("away").rename(registry_copy)
    assert tell(client, {"prediction_id": name, "value": 1})[1]["accepted"] == 1


@pytest.mark.parametrize("odd", [
    {}, None, 1, [], {"prediction_id": "x"}, {"prediction_id": "x", "value": 1, "label": 1}, {"value": 1},
    {"prediction_id": "x", "value": "1"}, {"prediction_id": "x", "label": [1]}, {"prediction_id": 7, "value": 1},
    {"prediction_id": "x", "value": 1, "more": 1}, {"prediction_id": "", "value": 1},
])  # fmt: skip
def test_one_odd_outcome_costs_the_others_nothing(client: FlaskClient, asked: Callable[..., str], odd: Any) -> None:
    good = {"prediction_id": asked(), "value": 1}
    _, found = tell(client, odd, good, odd)
    assert [row["status"] for row in found["outcomes"]] == ["invalid", "accepted", "invalid"]
    assert found["outcomes"][0]["why"]


@pytest.mark.parametrize("body", [
    {}, {"outcomes": []}, {"outcomes": {}}, {"outcomes": None}, {"outcomes": [{}], "more": 1},
])  # fmt: skip
def test_a_body_that_is_no_batch_is_refused_whole(client: FlaskClient, body: Any) -> None:
    answer = client.post("/v1/outcomes", json=body)
    assert answer.status_code == 400
    assert answer.get_json()["error"]


def test_every_request_of_a_rollout_leaves_a_line_that_says_all(
    asked: Callable[..., str], app: Flask, registry_copy: Path,
) -> None:
    name = asked(**{"X-User-Id": "u42"})
    app.extensions["mlapi"].exposures.flush()
    (row,) = lines(registry_copy, "exposures")
    assert {"p": name, "s": 0, "w": 500_000, "f": 0, "u": "key", "e": 0, "n": 1, "y": "setosa"}.items() <= row.items()
    assert row["a"] in {"control", "candidate"}
    assert len(row["k"]) == 16
    assert row["l"] > 0
    assert [path.suffix for path in registry_copy.glob("iris/rollouts/*/exposures/*")] == [".jsonl"]


def test_without_room_outcomes_are_not_acknowledged_and_predictions_do_not_notice(
    client: FlaskClient, asked: Callable[..., str], app: Flask, registry_copy: Path,
) -> None:
    """A file where the folder should be, since root may write anywhere."""
    name = asked()
    (folder,) = registry_copy.glob("iris/rollouts/ro_*")
    for kind in ("outcomes", "exposures"):
        (folder / kind).write_text("in the way")
    answer = client.post("/v1/outcomes", json={"outcomes": [{"prediction_id": name, "value": 1}]})
    assert answer.status_code == 503
    assert asked()
    app.extensions["mlapi"].exposures.write()
    assert app.extensions["mlapi"].exposures.dropped >= 1
    (folder / "outcomes").unlink()
    assert tell(client, {"prediction_id": name, "value": 1})[1]["accepted"] == 1
