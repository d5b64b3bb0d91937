"""Answers that are not what the signature or their schema says never leave, and say nothing to the caller."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask

from mlapi.errors import InvalidAnswer
from mlapi.resources import calls
from mlapi.resources.errors import BROKEN
from mlapi.runtimes.plans.plan import PlanRunner
from mlapi.schemas.envelope import check_answer
from mlapi.schemas.v1 import predict

FLOWER = [5.1, 3.5, 1.4, 0.2]
TENSOR = {"name": "input-0", "shape": [1, 4], "datatype": "FP64", "data": FLOWER}
CALLS = [
    ("/v1/models/iris:predict", {"instances": [FLOWER]}), ("/v2/models/iris/infer", {"inputs": [TENSOR]}),
    ("/v1/models/iris:classify", {"examples": [{"input-0": FLOWER}]}),
    ("/v1/models/iris:explain", {"instances": [FLOWER]}),
    ("/invocations", {"instances": [FLOWER]}),
]  # fmt: skip
ODD = {"predict": np.array([[None]], dtype=object), "predict_proba": np.zeros((1, 2))}


@pytest.fixture
def iris(make_app: Callable[..., Flask], registry: Path) -> Flask:
    app = make_app(registry, invocations_model="iris")
    app.test_client().get("/v2")  # the versions are proven before a test makes their answers wrong
    return app


@pytest.mark.parametrize(("path", "body"), CALLS)
def test_an_answer_outside_the_signature_is_a_500_whose_detail_is_in_the_log(
    iris: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str, body: Any,
) -> None:
    monkeypatch.setattr(
        PlanRunner, "predict", lambda _, __, outputs: {name: ODD[name] for name in outputs},
    )
    response = iris.test_client().post(path, json=body, headers={"X-Request-Id": "given-1"})
    assert response.status_code == 500
    assert response.get_json() == {"error": BROKEN, "request_id": "given-1"}
    (record,) = [record for record in caplog.records if record.name == "mlapi.error"]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], InvalidAnswer)
    assert "the model's 'predict" in str(record.exc_info[1])


def test_a_body_that_is_not_as_its_schema_has_it_does_not_leave(
    iris: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(predict, "dump", lambda *_: b'{"predictions":["setosa"],"extra":1}')
    response = iris.test_client().post(*CALLS[0][:1], json=CALLS[0][1])
    assert (response.status_code, response.get_json()["error"]) == (500, BROKEN)
    assert "the answer is not as Predicted has it: extra: unknown field" in caplog.text


FLOWERS = [FLOWER] * 1500
TENSORS = {"name": "input-0", "shape": [1500, 4], "datatype": "FP64", "data": FLOWERS}
LARGE = [
    ("/v1/models/iris:predict", {"instances": FLOWERS, "signature_name": "predict_proba"}),
    ("/v1/models/iris:predict", {"inputs": FLOWERS, "signature_name": "predict_proba"}),
    ("/v2/models/iris/infer", {"id": "a", "inputs": [TENSORS], "outputs": [{"name": "predict_proba"}]}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), LARGE)
def test_many_numbers_are_not_read_back_and_are_as_their_schema_has_them(
    iris: Flask, monkeypatch: pytest.MonkeyPatch, path: str, body: Any,
) -> None:
    read: list[bytes] = []
    monkeypatch.setattr(calls, "valid", lambda body, schema: (read.append(body), check_answer(schema, body)))
    straight = iris.test_client().post(path, json=body)
    assert (straight.status_code, read) == (200, [])
    assert len(straight.data) > calls.LONGEST_READ_BACK
    monkeypatch.setattr(calls, "LONGEST_READ_BACK", len(straight.data))
    assert iris.test_client().post(path, json=body).data == straight.data
    assert read == [straight.data]


@pytest.mark.parametrize(("path", "body"), [
    ("/v1/models/iris:predict", {"instances": FLOWERS}),
    ("/v1/models/iris:classify", {"examples": [{"input-0": FLOWER}] * 1500}),
    ("/v2/models/iris/infer",
     {"inputs": [TENSORS], "outputs": [{"name": "predict_proba", "parameters": {"classification": 3}}]}),
])  # fmt: skip
def test_texts_and_what_no_array_holds_are_read_back_however_many(
    iris: Flask, monkeypatch: pytest.MonkeyPatch, path: str, body: Any,
) -> None:
    read: list[bytes] = []
    monkeypatch.setattr(calls, "valid", lambda body, _: read.append(body))
    monkeypatch.setattr(calls, "LONGEST_READ_BACK", 1000)
    response = iris.test_client().post(path, json=body)
    assert len(response.data) > calls.LONGEST_READ_BACK
    assert read == [response.data]


def test_the_setting_leaves_the_schemas_out_and_not_the_check_of_arrays(
    make_app: Callable[..., Flask], registry: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = make_app(registry, validate_responses="off").test_client()
    client.get("/v2")
    path, body = CALLS[0]
    with monkeypatch.context() as changed:
        changed.setattr(predict, "dump", lambda *_: b'{"predictions":["setosa"],"extra":1}')
        assert client.post(path, json=body).get_json() == {"predictions": ["setosa"], "extra": 1}
    monkeypatch.setattr(PlanRunner, "predict", lambda *_: ODD)
    assert client.post(path, json=body).status_code == 500


def test_a_document_that_is_not_as_its_schema_has_it_does_not_leave(
    iris: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("mlapi.resources.v2.metadata.__version__", None)
    response = iris.test_client().get("/v2")
    assert (response.status_code, response.get_json()["error"]) == (500, BROKEN)
    assert "the answer is not as Server has it: version: " in caplog.text
