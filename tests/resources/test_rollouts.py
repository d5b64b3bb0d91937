"""Rollouts over REST: every verb, every fault, and what an answer says of the rollout it was given in."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from mlapi.registry.publishing import publish

FLOWER = [5.1, 3.5, 1.4, 0.2]
BODY = {"instances": [FLOWER]}
PREDICT = "/v1/models/iris:predict"
INFER = "/v2/models/iris/infer"
TENSOR = {"inputs": [{"name": "input-0", "shape": [1, 4], "datatype": "FP64", "data": FLOWER}]}


@pytest.fixture
def app(make_app: Callable[..., Flask], registry_copy: Path) -> Flask:
    """Return an app over a registry of the test's own."""
    return make_app(registry_copy)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    client = app.test_client()
    assert client.get("/v1/models").status_code == 200  # everything is started
    return client


@pytest.fixture
def _two_homes(app: Flask, registry_copy: Path, homes_model: Any, homes_rows: Any) -> None:
    """Publish a second version of the regressor."""
    publish(homes_model, "homes", sample=homes_rows, registry=registry_copy)
    app.extensions["mlapi"].live.refresh()


@pytest.fixture
def begin(client: FlaskClient, app: Flask) -> Callable[..., str]:
    """Start a rollout of iris from 1 to 2 and follow it; return its id."""

    def start(weight: float = 0.999999, **more: Any) -> str:
        order = {"model": "iris", "candidate": "2", "plan": [{"weight": weight}], **more}
        answer = client.post("/v1/rollouts", json=order)
        assert answer.status_code == 201, answer.data
        app.extensions["mlapi"].rollouts.tick()
        return str(answer.get_json()["id"])

    return start


def test_a_rollout_is_started_and_told_whole(client: FlaskClient, begin: Callable[..., str]) -> None:
    rollout = begin(0.25, why="try it", keys=["field:user_id"])
    told = client.get(f"/v1/rollouts/{rollout}").get_json()
    wanted = {"id": rollout, "model": "iris", "control": "1", "candidate": "2", "state": "running", "step": 0,
              "weight": 0.25, "generation": 1}  # fmt: skip
    assert {name: told[name] for name in wanted} == wanted
    assert (told["converged"], [worker["lag"] for worker in told["workers"]]) == (False, [0])  # too early to tell
    assert [(change["by"], change["why"]) for change in told["history"]] == [("api", "try it")]
    assert not {"salt", "secret"} & told.keys()
    listed = client.get("/v1/rollouts").get_json()["rollouts"]
    assert [row["id"] for row in listed] == [rollout]
    assert client.get("/v1/rollouts?model=homes").get_json() == {"rollouts": []}


def test_an_answer_names_rollout_variant_version_and_prediction(client: FlaskClient, begin: Callable[..., str]) -> None:
    assert not [name for name in client.post(PREDICT, json=BODY).headers if name[0].startswith("X-Mlapi")]
    rollout = begin()
    for path, body in ((PREDICT, BODY), (INFER, TENSOR)):
        answer = client.post(path, json=body)
        headers = answer.headers
        assert (headers["X-Mlapi-Rollout"], headers["X-Mlapi-Variant"], headers["X-Model-Version"]) == (
            rollout, "candidate", "2",
        )  # fmt: skip
        assert len(headers["X-Mlapi-Prediction-Id"]) == 47
        assert "X-Mlapi-Fallback" not in headers
    assert answer.get_json()["parameters"] == {"prediction_id": headers["X-Mlapi-Prediction-Id"]}


def test_versions_labels_and_other_models_are_untouched(client: FlaskClient, begin: Callable[..., str]) -> None:
    begin()
    for path in ("/v1/models/iris/versions/1:predict", "/v1/models/iris/labels/stable:predict"):
        answer = client.post(path, json=BODY)
        assert (answer.headers["X-Model-Version"], "X-Mlapi-Rollout" in answer.headers) == ("1", False)


