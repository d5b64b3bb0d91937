"""V2 over HTTP: server, models, readiness and inference by the Open Inference Protocol."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

import mlapi
from mlapi.registry.live import LiveRegistry
from mlapi.registry.store import Store
from mlapi.resources import errors
from mlapi.resources.api import Api, Segment
from mlapi.resources.v2 import metadata
from mlapi.serving.dataplane import DataPlane

IRIS = "/v2/models/iris"
FLOWER = [5.1, 3.5, 1.4, 0.2]
ROW = {"size": ("FP64", 50.0), "year": ("FP64", 1980.5), "rooms": ("INT64", 3), "city": ("BYTES", "oslo"),
       "garden": ("BOOL", True)}  # fmt: skip


def flower(**members: Any) -> dict[str, Any]:
    tensor = {"name": "input-0", "shape": [1, 4], "datatype": "FP64", "data": FLOWER}
    return {"inputs": [{**tensor, **members.pop("tensor", {})}], **members}


def homes(rows: int = 1, **changes: Any) -> dict[str, Any]:
    return {"inputs": [
        {"name": name, "shape": [rows, 1], "datatype": datatype, "data": [value] * rows, **changes.get(name, {})}
        for name, (datatype, value) in ROW.items()
    ]}  # fmt: skip


# -- server and models ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_the_server_tells_its_name_version_and_the_extensions_it_has(client: FlaskClient, path: str) -> None:
    assert client.get(path).get_json() == {
        "name": "mlapi", "version": mlapi.__version__, "extensions": list(metadata.EXTENSIONS),
    }  # fmt: skip


def test_health_is_json_with_both_keys(client: FlaskClient) -> None:
    assert client.get("/v2/health/live").get_json() == {"live": True}
    assert client.get("/v2/health/ready").get_json() == {"ready": True, "live": True}


def test_a_model_is_told_by_its_tensors_and_ready_versions(client: FlaskClient) -> None:
    response = client.get(IRIS)
    assert response.headers["X-Model-Version"] == "2"
    assert response.get_json() == {
        "name": "iris", "versions": ["1", "2"], "platform": "sklearn_joblib",
        "inputs": [{"name": "input-0", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [{"name": "predict", "datatype": "BYTES", "shape": [-1, 1]},
                    {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 3]}],
    }  # fmt: skip


def test_a_column_model_has_one_input_a_column(client: FlaskClient) -> None:
    body = client.get("/v2/models/homes").get_json()
    assert body["inputs"] == [
        {"name": name, "datatype": datatype, "shape": [-1, 1]} for name, (datatype, _) in ROW.items()
    ]
    assert body["outputs"] == [{"name": "predict", "datatype": "FP64", "shape": [-1, 1]}]


@pytest.mark.parametrize("path", [IRIS, f"{IRIS}/versions/1"])
def test_a_model_is_ready(client: FlaskClient, path: str) -> None:
    assert client.get(f"{path}/ready").get_json() == {"name": "iris", "ready": True}


@pytest.mark.parametrize(("path", "sentence"), [
    ("/v2/models/iriss", "model 'iriss' is unknown; did you mean 'iris'?"),
    ("/v2/models/nobody", "model 'nobody' is unknown"),
    (f"{IRIS}/versions/9", "model 'iris' has no version '9'; the newest is 2"),
    (f"{IRIS}/versions/x", "model 'iris' has no version 'x'"),
])  # fmt: skip
def test_what_does_not_exist_is_a_404_for_every_call(client: FlaskClient, path: str, sentence: str) -> None:
    responses = client.get(path), client.get(f"{path}/ready"), client.post(f"{path}/infer", json=flower())
    assert [(response.status_code, response.get_json()) for response in responses] == [(404, {"error": sentence})] * 3


def test_a_server_that_still_loads_is_alive_and_not_ready(registry: Path) -> None:
    """The same resources over a registry that nobody has started."""
    app = Flask("loading")
    app.url_map.converters["segment"] = Segment
    errors.install(app)
    live = LiveRegistry(Store(registry))
    metadata.install(Api(app), DataPlane(live, live.get))
    client = app.test_client()
    ready = client.get("/v2/health/ready")
    assert client.get("/v2/health/live").status_code == 200
    assert (ready.status_code, ready.headers["Retry-After"]) == (503, "1")
    assert ready.get_json() == {"error": "models are still being loaded", "ready": False}


def test_a_refused_version_is_known_and_not_ready_and_the_older_one_serves(
    registry_copy: Path, make_app: Callable[..., Flask],
) -> None:
    model = registry_copy / "iris" / "2" / "model.joblib"
    model.chmod(0o644)
    model.write_bytes(b"x" * model.stat().st_size)
    client = make_app(registry_copy).test_client()
    for response in (
        client.get(f"{IRIS}/versions/2/ready"), client.get(f"{IRIS}/versions/2"),
        client.post(f"{IRIS}/versions/2/infer", json=flower()),
    ):
        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        assert response.get_json()["error"].startswith("version 2 of model 'iris' is not ready: 'model.joblib' is not")
    assert client.get(f"{IRIS}/versions/2/ready").get_json()["ready"] is False
    assert client.get(f"{IRIS}/ready").status_code == 200
    assert client.get(IRIS).get_json()["versions"] == ["1"]
    assert client.post(f"{IRIS}/infer", json=flower()).get_json()["model_version"] == "1"
    assert client.get("/v2/health/ready").status_code == 200


def test_an_empty_registry_is_ready_and_knows_no_model(tmp_path: Path, make_app: Callable[..., Flask]) -> None:
    client = make_app(tmp_path / "nothing").test_client()
    assert client.get("/v2/health/ready").status_code == 200
    assert client.get(IRIS).get_json() == {"error": "model 'iris' is unknown"}


# -- infer ----------------------------------------------------------------------------------------


def test_an_inference_is_answered_with_every_output_flat(
    client: FlaskClient, iris_model: LogisticRegression, iris_rows: np.ndarray[Any, Any],
) -> None:
    rows = iris_rows[::50]
    body = flower(tensor={"shape": [3, 4], "data": rows.tolist()}, id="id-1")
    response = client.post(f"{IRIS}/infer", json=body)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert response.get_json() == {
        "model_name": "iris", "model_version": "2", "id": "id-1", "outputs": [
            {"name": "predict", "shape": [3, 1], "datatype": "BYTES", "data": iris_model.predict(rows).tolist()},
            {"name": "predict_proba", "shape": [3, 3], "datatype": "FP64",
             "data": pytest.approx(iris_model.predict_proba(rows).reshape(-1).tolist(), rel=1e-9)},  # by the plan
        ],
    }  # fmt: skip


@pytest.mark.parametrize("path", [IRIS, f"{IRIS}/versions/1", f"{IRIS}/versions/2"])
def test_the_version_of_the_header_is_that_of_the_body(client: FlaskClient, path: str) -> None:
    response = client.post(f"{path}/infer", json=flower())
    version = response.get_json()["model_version"]
    assert version == response.headers["X-Model-Version"] == (path[-1] if path != IRIS else "2")


def test_columns_are_tensors_in_any_order_and_numeric_datatype(
    client: FlaskClient, homes_model: Pipeline, homes_rows: Any,
) -> None:
    body = homes(2, rooms={"datatype": "FP32", "shape": [2]}, size={"datatype": "INT8"}, garden={"data": [[1], [1]]})
    response = client.post("/v2/models/homes/infer", json={"inputs": body["inputs"][::-1]})
    row = {name: value for name, (_, value) in ROW.items()}
    expected = homes_model.predict(homes_rows.iloc[:2].assign(**row)).tolist()
    assert response.get_json()["outputs"] == [
        {"name": "predict", "shape": [2, 1], "datatype": "FP64", "data": pytest.approx(expected, rel=1e-9)},
    ]


def test_null_is_a_missing_number_where_the_model_takes_one(client: FlaskClient) -> None:
    fine = client.post("/v2/models/homes/infer", json=homes(size={"data": [None]}))
    assert fine.status_code == 200
    refused = client.post("/v2/models/homes/infer", json=homes(year={"data": [None]}))
    assert refused.get_json()["error"] == (
        "row 0, column 'year': is missing, and this model takes no missing value there"
    )


@pytest.mark.parametrize(("outputs", "names"), [
    ([], ["predict", "predict_proba"]), ([{"name": "predict_proba"}], ["predict_proba"]),
    ([{"name": "predict_proba"}, {"name": "predict", "parameters": {"binary_data": False}}],
     ["predict_proba", "predict"]),
])  # fmt: skip
def test_the_outputs_named_are_answered_in_the_order_asked(
    client: FlaskClient, outputs: list[Any], names: list[str],
) -> None:
    answer = client.post(f"{IRIS}/infer", json=flower(outputs=outputs)).get_json()
    assert [output["name"] for output in answer["outputs"]] == names


@pytest.mark.parametrize("given_id", ["", "a", 'ü☃😀\u0000\n"\\' + "x" * 300])
def test_the_id_comes_back_as_it_was(client: FlaskClient, given_id: str) -> None:
    assert client.post(f"{IRIS}/infer", json=flower(id=given_id)).get_json()["id"] == given_id


def test_an_answer_without_a_given_id_gets_a_new_one(client: FlaskClient) -> None:
    ids = {client.post(f"{IRIS}/infer", json=flower()).get_json()["id"] for _ in range(2)}
    assert len({uuid.UUID(one) for one in ids}) == 2


@pytest.mark.parametrize(("model", "body", "sentence"), [
    ("iris", {}, "inputs: missing data for required field"),
    ("iris", flower(tensor={"name": "input"}),
     "2 faults: (1) input 'input' is unknown; did you mean 'input-0'?; (2) input 'input-0' is missing"),
    ("iris", flower(tensor={"shape": [4]}), "input 'input-0' has shape [4]; the signature wants [-1, 4]"),
    ("iris", flower(tensor={"shape": [2, 2]}), "input 'input-0' has shape [2, 2]; the signature wants [-1, 4]"),
    ("iris", flower(tensor={"shape": [2**40]}), f"input 'input-0' has 4 values; its shape [{2**40}] wants {2**40}"),
    ("iris", flower(tensor={"shape": [0, 2**62, 2**62], "data": []}),
     f"input 'input-0' has shape [0, {2**62}, {2**62}]; expected at least one row, and one value in each"),
    ("iris", flower(tensor={"datatype": "BYTES", "data": list("abcd")}),
     "input 'input-0' holds text; expected a number"),
    ("iris", flower(outputs=[{"name": "proba"}]), "output 'proba' is unknown; the outputs are predict, predict_proba"),
    ("homes", homes(rooms={"data": [2.5], "datatype": "FP64"}),
     "row 0, column 'rooms': expected an integer from -9223372036854775808 to 9223372036854775807"),
    ("homes", homes(city={"data": ["paris"]}),
     "row 0, column 'city': is a category the model has never seen; expected one of 'berlin', 'oslo', 'rome'"),
    ("homes", {"inputs": homes()["inputs"][1:]}, "input 'size' is missing"),
    ("homes", homes(size={"shape": [2], "data": [1, 2]}),
     ("the columns differ in length: 'size' 2, 'year' 1, 'rooms' 1, 'city' 1, 'garden' 1; "
      "expected one value a row in each")),
    ("root", {"inputs": [{"name": "input-0", "shape": [1, 2], "datatype": "FP64", "data": [-1, 1]}]},
     "math domain error"),
])  # fmt: skip
def test_a_fault_of_the_caller_is_a_400_with_a_sentence(
    client: FlaskClient, model: str, body: dict[str, Any], sentence: str,
) -> None:
    response = client.post(f"/v2/models/{model}/infer", json=body)
    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/json")
    assert response.get_json()["error"] == sentence


def test_an_id_that_utf8_cannot_write_is_refused_and_not_echoed(client: FlaskClient) -> None:
    body = json.dumps(flower()).replace('{"inputs"', '{"id": "\\ud800", "inputs"')
    response = client.post(f"{IRIS}/infer", data=body)
    assert (response.status_code, response.get_json()) == (
        400, {"error": "a text in the body holds half of a surrogate pair"},
    )  # fmt: skip


def test_many_unknown_outputs_are_counted_and_twenty_named(client: FlaskClient) -> None:
    body = flower(outputs=[{"name": f"y{i}"} for i in range(500)])
    answer = client.post(f"{IRIS}/infer", json=body).get_json()
    assert answer["error"].startswith("500 faults: ")
    assert len(answer["faults"]) == 20


def test_a_model_that_breaks_is_a_500_that_tells_only_an_id(client: FlaskClient) -> None:
    body = {"inputs": [{"name": "input-0", "shape": [1, 2], "datatype": "FP64", "data": [1000, 1]}]}
    response = client.post("/v2/models/exponent/infer", json=body)
    assert response.status_code == 500
    assert response.get_json().keys() == {"error", "request_id"}


# -- whatever comes -------------------------------------------------------------------------------

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(-(2**63) - 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside of a JSON value, itself included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, one in inner for deeper in places(one, (*path, key)))]


@given(st.data())
@settings(max_examples=250)
def test_no_value_in_place_of_another_is_worse_than_a_4xx(app: Flask, data: st.DataObject) -> None:
    valid = {**homes(2), "id": "x", "outputs": [{"name": "predict"}], "parameters": {"a": 1}}
    body: Any = json.loads(json.dumps(valid))
    path = data.draw(st.sampled_from(places(body)))
    new = data.draw(junk)
    if path:
        holder = body
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = new
    response = app.test_client().post("/v2/models/homes/infer", data=json.dumps(body if path else new))
    assert response.status_code == 200 or 400 <= response.status_code < 500
    assert json.loads(response.data).keys() & {"outputs", "error"}
