"""Part B of the wire contract: the Open Inference Protocol. A test is named after its clause."""

import base64
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.contract.wire import LENGTH, error_of, infer, outputs_of, tensor

FLOWER = [5.1, 3.5, 1.4, 0.2]
FLOWERS = tensor("input-0", [2, 4], "FP64", [*FLOWER, 6.7, 3.1, 5.6, 2.4])
HOME = {"size": ("FP64", 80.5), "year": ("FP64", 1990.5), "rooms": ("INT64", 3), "city": ("BYTES", "oslo"),
        "garden": ("BOOL", True)}  # fmt: skip


def home(shape: list[int] | None = None, **other: tuple[str, Any]) -> list[Any]:
    """Return the inputs of one home, some of them otherwise."""
    columns = {**HOME, **other}
    return [tensor(name, shape or [1, 1], datatype, [value]) for name, (datatype, value) in columns.items()]


def refused(client: FlaskClient, document: dict[str, Any], model: str = "iris") -> str:
    return error_of(client.post(f"/v2/models/{model}/infer", data=json.dumps(document)), 400)


def test_b1_health_is_json_with_both_members(client: FlaskClient) -> None:
    assert client.get("/v2/health/live?x=1").get_json() == {"live": True}
    assert client.get("/v2/health/ready?x=1").get_json() == {"ready": True, "live": True}
    assert client.get("/v2/models/iris/versions/1/ready?x").get_json() == {"name": "iris", "ready": True}
    error_of(client.get("/v2/models/nope/ready"), 404)


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2?verbose=1"])
def test_b2_the_server_lists_what_is_implemented(client: FlaskClient, path: str) -> None:
    answer = client.get(path).get_json()
    assert answer["name"] == "mlapi"
    assert answer["version"].count(".") == 2
    assert answer["extensions"] == [
        "binary_tensor_data", "classification", "model_repository", "statistics", "parameters", "model_configuration",
    ]


