"""V1 over HTTP: predict in its forms and by its ways to a version, status for both protocols."""

import json
import shutil
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

IRIS = "/v1/models/iris"
FLOWER = [5.1, 3.5, 1.4, 0.2]
ROW = {"size": 50.0, "year": 1980.5, "rooms": 3, "city": "oslo", "garden": True}


def damage(registry: Path, name: str, version: int) -> None:
    """Make one file of a version another than was published."""
    model = registry / name / str(version) / "model.joblib"
    data = model.read_bytes()
    model.parent.chmod(0o755)
    model.chmod(0o644)
    model.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


# -- predict --------------------------------------------------------------------------------------


def test_a_classifier_answers_the_classes_of_its_rows(
    client: FlaskClient, iris_model: LogisticRegression, iris_rows: np.ndarray[Any, Any],
) -> None:
    response = client.post(f"{IRIS}:predict", json={"instances": iris_rows.tolist()})
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert response.get_json() == {"predictions": iris_model.predict(iris_rows).tolist()}


def test_probabilities_are_asked_for_by_signature(
    client: FlaskClient, iris_model: LogisticRegression, iris_rows: np.ndarray[Any, Any],
) -> None:
    body = {"instances": iris_rows[:3].tolist(), "signature_name": "predict_proba"}
    expected = iris_model.predict_proba(iris_rows[:3]).tolist()
    found = client.post(f"{IRIS}:predict", json=body).get_json()["predictions"]
    assert np.array(found) == pytest.approx(np.array(expected), rel=1e-9)  # by the plan


@pytest.mark.parametrize("body", [
    {"instances": [ROW, ROW]}, {"instances": [list(ROW.values())] * 2},
    {"inputs": {name: [value, value] for name, value in ROW.items()}},
    {"inputs": {name: [[value], [value]] for name, value in ROW.items()}},
])  # fmt: skip
def test_a_column_model_answers_rows_and_columns_alike(
    client: FlaskClient, homes_model: Pipeline, homes_rows: Any, body: dict[str, Any],
) -> None:
    answer = client.post("/v1/models/homes:predict", json=body).get_json()
    expected = homes_model.predict(homes_rows.iloc[:2].assign(**ROW)).tolist()
    (member, values), = answer.items()
    assert member == ("predictions" if "instances" in body else "outputs")
    assert values == pytest.approx(expected, rel=1e-9)  # by the plan


def test_a_missing_number_is_the_token_nan(client: FlaskClient) -> None:
    body = json.dumps({"instances": [{**ROW, "size": float("nan")}]})
    assert "NaN" in body
    assert client.post("/v1/models/homes:predict", data=body).status_code == 200


@pytest.mark.parametrize(("path", "version"), [
    (IRIS, "2"), (f"{IRIS}/versions/1", "1"), (f"{IRIS}/versions/2", "2"), (f"{IRIS}/labels/stable", "1"),
])  # fmt: skip
def test_the_path_decides_the_version_and_the_answer_tells_it(client: FlaskClient, path: str, version: str) -> None:
    response = client.post(f"{path}:predict", json={"instances": [FLOWER]})
    assert (response.status_code, response.headers["X-Model-Version"]) == (200, version)


@pytest.mark.parametrize(("path", "sentence"), [
    ("/v1/models/iriss", "model 'iriss' is unknown; did you mean 'iris'?"),
    (f"{IRIS}/versions/9", "model 'iris' has no version '9'; the newest is 2"),
    (f"{IRIS}/versions/{2**63 - 1}", f"model 'iris' has no version '{2**63 - 1}'; the newest is 2"),
    (f"{IRIS}/versions/01", "model 'iris' has no version '01'"),
    (f"{IRIS}/labels/live", "model 'iris' has no label 'live'; its labels are stable"),
    (f"{IRIS}/labels/1", "model 'iris' has no label '1'; its labels are stable"),
    ("/v1/models/homes/labels/stable", "model 'homes' has no label 'stable'; it has no labels"),
])  # fmt: skip
def test_what_does_not_exist_is_a_404_for_predict_and_for_status(
    client: FlaskClient, path: str, sentence: str,
) -> None:
    for response in (client.get(path), client.post(f"{path}:predict", json={"instances": [FLOWER]})):
        assert (response.status_code, response.get_json()) == (404, {"error": sentence})


FAULTS: list[tuple[str, bytes, str]] = [
    ("iris", b"", "the body is empty; expected a JSON object"),
    ("iris", b"[1]", "the body is not a JSON object; expected {...} at the top"),
    ("iris", b"instances=1", "the body is not valid JSON: expecting value at line 1, column 1"),
    ("iris", b'{"instances": [[1, 2]]}', "row 0 has 2 values; expected a list of 4 numbers"),
    ("iris", b'{"instances": []}', "instances: expected a non-empty list of rows"),
    ("iris", b'{"instances": [[1, 2, "3", 4]]}', "row 0, column 'petal length': expected a number, got text"),
    ("iris", b'{"instances": [[1, 2, null, 4]]}', "row 0, column 'petal length': expected a number, got null"),
    ("iris", b'{"instances": [[1, 2, NaN, 4]]}',
     "row 0, column 'petal length': is missing, and this model takes no missing value there"),
    ("iris", b'{"instances": [[1, 2, 3, 4]], "signature_name": "proba"}',
     "signature_name: expected serving_default or predict_proba"),
    ("homes", json.dumps({"instances": [{**ROW, "city": "Oslo"}]}).encode(),
     "row 0, column 'city': is a category the model has never seen; expected one of 'berlin', 'oslo', 'rome'"),
    ("homes", b'{"inputs": {"size": [1]}}',
     ("4 faults: (1) column 'year' is missing; (2) column 'rooms' is missing; (3) column 'city' is missing; "
      "(4) column 'garden' is missing")),
    ("root", b'{"instances": [[-1, 1]]}', "math domain error"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "body", "sentence"), FAULTS)