@pytest.mark.parametrize(("source", "headers", "more"), [
    ("header:X-User-Id", {"X-User-Id": "u42"}, {}),
    ("field:user_id", {}, {"user_id": "u42"}),
    ("field:context.user.id", {}, {"context": {"user": {"id": "u42"}}}),
    ("field:users.0", {}, {"users": ["u42"]}),
])  # fmt: skip
def test_who_asks_is_known_by_header_or_body_and_the_assignment_is_explained(
    client: FlaskClient, begin: Callable[..., str], source: str, headers: dict[str, str], more: dict[str, Any],
) -> None:
    begin(0.5, keys=[source])
    told = client.get("/v1/models/iris/assignment?key=u42").get_json()
    for _ in range(3):
        answer = client.post(PREDICT, json={**BODY, **more}, headers=headers)
        assert answer.headers["X-Mlapi-Variant"] == told["variant"]
        assert answer.headers["X-Model-Version"] == told["version"]
    assert f"bucket {told['bucket']} of 1000000" in told["why"]


@pytest.mark.parametrize("value", [None, True, 1.5, ["x"], {}, ""])
def test_what_is_no_key_is_a_request_by_itself(client: FlaskClient, begin: Callable[..., str], value: Any) -> None:
    begin(0.5, keys=["field:user_id"])
    answer = client.post(PREDICT, json={**BODY, "user_id": value})
    told = client.get(f"/v1/models/iris/assignment?prediction_id={answer.headers['X-Mlapi-Prediction-Id']}").get_json()
    assert "it had no key and was drawn" in told["why"]


def test_a_key_in_the_json_of_a_binary_request_and_a_number_are_found(
    client: FlaskClient, begin: Callable[..., str],
) -> None:
    begin(0.5, keys=["field:parameters.user"])
    told = client.get("/v1/models/iris/assignment?key=42").get_json()
    tensor = {**TENSOR["inputs"][0], "data": None, "parameters": {"binary_data_size": 32}}
    del tensor["data"]
    part = json.dumps({"parameters": {"user": 42}, "inputs": [tensor]}).encode()
    raw = b"".join(__import__("struct").pack("<d", value) for value in FLOWER)
    answer = client.post(INFER, data=part + raw, headers={"Inference-Header-Content-Length": str(len(part))})
    assert answer.status_code == 200, answer.data
    assert answer.headers["X-Mlapi-Variant"] == told["variant"]


def test_a_prediction_is_explained_by_its_id(client: FlaskClient, begin: Callable[..., str]) -> None:
    rollout = begin()
    answer = client.post(PREDICT, json=BODY, headers={"X-User-Id": "u1"})
    told = client.get(f"/v1/models/iris/assignment?prediction_id={answer.headers['X-Mlapi-Prediction-Id']}").get_json()
    assert (told["rollout"], told["version"], told["variant"], told["model"]) == (rollout, "2", "candidate", "iris")
    assert told["why"].startswith("its key fell into bucket")
    pinned = client.post(PREDICT, json=BODY, headers={"X-Mlapi-Variant": "control"})
    told = client.get(f"/v1/models/iris/assignment?prediction_id={pinned.headers['X-Mlapi-Prediction-Id']}").get_json()
    assert (told["version"], told["variant"], told["why"]) == ("1", "pinned", "the caller pinned the variant")


def test_a_forged_and_a_foreign_prediction_id_are_refused_with_a_sentence(
    client: FlaskClient, begin: Callable[..., str],
) -> None:
    begin()
    given = client.post(PREDICT, json=BODY).headers["X-Mlapi-Prediction-Id"]
    forged = given[:30] + ("A" if given[30] != "A" else "B") + given[31:]
    for model, text, sentence in (
        ("iris", "short", "the prediction id is none; expected 47 characters"),
        ("iris", forged, "its signature is wrong"),
        ("homes", given, "was given by no rollout of model 'homes'"),
    ):
        answer = client.get(f"/v1/models/{model}/assignment?prediction_id={text}")
        assert (answer.status_code, sentence in answer.get_json()["error"]) == (400, True), answer.data


