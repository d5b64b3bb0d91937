"""/openapi.json: a valid OpenAPI 3.1 document of every route and every version, as things are now."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from schemathesis.specs.openapi.definitions import OPENAPI_31
from sklearn.linear_model import LinearRegression

from mlapi.registry.loading import LoadedModel
from mlapi.registry.publishing import publish
from mlapi.registry.status import ModelStatus, VersionStatus
from mlapi.registry.store import Store
from mlapi.resources.openapi import models
from mlapi.resources.openapi.document import describe
from mlapi.resources.openapi.operations import OPERATIONS
from tests.test_docs import near

PAGE = {"docs", "docs-file"}
"""What shows the document is no part of it."""


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    return document_of(app.test_client())


def document_of(client: FlaskClient) -> dict[str, Any]:
    response = client.get("/openapi.json")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    return dict(json.loads(response.data))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def typed(document: dict[str, Any]) -> list[str]:
    return [path for path in document["paths"] if "/versions/" in path and "{" not in path]


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert [str(error) for error in jsonschema_rs.Draft202012Validator(OPENAPI_31).iter_errors(document)] == []
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    names = re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document))
    assert set(names) <= document["components"]["schemas"].keys()


def test_the_validator_that_this_test_trusts_refuses_what_is_none(document: dict[str, Any]) -> None:
    broken = {**document, "paths": {"/v2": {"get": {"responses": {"200": {}}}}}}
    assert list(jsonschema_rs.Draft202012Validator(OPENAPI_31).iter_errors(broken))


def test_every_route_of_the_app_is_in_the_document_with_its_method(app: Flask, document: dict[str, Any]) -> None:
    served = {
        (re.sub(r"<segment:(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules() if rule.endpoint not in PAGE
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }  # fmt: skip
    general = {(path, method) for path, method, _ in operations(document) if path not in typed(document)}
    assert general == served
    assert {rule.endpoint for rule in app.url_map.iter_rules()} - PAGE == OPERATIONS.keys()


def test_every_operation_has_a_name_of_its_own_and_describes_its_errors(document: dict[str, Any]) -> None:
    found = [operation for _, _, operation in operations(document)]
    assert len({operation["operationId"] for operation in found}) == len(found) >= 40
    for operation in found:
        assert operation["summary"]
        assert operation["description"]
        for status, response in operation["responses"].items():
            schema = response["content"][content_type(operation, status)]["schema"]
            if status >= "300":
                assert schema["$ref"].split("/")[-1] in {"Fault", "V1Status"}


def content_type(operation: dict[str, Any], status: str) -> str:
    """Everything is JSON, but for what metrics are told in."""
    return "text/plain" if operation["operationId"] == "get-metrics" and status == "200" else "application/json"


def test_every_ready_version_has_typed_operations(document: dict[str, Any]) -> None:
    found = set(typed(document))
    for name, version, verb in (("iris", 1, "classify"), ("iris", 2, "classify"), ("homes", 1, "regress")):
        base = f"models/{name}/versions/{version}"
        assert {f"/v1/{base}:predict", f"/v1/{base}:{verb}", f"/v2/{base}/infer"} <= found
    assert "/v1/models/homes/versions/1:classify" not in found


def test_a_typed_request_has_the_columns_of_the_signature_with_their_datatypes(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["homes.1.predict.request"]
    by_name, _ = schema["properties"]["instances"]["anyOf"]
    row = by_name["items"]
    assert sorted(row["required"]) == sorted(row["properties"]) == ["city", "garden", "rooms", "size", "year"]
    assert not row["additionalProperties"]
    assert row["properties"]["city"] == {"type": "string", "enum": ["berlin", "oslo", "rome"]}
    assert row["properties"]["garden"] == {"type": "boolean"}
    rooms = row["properties"]["rooms"]
    assert (rooms["type"], rooms["minimum"], rooms["x-sample-range"]) == ("integer", -(2**63), [1, 8])


def test_a_typed_request_of_a_matrix_has_its_width(document: dict[str, Any]) -> None:
    values, *_ = document["components"]["schemas"]["iris.1.predict.request"]["properties"]["instances"]["anyOf"]
    assert (values["items"]["minItems"], values["items"]["maxItems"]) == (4, 4)
    assert values["items"]["items"]["type"] == "number"


def test_a_typed_answer_has_the_classes_of_the_version(document: dict[str, Any]) -> None:
    rows = document["components"]["schemas"]["iris.1.predict.answer"]["properties"]["predictions"]
    assert {"type": "string", "enum": ["setosa", "versicolor", "virginica"]} in rows["items"]["anyOf"]


def test_numbers_of_v2_may_be_null_as_a_list_of_types(document: dict[str, Any]) -> None:
    outputs = document["components"]["schemas"]["homes.1.infer.answer"]["properties"]["outputs"]["items"]["anyOf"]
    assert outputs[0]["properties"]["data"]["items"] == {"type": ["number", "null"]}
    assert '"nullable"' not in json.dumps(document)


def test_every_example_gets_its_success_and_the_answer_that_stands_beside_it(
    make_app: Callable[..., Flask], registry_copy: Path,
) -> None:
    """In a registry of its own: one of them starts a rollout, and those of one are asked about that."""
    client, worked, started = make_app(registry_copy).test_client(), 0, ""
    for path, method, operation in operations(document_of(client)):
        shown = {one["name"]: one.get("example") for one in operation.get("parameters", ()) if one["in"] == "path"}
        bodies = operation.get("requestBody", {"content": {}})["content"].get("application/json", {})
        if "/repository/models/" in path or path == "/invocations":
            continue  # these change what others see; this one has no model here
        if path.endswith("/labels/{label}:regress"):
            continue  # no regressor here has a label
        shown |= {"rollout": started}
        url = re.sub(r"{(\w+)}", lambda name, shown=shown: shown[name[1]], path)
        query = {one["name"]: one["example"] for one in operation.get("parameters", ())
                 if one["in"] == "query" and "example" in one}  # fmt: skip
        body = json.dumps(bodies["example"]) if "example" in bodies else None
        response = client.open(url, method=method, data=body, query_string=query)
        done, = (status for status in operation["responses"] if status < "300")
        assert response.status_code == int(done), (url, response.data)
        started = response.get_json()["id"] if done == "201" else started
        assert response.mimetype == content_type(operation, done)
        expected = operation["responses"][done]["content"][response.mimetype].get("example")
        assert expected is None or near(response.get_json(), expected), url
        worked += 1
    assert worked >= 50


def test_what_is_published_and_unloaded_changes_the_document(
    make_app: Callable[..., Flask], registry_copy: Path, iris_model: Any, iris_rows: Any,
) -> None:
    app = make_app(registry_copy, invocations_model="iris@stable")
    client, live = app.test_client(), app.extensions["mlapi"].live
    before = client.get("/openapi.json").data
    assert client.get("/openapi.json").data is not None
    assert "/v1/models/iris/versions/3:predict" not in json.loads(before)["paths"]
    publish(iris_model, "iris", sample=iris_rows, registry=registry_copy)
    live.refresh()
    after = document_of(client)
    assert "/v1/models/iris/versions/3:predict" in after["paths"]
    asked = after["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert client.post("/invocations", json=asked).status_code == 200
    live.obey(frozenset({"iris"}))
    assert not [path for path in document_of(client)["paths"] if "/iris/" in path]


def test_a_document_that_is_still_true_is_not_made_again(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = app.test_client()
    made = client.get("/openapi.json").data
    monkeypatch.setattr("mlapi.resources.openapi.document.describe", None)
    assert client.get("/openapi.json").data == made


def test_an_empty_registry_has_the_general_paths(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    document = document_of(make_app(tmp_path).test_client())
    assert "/v2/models/{name}/versions/{version}/infer" in document["paths"]
    assert typed(document) == []
    assert list(jsonschema_rs.Draft202012Validator(OPENAPI_31).iter_errors(document)) == []


def test_ten_thousand_versions_leave_the_document_readable(app: Flask) -> None:
    """The newest of every model first, at most three of one and a hundred of all; the text says how many."""
    loaded = app.extensions["mlapi"].live.model("iris").versions[1].loaded
    known = tuple(
        ModelStatus(name, {v: VersionStatus(v, "READY", "", renamed(loaded, name, v)) for v in range(1, 201)}, {})
        for name in (f"m{i:03}" for i in range(50))
    )
    with app.test_request_context():
        document = describe(app, known)
    assert len({path.split(":")[0].removesuffix("/infer")[3:] for path in typed(document)}) == models.MOST
    assert {"/v1/models/m000/versions/200:predict", "/v1/models/m049/versions/199:predict"} <= set(typed(document))
    assert "/v1/models/m000/versions/198:predict" not in typed(document)
    assert "100 of 10000 ready versions" in document["info"]["description"]
    assert [path for path in typed(describe(app, known[:1])) if path.endswith("/infer")] == [
        f"/v2/models/m000/versions/{version}/infer" for version in (198, 199, 200)
    ]


def renamed(loaded: Any, name: str, version: int) -> Any:
    return LoadedModel(replace(loaded.manifest, name=name, version=version), loaded.predictor, loaded.reference)


def test_a_model_whose_answers_are_no_numbers_of_json_has_no_example_of_them(
    make_app: Callable[..., Flask], tmp_path: Path,
) -> None:
    line = np.arange(4.0).reshape(-1, 1)
    model = LinearRegression().fit(line, line[:, 0])
    model.intercept_ = np.inf
    publish(model, "endless", sample=line, registry=tmp_path)
    assert Store(tmp_path).versions("endless") == (1,)
    paths = document_of(make_app(tmp_path).test_client())["paths"]
    answer = paths["/v1/models/endless/versions/1:predict"]["post"]["responses"]["200"]["content"]["application/json"]
    assert "example" not in answer
