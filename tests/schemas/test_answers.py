"""The schemas of answers: what is written passes, anything else is refused by its path."""

import json
from typing import Any

import pytest
from marshmallow import Schema

from mlapi.errors import InvalidAnswer
from mlapi.schemas.envelope import check_answer
from mlapi.schemas.fault import Fault
from mlapi.schemas.invocations import Predictions
from mlapi.schemas.v1.answers import Classified, Explained, Predicted, Regressed
from mlapi.schemas.v2 import documents
from mlapi.schemas.v2.answer import Inferred

TENSOR = {"name": "predict", "shape": [2, 1], "datatype": "FP64", "data": [1.5, None]}
ANSWER = {"model_name": "iris", "model_version": "1", "id": "42", "outputs": [TENSOR]}
ROW = {"base_value": 0.5, "contributions": {"a": 1.0}, "output": "predict"}
STATUS = {"name": "m", "version": "1", "state": "READY", "reason": ""}


def inferred(**changed: Any) -> dict[str, Any]:
    return {**ANSWER, "outputs": [{**TENSOR, **changed}]}


@pytest.mark.parametrize(("schema", "answer"), [
    (Predicted(), {"predictions": [1, "a", [0.5]]}), (Predicted(), {"outputs": [1]}),
    (Predictions(), {"predictions": [1]}),
    (Classified(), {"results": [[["a", 0.5], ["b", 0.5]]]}), (Regressed(), {"results": [1.0]}),
    (Explained(), {"predictions": [1], "method": "exact", "explanations": [{**ROW, "class": "a"}]}),
    (Inferred(), ANSWER), (Inferred(), inferred(datatype="BYTES", data=["a", "b"])),
    (Inferred(), inferred(datatype="INT64", data=[1, 2])), (Inferred(), inferred(datatype="BOOL", data=[True, False])),
    (documents.IndexRow(many=True), [STATUS]), (documents.ServerLive(), {"live": True}),
    (Fault(), {"error": "a", "faults": ["a"], "request_id": "1", "ready": False}),
])  # fmt: skip
def test_an_answer_passes(schema: Schema, answer: Any) -> None:
    check_answer(schema, json.dumps(answer).encode())


def test_numbers_that_v1_writes_as_tokens_pass() -> None:
    check_answer(Regressed(), b'{"results":[NaN,Infinity,-Infinity,1.0]}')


def test_raw_tensors_have_their_size_instead_of_data() -> None:
    tensor = {name: value for name, value in TENSOR.items() if name != "data"}
    raw = {**tensor, "parameters": {"binary_data_size": 16}}
    check_answer(Inferred(), json.dumps({**ANSWER, "outputs": [raw]}).encode())


@pytest.mark.parametrize(("schema", "answer", "path"), [
    (Predicted(), {}, "exactly one of predictions and outputs"), (Predicted(), {"predictions": []}, "predictions: "),
    (Predicted(), {"predictions": [1], "outputs": [1]}, "exactly one"),
    (Predicted(), {"predictions": [1], "x": 1}, "x: "),
    (Classified(), {"results": [[["a", "0.5"]]]}, "results: "), (Classified(), {"results": [["a", 0.5]]}, "results: "),
    (Classified(), {"results": [[["a", 0.5, 1.0]]]}, "results: "), (Classified(), {"results": [1]}, "results: "),
    (Regressed(), {"results": ["1"]}, "results: "), (Regressed(), {"results": [[1.0]]}, "results: "),
    (Explained(), {"predictions": [1], "method": "exact", "explanations": [{}]}, r"explanations\[0\].base_value: "),
    (Inferred(), {**ANSWER, "id": None}, "id: "), (Inferred(), {**ANSWER, "model_version": 1}, "model_version: "),
    (Inferred(), {**ANSWER, "outputs": []}, "outputs: "), (Inferred(), inferred(data=[1.0]), "has 1 values"),
    (Inferred(), inferred(shape=["2", 1]), r"outputs\[0\].shape\[0\]: expected an integer"),
    (Inferred(), inferred(datatype="FP128"), "datatype: "), (Inferred(), inferred(data=["a", "b"]), "else than FP64"),
    (Inferred(), inferred(datatype="INT64"), "else than INT64"),
    (Inferred(), inferred(data=[[1.0], [2.0]]), "else than"),
    (Inferred(), inferred(parameters={"binary_data_size": 8}), "exactly one of data and binary_data_size"),
    (documents.IndexRow(many=True), [{**STATUS, "state": "Ready"}], "state: "),
    (documents.ServerLive(), {"live": 1}, "live: expected true or false"), (Fault(), {"error": ""}, "error: "),
])  # fmt: skip
def test_an_answer_that_is_none_is_refused_by_its_path(schema: Schema, answer: Any, path: str) -> None:
    with pytest.raises(InvalidAnswer, match=rf"^the answer is not as {type(schema).__name__} has it: .*{path}"):
        check_answer(schema, json.dumps(answer).encode())
