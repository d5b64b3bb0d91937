"""The example bodies of a version are answered by it."""

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient

from mlapi.inference.signature import Signature, TensorSpec
from mlapi.inference.values import Target
from mlapi.registry.loading import LoadedModel
from mlapi.schemas.examples import v1_body, v2_body


@pytest.fixture(params=["iris", "homes"])
def loaded(app: Flask, client: FlaskClient, request: pytest.FixtureRequest) -> LoadedModel:
    assert client.get("/v2/health/ready").status_code == 200
    model: LoadedModel = app.extensions["mlapi"].live.get(Target(request.param))
    return model


def test_the_v1_example_is_answered(client: FlaskClient, loaded: LoadedModel) -> None:
    body = v1_body(loaded.signature, loaded.reference.inputs)
    answer = client.post(f"/v1/models/{loaded.manifest.name}:predict", json=body)
    assert (answer.status_code, len(answer.json["predictions"])) == (200, 1)


def test_the_v2_example_is_answered(client: FlaskClient, loaded: LoadedModel) -> None:
    body = v2_body(loaded.signature, loaded.reference.inputs)
    answer = client.post(f"/v2/models/{loaded.manifest.name}/infer", json=body)
    assert (answer.status_code, answer.json["outputs"][0]["shape"]) == (200, [1, 1])


def test_the_example_is_a_row_that_lacks_nothing() -> None:
    """Null is no text on the wire, and the token NaN no JSON to most readers."""
    specs = TensorSpec("a", "FP64", (-1, 1), nullable=True), TensorSpec("b", "BYTES", (-1, 1), nullable=True)
    signature = Signature("columns", specs, ())
    rows = {"a": np.array([np.nan, 1.0, 2.0]), "b": np.array(["x", None, "z"], dtype=object)}
    assert v1_body(signature, rows) == {"instances": [{"a": 2.0, "b": "z"}]}
    assert [tensor["data"] for tensor in v2_body(signature, rows)["inputs"]] == [[2.0], ["z"]]


def test_where_every_row_lacks_something_the_example_is_the_first() -> None:
    signature = Signature("matrix", (TensorSpec("input-0", "FP64", (-1, 2), nullable=True),), ())
    rows = {"input-0": np.array([[1.0, np.nan], [np.nan, 2.0]])}
    assert str(v1_body(signature, rows)) == "{'instances': [[1.0, nan]]}"