@pytest.mark.parametrize("query", ["", "?key=a&prediction_id=b"])
def test_an_assignment_is_of_a_key_or_of_a_prediction(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/v1/models/iris/assignment{query}")
    assert (answer.status_code, "exactly one of key and prediction_id" in answer.get_json()["error"]) == (400, True)


def test_without_a_rollout_and_after_one_the_assignment_says_so(client: FlaskClient, begin: Callable[..., str]) -> None:
    told = client.get("/v1/models/iris/assignment?key=u").get_json()
    assert (told["version"], "no rollout" in told["why"]) == ("2", True)
    client.post(f"/v1/rollouts/{begin()}:abort")
    told = client.get("/v1/models/iris/assignment?key=u").get_json()
    assert (told["version"], told["why"]) == ("1", "the last rollout is aborted, so version 1 answers everybody")
    assert client.get("/v1/models/nobody/assignment?key=u").status_code == 404


def test_the_verbs_change_it_and_are_refused_where_they_do_not_fit(
    client: FlaskClient, app: Flask, begin: Callable[..., str],
) -> None:
    path = f"/v1/rollouts/{begin(0.5)}"
    for verb, status, state in (
        ("resume", 409, "running"), ("pause", 200, "paused"), ("pause", 409, "paused"), ("resume", 200, "running"),
        ("abort", 200, "aborted"), ("promote", 409, "aborted"), ("release", 200, "aborted"),
        ("release", 409, "aborted"),
    ):  # fmt: skip
        answer = client.post(f"{path}:{verb}", json={"why": f"to {verb}"})
        assert answer.status_code == status, answer.data
        assert client.get(path).get_json()["state"] == state
    assert [change["why"] for change in client.get(path).get_json()["history"]] == [
        "started", "to pause", "to resume", "to abort", "to release",
    ]  # fmt: skip
    app.extensions["mlapi"].rollouts.tick()
    assert client.post(PREDICT, json=BODY).headers["X-Model-Version"] == "2"


def test_a_promotion_gives_everything_to_the_candidate(
    client: FlaskClient, app: Flask, begin: Callable[..., str],
) -> None:
    client.post(f"/v1/rollouts/{begin(0.01)}:promote")
    app.extensions["mlapi"].rollouts.tick()
    answer = client.post(PREDICT, json=BODY)
    assert (answer.headers["X-Model-Version"], "X-Mlapi-Rollout" in answer.headers) == ("2", False)


@pytest.mark.parametrize(("order", "status", "sentence"), [
    ({"model": "nobody", "candidate": "2"}, 404, "model 'nobody' is unknown"),
    ({"model": "../etc", "candidate": "2"}, 404, "is unknown"),
    ({"model": "iris", "candidate": "9"}, 404, "has no version '9'"),
    ({"model": "iris", "candidate": "2", "control": "9"}, 404, "has no version '9'"),
    ({"model": "iris", "candidate": "2", "control": "2"}, 400, "is the control as well"),
    ({"model": "iris", "candidate": "1"}, 409, "has no version before it"),
    ({"model": "iris", "candidate": "x"}, 400, "candidate: expected a version"),
    ({"model": "iris"}, 400, "candidate: missing data"),
    ({"model": "iris", "candidate": "2", "plan": [{"weight": 0.5}, {"weight": 0.1}]}, 400, "shrinks from 0.5 to 0.1"),
    ({"model": "iris", "candidate": "2", "plan": [{"weight": 1.5}]}, 400, "expected a weight above 0 and below 1"),
    ({"model": "iris", "candidate": "2", "plan": []}, 400, "expected 1 to 100 steps"),
    ({"model": "iris", "candidate": "2", "keys": ["cookie:a"]}, 400, "no source"),
    ({"model": "iris", "candidate": "2", "guardrails": [{"name": "errors", "alpha": 0.06}]}, 400, "add up to 0.06"),
    ({"model": "iris", "candidate": "2", "guardrails": [{"name": "magic"}]}, 400, "guardrails[0].name"),
    ({"model": "iris", "candidate": "2", "wieght": 1}, 400, "wieght: unknown field"),
    ({"model": "iris", "candidate": "2", "plan": [{"weight": "1"}]}, 400, "plan[0].weight"),
    ({"model": "iris", "candidate": "2", "max_duration_s": -1}, 400, "max_duration_s"),
    ({"model": "iris", "candidate": "2", "plan": [{"weight": 0.5}], "shadow": {}}, 400,
     "shadow: expected a plan or a shadow, got both"),
    ({"model": "iris", "candidate": "2", "shadow": {"rate": 0}}, 400, "shadow.rate"),
    ({"model": "iris", "candidate": "2", "shadow": {"core_share": 1.5}}, 400, "shadow.core_share"),
    ({"model": "iris", "candidate": "2", "shadow": {"tolerance": -1}}, 400, "shadow.tolerance"),
    ({"model": "iris", "candidate": "2", "shadow": {"segments": ["x"] * 21}}, 400, "shadow.segments"),
    ({"model": "iris", "candidate": "2", "shadow": {"speed": 1}}, 400, "shadow.speed: unknown field"),
])  # fmt: skip
def test_an_order_that_cannot_be_carried_out_is_refused_with_a_sentence(
    client: FlaskClient, order: dict[str, Any], status: int, sentence: str,
) -> None:
    answer = client.post("/v1/rollouts", json=order)
    assert (answer.status_code, sentence in answer.get_json()["error"]) == (status, True), answer.data
    assert client.get("/v1/rollouts").get_json() == {"rollouts": []}


def test_a_second_rollout_of_a_model_is_a_conflict(client: FlaskClient, begin: Callable[..., str]) -> None:
    rollout = begin()
    answer = client.post("/v1/rollouts", json={"model": "iris", "candidate": "2"})
    assert (answer.status_code, rollout in answer.get_json()["error"]) == (409, True)


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/v1/rollouts/ro_unknown", 404), ("GET", "/v1/rollouts/x", 404), ("DELETE", "/v1/rollouts", 405),
    ("GET", "/v1/rollouts/ro_unknown/comparison", 404), ("POST", "/v1/rollouts/ro_unknown:pause", 404),
    ("POST", "/v1/rollouts/ro_unknown:explode", 404), ("PUT", "/v1/rollouts/ro_unknown", 405),
])  # fmt: skip
def test_what_is_not_there_is_said_in_a_sentence(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == status
    assert answer.get_json()["error"]


def test_a_variant_that_is_none_is_the_callers_fault(client: FlaskClient, begin: Callable[..., str]) -> None:
    begin()
    answer = client.post(PREDICT, json=BODY, headers={"X-Mlapi-Variant": "blue"})
    assert (answer.status_code, answer.get_json()["error"]) == (
        400, "X-Mlapi-Variant is 'blue'; expected control or candidate",
    )  # fmt: skip


def test_while_the_registry_is_away_the_status_is_what_was_last_heard(
    client: FlaskClient, app: Flask, registry_copy: Path, begin: Callable[..., str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = f"/v1/rollouts/{begin()}"
    router = app.extensions["mlapi"].router
    assert client.get(path).get_json()["stale"] is False
    registry_copy.rename(registry_copy.with_name("away"))
    told = client.get(path).get_json()
    assert (told["state"], told["converged"], told["workers"]) == ("running", False, [])
    monkeypatch.setattr(router, "_monotonic", lambda: time.monotonic() + 31)
    assert client.get(path).get_json()["stale"] is True
    assert client.post(PREDICT, json=BODY).headers["X-Mlapi-Variant"] == "control"
    for asked in ("/v1/rollouts/ro_unknown", "/v1/rollouts", "/v1/models/iris/assignment?key=u"):
        assert (client.get(asked).status_code, "disk" in client.get(asked).get_json()["error"]) == (503, True), asked
    for order in (f"{path}:abort", "/v2/repository/models/iris/load", "/v2/repository/models/iris/unload"):
        assert client.post(order, json={}).status_code == 503, order


@pytest.mark.parametrize(("order", "why"), [
    ({"model": "homes", "metric": {"kind": "accuracy"}}, "no classes, of which accuracy is; try squared_error"),
    ({"model": "homes", "metric": {"kind": "log_loss"}}, "no classes, of which log_loss is; try squared_error"),
    ({"model": "iris", "shadow": {"segments": ["petal"]}}, "no column 'petal'; it has input-0"),
    ({"model": "iris", "keys": ["header:X Y"]}, "entry 0 is no source"),
    ({"model": "iris", "keys": ["header:X\r\nY"]}, "entry 0 is no source"),
    ({"model": "iris", "keys": ["field:a", "field:a..b"]}, "entry 1 is no source"),
    ({"model": "iris", "guardrails": [{"name": "errors", "limit": 5}]}, "'errors' takes no limit"),
    ({"model": "iris", "metric": {"kind": "binary", "max_samples": 9}}, "none for a mode that may be looked at"),
    ({"model": "iris", "plan": [{"weight": 0.1}, {"weight": 1}]}, "step 1: at a weight of 1 no control is left"),
])  # fmt: skip
@pytest.mark.usefixtures("_two_homes")
def test_what_cannot_be_known_or_does_nothing_is_refused(
    client: FlaskClient, order: dict[str, Any], why: str,
) -> None:
    metric = {"metric": {"name": "m", "mde": 0.1, **order["metric"]}} if "metric" in order else {}
    answer = client.post("/v1/rollouts", json={"candidate": "2", "control": "1", **order, **metric})
    assert (answer.status_code, why in answer.get_json()["error"]) == (400, True), answer.data


def test_a_shadow_answers_nobody_and_its_comparison_has_the_pairs(
    client: FlaskClient, app: Flask, begin: Callable[..., str],
) -> None:
    shadow = {"rate": 1.0, "core_share": 1.0, "tolerance": 0.5, "segments": ["input-0"]}
    rollout = begin(plan=None, shadow=shadow)
    told = client.get(f"/v1/rollouts/{rollout}").get_json()
    assert (told["shadow"], told["plan"], told["weight"]) == (shadow, [], 0.0)
    path = f"/v1/rollouts/{rollout}/comparison"
    empty = client.get(path).get_json()
    assert (empty["pairs"], empty["dropped"], empty["disagreement"]["share"], empty["losses"]) == (0, 0, None, None)
    answer = client.post(PREDICT, json=BODY)
    assert (answer.headers["X-Model-Version"], answer.headers["X-Mlapi-Variant"]) == ("1", "control")
    deadline = time.monotonic() + 30
    while client.get(path).get_json()["pairs"] == 0:
        assert time.monotonic() < deadline
        app.extensions["mlapi"].lines.flush()
    told = client.get(path).get_json()
    wanted = {"rollout": rollout, "model": "iris", "control": "1", "candidate": "2", "pairs": 1, "dropped": 0,
              "errors": 0, "invalid": 0, "worst": []}  # fmt: skip
    assert {name: told[name] for name in wanted} == wanted
    assert (told["disagreement"]["count"], told["disagreement"]["of"]) == (0, 1), "both versions are the same model"


def test_a_rollout_that_is_no_shadow_has_a_comparison_without_pairs(
    client: FlaskClient, begin: Callable[..., str],
) -> None:
    told = client.get(f"/v1/rollouts/{begin(0.5)}/comparison").get_json()
    assert (told["pairs"], told["mean_difference"], told["control_ms"]) == (0, None, {"p50": None, "p95": None})


def test_a_started_app_follows_by_itself(client: FlaskClient) -> None:
    client.post("/v1/rollouts", json={"model": "iris", "candidate": "2", "plan": [{"weight": 0.999999}]})
    deadline = time.monotonic() + 10
    while "X-Mlapi-Rollout" not in client.post(PREDICT, json=BODY).headers:
        assert time.monotonic() < deadline