def test_b3_metadata_of_a_matrix_with_text_classes(client: FlaskClient) -> None:
    assert client.get("/v2/models/iris").get_json() == {
        "name": "iris", "versions": ["1", "2"], "platform": "sklearn_joblib",
        "inputs": [{"name": "input-0", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [{"name": "predict", "datatype": "BYTES", "shape": [-1, 1]},
                    {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 3]}],
    }  # fmt: skip


@pytest.mark.parametrize(("model", "inputs", "output"), [
    ("visits", {"word": "BYTES", "count": "INT64", "known": "BOOL", "score": "FP64"}, "INT64"),
    ("homes", {name: datatype for name, (datatype, _) in HOME.items()}, "FP64"),
])
def test_b3_metadata_of_columns(client: FlaskClient, model: str, inputs: dict[str, str], output: str) -> None:
    answer = client.get(f"/v2/models/{model}/versions/1").get_json()
    assert {entry["name"]: entry["datatype"] for entry in answer["inputs"]} == inputs
    assert all(entry["shape"] == [-1, 1] for entry in answer["inputs"])
    assert answer["outputs"][0] == {"name": "predict", "datatype": output, "shape": [-1, 1]}


def test_b4_inputs_come_in_any_order_once_each(client: FlaskClient) -> None:
    expected = outputs_of(infer(client, "homes", *home()))
    assert outputs_of(infer(client, "homes", *reversed(home()))) == expected
    error_of(infer(client, "homes", *home(), home()[0]), 400)
    assert "missing" in error_of(infer(client, "homes", *home()[1:]), 400)
    assert "unknown" in error_of(infer(client, "homes", *home(), tensor("roof", [1, 1], "FP64", [1])), 400)


@pytest.mark.parametrize("inputs", [None, [], {}, "x", [5], [[]], [None]])
def test_b4_inputs_that_are_no_objects_are_refused(client: FlaskClient, inputs: Any) -> None:
    refused(client, {"inputs": inputs})


@pytest.mark.parametrize("shape", [
    None, 4, "1,4", [], [1.0, 4], [True, 4], ["1", "4"], [-1, 4], [2**40], [2**40, 2**40], [0, 4], [1, 0], [4], [4, 1],
    [1, 4, 1], [1, 1, 4], [2, 4], [2**64, 0], [1] * 40, [[1, 4]],
])
def test_b4_a_shape_that_is_none_or_fits_nothing_is_refused(client: FlaskClient, shape: Any) -> None:
    refused(client, {"inputs": [{"name": "input-0", "shape": shape, "datatype": "FP64", "data": FLOWER}]})


@pytest.mark.parametrize("missing", ["name", "shape", "datatype", "data"])
def test_b4_every_member_of_an_input_is_required(client: FlaskClient, missing: str) -> None:
    entry = tensor("input-0", [1, 4], "FP64", FLOWER)
    del entry[missing]
    assert missing in refused(client, {"inputs": [entry]})


@pytest.mark.parametrize("member", ["name", "datatype", "data", "parameters"])
@pytest.mark.parametrize("value", [5, None, True, {"a": {}}, "nope"])
def test_b4_members_of_other_types_are_refused(client: FlaskClient, member: str, value: Any) -> None:
    refused(client, {"inputs": [{**tensor("input-0", [1, 4], "FP64", FLOWER), member: value}]})


def test_b4_the_batch_is_the_same_in_all_inputs(client: FlaskClient) -> None:
    inputs = home()
    inputs[0] = tensor("size", [2, 1], "FP64", [1.0, 2.0])
    assert "length" in error_of(infer(client, "homes", *inputs), 400)


def test_b4_a_column_is_n_or_n_1_and_a_matrix_never_n(client: FlaskClient) -> None:
    expected = outputs_of(infer(client, "homes", *home()))
    assert outputs_of(infer(client, "homes", *home([1]))) == expected
    error_of(infer(client, "homes", *home([1, 1, 1])), 400)
    error_of(infer(client, "half", tensor("input-0", [1], "FP64", [1.0])), 400)


@pytest.mark.parametrize("wanted", [None, []])
def test_b4_without_outputs_all_are_answered(client: FlaskClient, wanted: list[Any] | None) -> None:
    more = {} if wanted is None else {"outputs": wanted}
    assert list(outputs_of(infer(client, "iris", FLOWERS, **more))) == ["predict", "predict_proba"]


def test_b4_outputs_come_as_named_in_the_order_asked(client: FlaskClient) -> None:
    for names in (["predict"], ["predict_proba"], ["predict_proba", "predict"]):
        assert list(outputs_of(infer(client, "iris", FLOWERS, outputs=[{"name": name} for name in names]))) == names


@pytest.mark.parametrize("outputs", [
    [{"name": "nope"}], [{"name": "predict"}, {"name": "predict"}], [{}], [5], "predict", {"name": "predict"},
    [{"name": "predict", "parameters": 5}], [{"name": "predict", "parameters": {"binary_data": "yes"}}],
])
def test_b4_outputs_that_are_unknown_or_malformed_are_refused(client: FlaskClient, outputs: Any) -> None:
    refused(client, {"inputs": [FLOWERS], "outputs": outputs})


def test_b4_parameters_without_meaning_are_tolerated(client: FlaskClient) -> None:
    parameters = {"sequence_id": 5, "sequence_start": True, "priority": 1, "timeout": 1000, "x": "y", "z": 1.5}
    entry = {**FLOWERS, "parameters": {"anything": "goes"}}
    wanted = [{"name": "predict", "parameters": {"anything": 1}}]
    assert infer(client, "iris", entry, parameters=parameters, outputs=wanted).status_code == 200


@pytest.mark.parametrize("parameters", [5, "x", [], None, True])
def test_b4_parameters_that_are_no_object_are_refused(client: FlaskClient, parameters: Any) -> None:
    refused(client, {"inputs": [FLOWERS], "parameters": parameters})
    refused(client, {"inputs": [{**FLOWERS, "parameters": parameters}]})
    refused(client, {"inputs": [FLOWERS], "outputs": [{"name": "predict", "parameters": parameters}]})


@pytest.mark.parametrize("datatype", [
    "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP32", "FP64",
])
def test_b5_numbers_are_cast_to_the_datatype_of_the_model(client: FlaskClient, datatype: str) -> None:
    answer = outputs_of(infer(client, "half", tensor("input-0", [2, 1], datatype, [3, 100])))
    assert answer["predict"] == pytest.approx([3.5, 52.0])


@pytest.mark.parametrize("datatype", ["FP16", "BF16", "STRING", "fp64", ""])
def test_b5_datatypes_without_a_json_form_or_unknown_are_refused(client: FlaskClient, datatype: str) -> None:
    error_of(infer(client, "half", tensor("input-0", [1, 1], datatype, [1])), 400)


@pytest.mark.parametrize(("datatype", "value"), [
    ("INT8", 128), ("INT8", -129), ("UINT8", 256), ("UINT8", -1), ("INT16", 40000), ("UINT16", -1), ("INT32", 2**31),
    ("UINT32", 2**32), ("INT64", 2**63), ("UINT64", 2**64), ("INT64", 3.5), ("INT64", "3"), ("INT64", True),
    ("INT64", None), ("INT64", {}), ("INT64", [[]]), ("FP64", "1.5"), ("FP64", True), ("FP64", {}), ("BYTES", "1"),
    ("FP32", 1e300),
])
def test_b5_elements_that_are_none_of_the_datatype_are_refused(
    client: FlaskClient, datatype: str, value: Any,
) -> None:
    error_of(infer(client, "half", tensor("input-0", [1, 1], datatype, [value])), 400)


@pytest.mark.parametrize(("column", "datatype", "value"), [
    ("city", "FP64", 1.0), ("city", "BOOL", True), ("city", "BYTES", 5), ("city", "BYTES", None),
    ("garden", "BYTES", "true"), ("garden", "BOOL", "true"), ("garden", "BOOL", 2), ("rooms", "FP64", 2.5),
    ("rooms", "BYTES", "3"), ("rooms", "INT64", None), ("year", "FP64", None), ("city", "BYTES", "atlantis"),
])
def test_b5_text_and_numbers_never_become_each_other(
    client: FlaskClient, column: str, datatype: str, value: Any,
) -> None:
    error_of(infer(client, "homes", *home(**{column: (datatype, value)})), 400)


def test_b5_null_is_nan_where_the_model_takes_missing_numbers(client: FlaskClient) -> None:
    for datatype in ("FP64", "FP32"):
        assert infer(client, "homes", *home(size=(datatype, None))).status_code == 200
    body = json.dumps({"instances": [{name: value for name, (_, value) in HOME.items()} | {"size": None}]})
    error_of(client.post("/v1/models/homes:predict", data=body), 400)


def test_b5_whole_floats_are_integers_and_bits_are_booleans(client: FlaskClient) -> None:
    expected = outputs_of(infer(client, "homes", *home()))
    assert outputs_of(infer(client, "homes", *home(rooms=("FP64", 3.0), garden=("BOOL", 1)))) == expected


@pytest.mark.parametrize("data", [
    [FLOWER, FLOWER], [[FLOWER], [FLOWER]], FLOWER * 2, [FLOWER[:2], FLOWER[2:]] * 2, [[value] for value in FLOWER * 2],
])
def test_b5_data_is_flat_or_any_rectangle_and_row_major(client: FlaskClient, data: list[Any]) -> None:
    assert outputs_of(infer(client, "iris", tensor("input-0", [2, 4], "FP64", data)))["predict"] == ["setosa"] * 2


@pytest.mark.parametrize("data", [
    [FLOWER, FLOWER[:3]], [FLOWER, 1.0], [1.0, *FLOWER, FLOWER[:3]], [[], FLOWER], [FLOWER], [], [[]], 5, {"0": FLOWER},
])
def test_b5_ragged_or_short_data_is_refused(client: FlaskClient, data: Any) -> None:
    refused(client, {"inputs": [{"name": "input-0", "shape": [2, 4], "datatype": "FP64", "data": data}]})


def test_b5_outputs_are_flat(client: FlaskClient) -> None:
    outputs = infer(client, "iris", FLOWERS).get_json()["outputs"]
    assert [(output["shape"], len(output["data"])) for output in outputs] == [([2, 1], 2), ([2, 3], 6)]
    assert not any(isinstance(value, list) for output in outputs for value in output["data"])


def test_b6_base64_texts_are_decoded_and_the_input_overrides_the_request(client: FlaskClient) -> None:
    expected = outputs_of(infer(client, "homes", *home()))
    encoded = base64.b64encode(b"oslo").decode()
    inputs = home(city=("BYTES", encoded))
    assert outputs_of(infer(client, "homes", *inputs, parameters={"content_type": "base64"})) == expected
    inputs[3]["parameters"] = {"content_type": "base64"}
    assert outputs_of(infer(client, "homes", *inputs, parameters={"content_type": "pd"})) == expected
    plain = home()
    plain[3]["parameters"] = {"content_type": "str"}
    assert outputs_of(infer(client, "homes", *plain, parameters={"content_type": "base64"})) == expected
    error_of(infer(client, "homes", *home(city=("BYTES", "%%")), parameters={"content_type": "base64"}), 400)


@pytest.mark.parametrize("content_type", ["np", "pd", "str", "datetime", "unheard-of"])
def test_b6_other_content_types_change_nothing(client: FlaskClient, content_type: str) -> None:
    expected = outputs_of(infer(client, "homes", *home([1])))
    assert outputs_of(infer(client, "homes", *home([1]), parameters={"content_type": content_type})) == expected


@pytest.mark.parametrize("given", ["42", "", "x" * 1000, '東京 🦔 \u0000 " \\', "\u202e"])
def test_b7_the_id_comes_back_as_it_was(client: FlaskClient, given: str) -> None:
    assert infer(client, "iris", FLOWERS, id=given).get_json()["id"] == given
    wanted = infer(client, "iris", FLOWERS, id=given, parameters={"binary_data_output": True})
    assert json.loads(wanted.data[: int(wanted.headers[LENGTH])])["id"] == given


def test_b7_without_an_id_each_answer_gets_one_of_its_own(client: FlaskClient) -> None:
    ids = {infer(client, "iris", FLOWERS).get_json()["id"] for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize("given", [5, None, True, [], {}])
def test_b7_an_id_that_is_no_string_is_refused(client: FlaskClient, given: Any) -> None:
    refused(client, {"id": given, "inputs": [FLOWERS]})


def test_b7_the_answer_has_its_members_and_no_null(client: FlaskClient) -> None:
    response = client.post("/v2/models/iris/versions/1/infer", data=json.dumps({"inputs": [FLOWERS]}),
                           headers={"X-Request-Id": "mine"})  # fmt: skip
    document = response.get_json()
    assert (document["model_name"], document["model_version"]) == ("iris", "1")
    assert document.keys() == {"model_name", "model_version", "id", "outputs"}
    assert all(output.keys() == {"name", "shape", "datatype", "data"} for output in document["outputs"])
    assert None not in document.values()
    assert response.headers["X-Request-Id"] == "mine"
    assert LENGTH not in response.headers


@pytest.mark.parametrize("given", ["x" * 8190, "☃ 東京".encode().decode("latin-1"), "\xe9", "a b;c,d"])
@pytest.mark.parametrize("path", ["/v2", "/v2/models/nope", "/v1/models/iris"])
def test_b7_the_request_id_of_the_caller_comes_back_whatever_a_header_may_hold(
    client: FlaskClient, path: str, given: str,
) -> None:
    assert client.get(path, headers={"X-Request-Id": given}).headers["X-Request-Id"] == given