def test_a_fault_of_the_caller_is_a_400_with_a_sentence(
    client: FlaskClient, model: str, body: bytes, sentence: str,
) -> None:
    response = client.post(f"/v1/models/{model}:predict", data=body)
    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/json")
    assert response.get_json()["error"] == sentence


def test_infinity_is_refused_by_the_model_in_its_own_words(client: FlaskClient) -> None:
    response = client.post(f"{IRIS}:predict", data=b'{"instances": [[1, 2, Infinity, 4]]}')
    assert response.status_code == 400
    assert "infinity" in response.get_json()["error"]


def test_a_model_that_breaks_is_a_500_that_tells_only_an_id(client: FlaskClient) -> None:
    response = client.post("/v1/models/exponent:predict", json={"instances": [[1000, 1]]})
    assert response.status_code == 500
    assert response.get_json().keys() == {"error", "request_id"}
    assert b"range" not in response.data
    assert b"exponent" not in response.data


# -- status ---------------------------------------------------------------------------------------


def state(version: int) -> dict[str, Any]:
    return {"version": str(version), "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


@pytest.mark.parametrize(("path", "versions"), [
    (IRIS, [1, 2]), (f"{IRIS}/versions/2", [2]), (f"{IRIS}/labels/stable", [1]),
])  # fmt: skip
def test_the_status_is_one_body_for_kserve_and_for_tensorflow_serving(
    client: FlaskClient, path: str, versions: list[int],
) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.get_json() == {"name": "iris", "ready": True, "model_version_status": list(map(state, versions))}


# -- versions that are refused --------------------------------------------------------------------


@pytest.fixture
def limping(registry_copy: Path, make_app: Callable[..., Flask]) -> FlaskClient:
    """Return a client of an app whose newest iris, and only homes, are not what was published."""
    damage(registry_copy, "iris", 2)
    damage(registry_copy, "homes", 1)
    return make_app(registry_copy).test_client()


def test_the_older_version_answers_where_the_newest_is_refused(limping: FlaskClient) -> None:
    response = limping.post(f"{IRIS}:predict", json={"instances": [FLOWER]})
    assert (response.status_code, response.headers["X-Model-Version"]) == (200, "1")
    status = limping.get(IRIS).get_json()
    assert status["ready"] is True
    assert [entry["state"] for entry in status["model_version_status"]] == ["AVAILABLE", "END"]


def test_a_refused_version_is_a_503_with_the_reason_and_a_time_to_come_back(limping: FlaskClient) -> None:
    reason = "'model.joblib' is not the file that was published: its sha256 differs from the manifest's"
    asked = limping.post(f"{IRIS}/versions/2:predict", json={"instances": [FLOWER]})
    assert (asked.status_code, asked.headers["Retry-After"]) == (503, "1")
    assert asked.get_json() == {"error": f"version 2 of model 'iris' is not ready: {reason}"}
    whole = limping.post("/v1/models/homes:predict", json={"instances": [ROW]})
    assert (whole.status_code, whole.get_json()) == (
        503, {"error": f"model 'homes' is not ready: version 1: {reason}"},
    )  # fmt: skip


@pytest.mark.parametrize(("path", "name"), [(f"{IRIS}/versions/2", "iris"), ("/v1/models/homes", "homes")])
def test_the_status_of_what_cannot_answer_is_a_503_with_the_same_body_and_an_error(
    limping: FlaskClient, path: str, name: str,
) -> None:
    response = limping.get(path)
    body = response.get_json()
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert (body["name"], body["ready"], isinstance(body["error"], str)) == (name, False, True)
    (entry,) = body["model_version_status"]
    assert (entry["state"], entry["status"]["error_code"]) == ("END", "INTERNAL")
    assert "sha256" in entry["status"]["error_message"]
    assert str(Path.cwd()) not in json.dumps(body)


def test_a_label_that_points_to_a_deleted_version_is_a_404(registry_copy: Path, make_app: Callable[..., Flask]) -> None:
    (registry_copy / "iris" / "1").chmod(0o755)
    shutil.rmtree(registry_copy / "iris" / "1")
    client = make_app(registry_copy).test_client()
    assert client.get(f"{IRIS}/labels/stable").status_code == 404
    assert client.post(f"{IRIS}/labels/stable:predict", json={"instances": [FLOWER]}).status_code == 404


# -- whatever comes -------------------------------------------------------------------------------

VALID = [json.dumps(body).encode()
         for body in ({"instances": [ROW, ROW]}, {"inputs": {name: [value] for name, value in ROW.items()}})]
pieces = st.one_of(
    st.binary(max_size=4),
    st.sampled_from([
        b"null", b"NaN", b"-1", b"1e400", b"9" * 30, b'"', b"[", b"]", b"{", b"}", b"\\u0000", b'"\\ud800"', b"true",
        b"[[]]", b"{}", b"1e5", b"-Infinity", b"\xff", b"\xef\xbb\xbf", b",", b":", b'"x":1,',
    ]),
)  # fmt: skip


@given(st.sampled_from(VALID), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 6), pieces), max_size=3))
@settings(max_examples=200)
def test_no_mutation_of_a_body_is_worse_than_a_4xx(
    app: Flask, body: bytes, cuts: list[tuple[int, int, bytes]],
) -> None:
    for start, length, piece in cuts:
        at = start % (len(body) + 1)
        body = body[:at] + piece + body[at + length :]
    response = app.test_client().post("/v1/models/homes:predict", data=body)
    assert response.status_code == 200 or 400 <= response.status_code < 500
    assert json.loads(response.data).keys() & {"predictions", "outputs", "error"}
