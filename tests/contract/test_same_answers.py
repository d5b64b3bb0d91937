"""However a table is sent, its rows get the same answers; and a batch gets those of its rows alone."""

import json
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.wire import binary, infer, outputs_of, tensor

DATATYPES = {"word": "BYTES", "count": "INT64", "known": "BOOL", "score": "FP64"}
WORD = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(["", "köln", "東京"])
ROW = st.tuples(WORD, st.integers(-(2**53), 2**53), st.booleans(), st.floats(-1e6, 1e6))
FLOWER = st.tuples(*[st.floats(-1e3, 1e3)] * 4)
PREDICT = [{"name": "predict"}]
EXAMPLES = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def first(client: FlaskClient, model: str, document: Any, member: str) -> list[Any]:
    response = client.post(f"/v1/models/{model}:predict", data=json.dumps(document))
    assert response.status_code == 200, response.data
    return list(response.get_json()[member])


def second(client: FlaskClient, model: str, *inputs: Any) -> list[Any]:
    return list(outputs_of(infer(client, model, *inputs, outputs=PREDICT))["predict"])


def inputs_of(rows: list[Any], make: Any, *, nested: bool = False) -> list[Any]:
    columns = zip(*rows, strict=True)
    return [
        make(name, [len(rows), 1], datatype, [[value] for value in column] if nested else list(column))
        for (name, datatype), column in zip(DATATYPES.items(), columns, strict=True)
    ]


@pytest.mark.no_cover
@EXAMPLES
@given(rows=st.lists(ROW, min_size=1, max_size=8))
def test_a_table_of_columns_gets_one_answer_in_every_form(client: FlaskClient, rows: list[Any]) -> None:
    objects = [dict(zip(DATATYPES, row, strict=True)) for row in rows]
    columns = {name: [row[name] for row in objects] for name in DATATYPES}
    expected = first(client, "visits", {"instances": objects}, "predictions")
    assert first(client, "visits", {"instances": [list(row) for row in rows]}, "predictions") == expected
    assert first(client, "visits", {"inputs": columns}, "outputs") == expected
    assert second(client, "visits", *inputs_of(rows, tensor)) == expected
    assert second(client, "visits", *inputs_of(rows, tensor, nested=True)) == expected
    assert second(client, "visits", *inputs_of(rows, binary)) == expected
    alone = [first(client, "visits", {"instances": [each]}, "predictions")[0] for each in objects]
    assert alone == expected


@pytest.mark.no_cover
@EXAMPLES
@given(rows=st.lists(FLOWER, min_size=1, max_size=8))
def test_a_matrix_gets_one_answer_in_every_form(client: FlaskClient, rows: list[Any]) -> None:
    lists, shape = [list(row) for row in rows], [len(rows), 4]
    flat = [value for row in rows for value in row]
    expected = first(client, "iris", {"instances": lists}, "predictions")
    assert first(client, "iris", {"instances": [{"input-0": row} for row in lists]}, "predictions") == expected
    assert first(client, "iris", {"inputs": lists}, "outputs") == expected
    assert first(client, "iris", {"inputs": {"input-0": lists}}, "outputs") == expected
    assert second(client, "iris", tensor("input-0", shape, "FP64", flat)) == expected
    assert second(client, "iris", tensor("input-0", shape, "FP64", lists)) == expected
    assert second(client, "iris", binary("input-0", shape, "FP64", flat)) == expected
    scores = first(client, "iris", {"instances": lists, "signature_name": "predict_proba"}, "predictions")
    tensors = outputs_of(infer(client, "iris", binary("input-0", shape, "FP64", flat),
                               parameters={"binary_data_output": True}))["predict_proba"]  # fmt: skip
    assert np.ravel(scores).tolist() == tensors
    for row, label, score in zip(lists, expected, scores, strict=True):
        assert first(client, "iris", {"instances": [row]}, "predictions") == [label]
        alone = first(client, "iris", {"instances": [row], "signature_name": "predict_proba"}, "predictions")
        assert alone[0] == pytest.approx(score, rel=1e-9, abs=1e-12)  # BLAS may add up a batch in another order
