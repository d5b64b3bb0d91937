"""Part D of the wire contract: TensorFlow Serving's REST API and KServe V1. A test is named after its clause."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from mlapi.inference.values import InferenceResponse
from mlapi.schemas.v1 import examples, values
from tests.contract.wire import error_of

FLOWER = [5.1, 3.5, 1.4, 0.2]
NAMED = dict(zip(["sepal length", "sepal width", "petal length", "petal width"], FLOWER, strict=True))
VISIT = {"word": "köln", "count": 3, "known": True, "score": 0.25}
COLUMNS = {name: [value, value] for name, value in VISIT.items()}
NO_REQUEST: Any = None


def post(client: FlaskClient, model: str, document: Any, verb: str = "predict") -> Any:
    return client.post(f"/v1/models/{model}:{verb}", data=json.dumps(document))


def answer(client: FlaskClient, model: str, document: Any, verb: str = "predict") -> Any:
    response = post(client, model, document, verb)
    assert response.status_code == 200, response.data
    return response.get_json()


def test_d_the_server_is_alive_and_lists_each_model_once(client: FlaskClient) -> None:
    assert client.get("/").get_json() == {"status": "alive"}
    names = client.get("/v1/models").get_json()["models"]
    assert names.count("iris") == 1
    assert names == sorted(names)


@pytest.mark.parametrize("path", ["iris/versions/1/labels/stable", "iris/labels/stable/versions/1"])
def test_d_version_and_label_together_are_404(client: FlaskClient, path: str) -> None:
    error_of(client.get(f"/v1/models/{path}"), 404)
    error_of(client.post(f"/v1/models/{path}:predict", data=json.dumps({"instances": [FLOWER]})), 404)


@pytest.mark.parametrize(("path", "versions"), [
    ("iris", ["1", "2"]), ("iris/versions/2", ["2"]), ("iris/labels/stable", ["1"]),
])
def test_d1_the_status_lists_the_versions_asked_for(client: FlaskClient, path: str, versions: list[str]) -> None:
    document = client.get(f"/v1/models/{path}").get_json()
    assert (document["name"], document["ready"]) == ("iris", True)
    assert document["model_version_status"] == [
        {"version": each, "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        for each in versions
    ]


def test_d2_metadata_are_tensorflows(client: FlaskClient) -> None:
    document = client.get("/v1/models/visits/metadata").get_json()
    assert document["model_spec"] == {"name": "visits", "signature_name": "", "version": "1"}
    signatures = document["metadata"]["signature_def"]["signature_def"]
    assert signatures.keys() == {"serving_default", "tensorflow/serving/classify", "predict_proba"}
    default = signatures["serving_default"]
    assert {name: tensor["dtype"] for name, tensor in default["inputs"].items()} == {
        "word": "DT_STRING", "count": "DT_INT64", "known": "DT_BOOL", "score": "DT_DOUBLE",
    }
    assert default["outputs"] == {"predict": {
        "dtype": "DT_INT64", "name": "predict:0",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}, {"size": "1", "name": ""}], "unknown_rank": False},
    }}  # fmt: skip
    assert default["method_name"] == "tensorflow/serving/predict"
    assert signatures["tensorflow/serving/classify"]["outputs"].keys() == {"classes", "scores"}


def test_d2_regressors_have_the_regress_signature_and_paths_their_version(client: FlaskClient) -> None:
    document = client.get("/v1/models/half/metadata").get_json()
    assert document["metadata"]["signature_def"]["signature_def"].keys() == {
        "serving_default", "tensorflow/serving/regress",
    }
    labelled = client.get("/v1/models/iris/labels/stable/metadata").get_json()
    assert labelled["model_spec"]["version"] == "1"


@pytest.mark.parametrize("document", [
    {}, {"instances": [FLOWER], "inputs": [FLOWER]}, {"instances": []}, {"instances": {}}, {"instances": None},
    {"instances": 5}, {"inputs": 5}, {"inputs": []}, {"inputs": {}}, {"inputs": "x"},
    {"instances": [FLOWER], "signature_name": "nope"}, {"instances": [FLOWER], "signature_name": 5},
    {"instances": [FLOWER], "signature_name": None}, {"instances": [FLOWER, {"input-0": FLOWER}]},
    {"instances": [FLOWER[:3]]}, {"instances": [FLOWER, FLOWER[:3]]}, {"instances": [[*FLOWER, 1.0]]},
    {"instances": [{"input-0": FLOWER, "x": 1}]}, {"instances": [{"x": FLOWER}]}, {"instances": [[FLOWER]]},
    {"inputs": {"input-0": [FLOWER], "x": [1]}}, {"instances": ["x"]}, {"instances": [None]},
])
def test_d3_what_is_neither_rows_nor_columns_is_refused(client: FlaskClient, document: dict[str, Any]) -> None:
    error_of(post(client, "iris", document), 400)


@pytest.mark.parametrize("name", [None, "", "serving_default"])
def test_d3_the_default_signature_has_three_spellings(client: FlaskClient, name: str | None) -> None:
    more = {} if name is None else {"signature_name": name}
    assert answer(client, "iris", {"instances": [FLOWER], **more}) == {"predictions": ["setosa"]}


def test_d3_predict_proba_selects_the_probabilities(client: FlaskClient) -> None:
    found = answer(client, "iris", {"instances": [FLOWER], "signature_name": "predict_proba"})
    assert len(found["predictions"][0]) == 3
    columns = answer(client, "iris", {"inputs": [FLOWER], "signature_name": "predict_proba"})
    assert columns == {"outputs": found["predictions"]}
    error_of(post(client, "half", {"instances": [1], "signature_name": "predict_proba"}), 400)


@pytest.mark.parametrize("verb", ["predict", "explain"])
@pytest.mark.parametrize("name", [
    "predict", "tensorflow/serving/predict", "tensorflow/serving/classify", "tensorflow/serving/regress", "classes",
    "SERVING_DEFAULT", " ", "serving_default ", "input-0",
])
def test_d3_any_other_signature_is_unknown_also_the_name_of_an_output(
    client: FlaskClient, name: str, verb: str,
) -> None:
    sentence = error_of(post(client, "iris", {"instances": [FLOWER], "signature_name": name}, verb), 400)
    assert sentence == "signature_name: expected serving_default or predict_proba"


@pytest.mark.parametrize("instances", [[FLOWER], [{"input-0": FLOWER}], [NAMED]])
def test_d3_rows_of_a_matrix_are_lists_or_objects(client: FlaskClient, instances: list[Any]) -> None:
    assert answer(client, "iris", {"instances": instances * 2}) == {"predictions": ["setosa"] * 2}


@pytest.mark.parametrize("instance", [
    VISIT, {name: [value] for name, value in VISIT.items()}, list(VISIT.values()),
    {**VISIT, "word": {"b64": base64.b64encode("köln".encode()).decode()}},
    {**VISIT, "word": [{"b64": base64.b64encode("köln".encode()).decode()}]},
    [{"b64": base64.b64encode("köln".encode()).decode()}, 3, True, 0.25], {**VISIT, "count": 3.0},
])
def test_d3_rows_of_columns_are_objects_or_lists(client: FlaskClient, instance: Any) -> None:
    expected = answer(client, "visits", {"instances": [VISIT]})["predictions"]
    assert answer(client, "visits", {"instances": [instance] * 3})["predictions"] == expected * 3
    assert type(expected[0]) is int


@pytest.mark.parametrize("other", [
    {"word": 5}, {"word": None}, {"count": 1.5}, {"count": "1"}, {"count": True}, {"known": "true"}, {"known": 2},
    {"score": "1"}, {"score": [1, 2]}, {"score": True}, {"word": {"b64": "%%"}}, {"word": {"b64": 5}},
    {"word": {"b64": base64.b64encode(b"\xff").decode()}}, {"word": {"0": "x"}}, {"extra": 1},
])
def test_d3_values_of_another_type_are_refused(client: FlaskClient, other: dict[str, Any]) -> None:
    error_of(post(client, "visits", {"instances": [{**VISIT, **other}]}), 400)


def test_d3_the_data_frame_form_of_kserve_is_not_supported(client: FlaskClient) -> None:
    error_of(post(client, "visits", {"instances": [{name: {"0": value} for name, value in VISIT.items()}]}), 400)


def test_d3_columns_are_n_or_n_1_and_answered_as_outputs(client: FlaskClient) -> None:
    expected = answer(client, "visits", {"instances": [VISIT, VISIT]})["predictions"]
    assert answer(client, "visits", {"inputs": COLUMNS}) == {"outputs": expected}
    tall = {name: [[value] for value in column] for name, column in COLUMNS.items()}
    assert answer(client, "visits", {"inputs": tall}) == {"outputs": expected}
    assert answer(client, "iris", {"inputs": {"input-0": [FLOWER]}}) == {"outputs": ["setosa"]}
    error_of(post(client, "visits", {"inputs": {**COLUMNS, "count": [1]}}), 400)
    error_of(post(client, "visits", {"inputs": [1, 2]}), 400)


def test_d3_text_whose_output_ends_in_bytes_is_a_b64_object() -> None:
    (wrapped,) = values.outgoing("image_bytes", np.array([["é"]], dtype=object))
    assert wrapped == {"b64": base64.b64encode("é".encode()).decode()}


@pytest.mark.parametrize("signature", [None, "", "serving_default", "tensorflow/serving/classify"])
def test_d4_classify_pairs_every_class_with_its_score_in_the_models_order(
    client: FlaskClient, signature: str | None,
) -> None:
    more = {} if signature is None else {"signature_name": signature}
    results = answer(client, "visits", {"examples": [VISIT] * 2, **more}, "classify")["results"]
    assert [label for label, _ in results[0]] == ["-1", "2", "7"]
    assert sum(score for _, score in results[1]) == pytest.approx(1)
    flowers = answer(client, "iris", {"examples": [NAMED, NAMED]}, "classify")["results"]
    assert [label for label, _ in flowers[0]] == ["setosa", "versicolor", "virginica"]


def test_d4_context_is_merged_into_every_example(client: FlaskClient) -> None:
    whole = answer(client, "visits", {"examples": [VISIT]}, "classify")
    context = {"word": [VISIT["word"]], "known": True}
    parts = {"context": context, "examples": [{"count": [3], "score": 0.25}]}
    assert answer(client, "visits", parts, "classify") == whole
    error_of(post(client, "visits", {"context": context, "examples": [VISIT]}, "classify"), 400)


@pytest.mark.parametrize("signature", [None, "", "serving_default", "tensorflow/serving/regress"])
def test_d4_regress_answers_floats(client: FlaskClient, signature: str | None) -> None:
    more = {} if signature is None else {"signature_name": signature}
    results = answer(client, "half", {"examples": [{"input-0": 2}, {"input-0": [4.0]}], **more}, "regress")["results"]
    assert results == pytest.approx([3.0, 4.0])
    assert all(type(number) is float for number in results)


@pytest.mark.parametrize(("model", "verb", "name"), [
    ("visits", "classify", "tensorflow/serving/regress"), ("visits", "classify", "tensorflow/serving/predict"),
    ("visits", "classify", "predict_proba"), ("visits", "classify", "predict"), ("visits", "classify", "classify"),
    ("half", "regress", "tensorflow/serving/classify"), ("half", "regress", "predict"), ("half", "regress", "regress"),
])
def test_d4_a_verb_has_the_default_signature_and_its_own(
    client: FlaskClient, model: str, verb: str, name: str,
) -> None:
    example = VISIT if model == "visits" else {"input-0": 2}
    sentence = error_of(post(client, model, {"examples": [example], "signature_name": name}, verb), 400)
    assert sentence == f"signature_name: expected serving_default or tensorflow/serving/{verb} for this verb"


@pytest.mark.parametrize("document", [
    {}, {"examples": []}, {"examples": {}}, {"examples": [5]}, {"examples": [FLOWER]}, {"examples": [{}]},
    {"examples": [VISIT], "context": 5}, {"examples": [VISIT], "signature_name": "tensorflow/serving/regress"},
    {"examples": [VISIT], "signature_name": 5}, {"examples": [{**VISIT, "score": [1, 2]}]},
])
def test_d4_what_is_no_list_of_examples_is_refused(client: FlaskClient, document: dict[str, Any]) -> None:
    error_of(post(client, "visits", document, "classify"), 400)


@pytest.mark.parametrize(("model", "verb"), [("half", "classify"), ("iris", "regress"), ("visits", "regress")])
def test_d4_a_verb_that_does_not_fit_the_model_is_400(client: FlaskClient, model: str, verb: str) -> None:
    error_of(post(client, model, {"examples": [{"input-0": 1}]}, verb), 400)


def test_d4_scores_have_the_digits_of_their_datatype_and_tokens_for_what_json_has_not() -> None:
    scores = np.array([[0.1, 0.9], [np.nan, np.inf]], dtype="f4")
    response = InferenceResponse("m", 1, {"predict_proba": scores}, {"predict_proba": "FP32"}, None, ("a", "b"))
    assert examples.dump_classes(response, NO_REQUEST) == (
        b'{"results":[[["a",0.1],["b",0.9]],[["a",NaN],["b",Infinity]]]}'
    )
    numbers = InferenceResponse("m", 1, {"predict": np.array([[0.1], [3]], "f4")}, {"predict": "FP32"})
    assert examples.dump_numbers(numbers, NO_REQUEST) == b'{"results":[0.1,3.0]}'
