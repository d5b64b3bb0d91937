"""Part C of the wire contract: the extensions of V2. A test is named after its clause."""

import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sklearn.linear_model import LinearRegression

from mlapi.registry.publishing import publish
from mlapi.registry.store import Store
from tests.contract.wire import LENGTH, binary, error_of, framed, infer, message, outputs_of, raw_of, tensor

FLOWER = [5.1, 3.5, 1.4, 0.2]
INTEGERS = ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64")
VISIT: dict[str, tuple[str, list[Any]]] = {
    "word": ("BYTES", ["", "東京"]), "count": ("INT64", [3, -2]), "known": ("BOOL", [True, False]),
    "score": ("FP64", [0.25, -1.5]),
}


def visit(made: Any, *, but: str = "", by: Any = None) -> list[Any]:
    """Return the four inputs of `visits`, made by `tensor` or `binary`, one of them otherwise."""
    make = {name: by if name == but else made for name in VISIT}
    return [make[name](name, [2, 1], datatype, data) for name, (datatype, data) in VISIT.items()]


def flower(**parameters: Any) -> tuple[dict[str, Any], bytes]:
    return binary("input-0", [1, 4], "FP64", FLOWER, **parameters)


# -- C.1 ----------------------------------------------------------------------------------------


def test_c1_every_datatype_in_binary_answers_as_in_json(client: FlaskClient) -> None:
    assert outputs_of(infer(client, "visits", *visit(binary))) == outputs_of(infer(client, "visits", *visit(tensor)))


@pytest.mark.parametrize("name", VISIT)
def test_c1_json_and_binary_inputs_stand_in_one_message(client: FlaskClient, name: str) -> None:
    expected = outputs_of(infer(client, "visits", *visit(tensor)))
    assert outputs_of(infer(client, "visits", *visit(binary, but=name, by=tensor))) == expected
    assert outputs_of(infer(client, "visits", *visit(tensor, but=name, by=binary))) == expected


@pytest.mark.parametrize("datatype", [*INTEGERS, "FP16", "FP32", "FP64"])
def test_c1_binary_numbers_of_every_width_are_little_endian(client: FlaskClient, datatype: str) -> None:
    values = outputs_of(infer(client, "half", binary("input-0", [2, 1], datatype, [1, 100])))["predict"]
    assert values == pytest.approx([2.5, 52.0])


@pytest.mark.parametrize("datatype", [*INTEGERS, "FP16", "FP32", "FP64", "BOOL"])
def test_c1_binary_numbers_become_the_integers_of_a_column(client: FlaskClient, datatype: str) -> None:
    def sent(name: str, shape: list[int], *_: Any) -> Any:
        return binary(name, shape, datatype, [1, 0])

    def declared(name: str, shape: list[int], *_: Any) -> Any:
        return tensor(name, shape, "INT64", [1, 0])

    answer = infer(client, "visits", *visit(tensor, but="count", by=sent))
    same = infer(client, "visits", *visit(tensor, but="count", by=declared))
    assert outputs_of(answer) == outputs_of(same)


def test_c1_tails_follow_the_order_of_the_inputs(client: FlaskClient) -> None:
    expected = outputs_of(infer(client, "visits", *visit(tensor)))
    assert outputs_of(infer(client, "visits", *reversed(visit(binary)))) == expected


def test_c1_texts_may_be_empty_and_beyond_ascii(client: FlaskClient) -> None:
    words = ["", "köln", "東京", "🦔" * 50]
    values = outputs_of(infer(client, "only", binary("word", [4, 1], "BYTES", words)))
    assert values == outputs_of(infer(client, "only", tensor("word", [4, 1], "BYTES", words)))
    assert len(values["predict"]) == 4


@pytest.mark.parametrize("name", [LENGTH, LENGTH.lower(), LENGTH.upper()])
def test_c1_the_header_counts_bytes_and_has_no_case(client: FlaskClient, name: str) -> None:
    body, headers = message(flower(), id="bytes, not characters: 東京")
    document = json.dumps(json.loads(body[: int(headers[LENGTH])]), ensure_ascii=False).encode()
    raw = document + body[int(headers[LENGTH]) :]
    response = client.post("/v2/models/iris/infer", data=raw, headers={name: str(len(document))})
    assert outputs_of(response)["predict"] == ["setosa"]


def test_c1_without_the_header_or_with_that_of_the_whole_body_all_is_json(client: FlaskClient) -> None:
    body, headers = message(tensor("input-0", [1, 4], "FP64", FLOWER))
    assert headers == {}
    whole = client.post("/v2/models/iris/infer", data=body, headers={LENGTH: str(len(body))})
    assert outputs_of(whole)["predict"] == ["setosa"]


def test_c1_a_raw_request_is_the_one_tensor_and_all_its_outputs_are_binary(client: FlaskClient) -> None:
    response = client.post("/v2/models/iris/infer", data=raw_of(FLOWER, "FP64"), headers={LENGTH: "0"})
    document = json.loads(response.data[: int(response.headers[LENGTH])])
    assert [output["shape"] for output in document["outputs"]] == [[1, 1], [1, 3]]
    assert all("data" not in output for output in document["outputs"])
    assert outputs_of(response)["predict"] == ["setosa"]


def test_c1_a_raw_request_of_text_is_one_framed_element(client: FlaskClient) -> None:
    response = client.post("/v2/models/only/infer", data=framed(["köln".encode()]), headers={LENGTH: "0"})
    assert outputs_of(response)["predict"] == outputs_of(infer(client, "only", tensor("word", [1], "BYTES", ["köln"])))[
        "predict"
    ]
    two = client.post("/v2/models/only/infer", data=framed([b"a", b"b"]), headers={LENGTH: "0"})
    assert "1" in error_of(two, 400) or "elements" in error_of(two, 400)


@pytest.mark.parametrize(("model", "body"), [
    ("visits", b"\0" * 8), ("iris", b""), ("iris", b"\0" * 31), ("iris", b"\0" * 33), ("only", b"\1\0\0"),
])
def test_c1_a_raw_request_that_does_not_fit_is_refused(client: FlaskClient, model: str, body: bytes) -> None:
    error_of(client.post(f"/v2/models/{model}/infer", data=body, headers={LENGTH: "0"}), 400)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_c1_a_compressed_request_is_inflated_before_it_is_cut(client: FlaskClient, encoding: str) -> None:
    body, headers = message(flower())
    packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    response = client.post("/v2/models/iris/infer", data=packed, headers={**headers, "Content-Encoding": encoding})
    assert outputs_of(response)["predict"] == ["setosa"]


@pytest.mark.parametrize(("of_output", "of_request", "expected"), [
    (True, None, True), (True, False, True), (False, True, False), (None, True, True), (None, False, False),
    (None, None, False), (False, None, False),
])
def test_c1_the_output_decides_then_the_request_then_json(
    client: FlaskClient, of_output: bool | None, of_request: bool | None, expected: bool,
) -> None:
    output = {"name": "predict", **({} if of_output is None else {"parameters": {"binary_data": of_output}})}
    more = {} if of_request is None else {"parameters": {"binary_data_output": of_request}}
    response = infer(client, "iris", flower(), outputs=[output], **more)
    assert outputs_of(response) == {"predict": ["setosa"]}
    assert (LENGTH in response.headers) == expected
    kind = "application/octet-stream" if expected else "application/json"
    assert response.headers["Content-Type"] == kind
    assert response.content_length == len(response.data)


def test_c1_without_outputs_the_request_decides_for_all(client: FlaskClient) -> None:
    response = infer(client, "iris", flower(), parameters={"binary_data_output": True})
    document = json.loads(response.data[: int(response.headers[LENGTH])])
    assert [output["parameters"] for output in document["outputs"]] == [
        {"binary_data_size": 10}, {"binary_data_size": 24},
    ]


def test_c1_json_and_binary_outputs_stand_in_one_answer_in_the_order_asked(client: FlaskClient) -> None:
    wanted = [{"name": "predict_proba", "parameters": {"binary_data": True}}, {"name": "predict"}]
    response = infer(client, "iris", flower(), outputs=wanted)
    document = json.loads(response.data[: int(response.headers[LENGTH])])
    assert ["data" in output for output in document["outputs"]] == [False, True]
    assert list(outputs_of(response)) == ["predict_proba", "predict"]


def test_c1_binary_carries_what_json_has_no_number_for(client: FlaskClient) -> None:
    rows = binary("input-0", [4, 1], "FP64", [0.0, 1.0, 2.0, 3.0])
    exact = outputs_of(infer(client, "odd", rows, parameters={"binary_data_output": True}))["predict"]
    np.testing.assert_equal(exact, [0.5, np.nan, np.inf, -np.inf])
    assert outputs_of(infer(client, "odd", rows))["predict"] == [0.5, None, None, None]


def test_c1_a_model_that_works_in_place_may_write_on_binary_input(client: FlaskClient) -> None:
    rows = [0.0, float("nan")]
    values = outputs_of(infer(client, "inplace", binary("input-0", [2, 1], "FP64", rows)))["predict"]
    assert values == outputs_of(infer(client, "inplace", tensor("input-0", [2, 1], "FP64", rows)))["predict"]
    raw = client.post("/v2/models/inplace/infer", data=raw_of(rows[1:], "FP64"), headers={LENGTH: "0"})
    assert outputs_of(raw)["predict"] == values[1:]


# -- C.2 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_c2_binary_goes_with_versions_ids_compression_and_classification(client: FlaskClient, encoding: str) -> None:
    flowers = binary("input-0", [100, 4], "FP64", FLOWER * 100)
    wanted = [{"name": "predict_proba", "parameters": {"binary_data": True, "classification": 2}}, {"name": "predict"}]
    body, headers = message(flowers, id="c2", outputs=wanted)
    packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    response = client.post("/v2/models/iris/versions/1/infer", data=packed, headers={
        **headers, "Content-Encoding": encoding, "Accept-Encoding": encoding,
    })
    assert response.headers["Content-Encoding"] == encoding
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.content_length == len(response.data)
    inflated = gzip.decompress(response.data) if encoding == "gzip" else zlib.decompress(response.data)
    document = json.loads(inflated[: int(response.headers[LENGTH])])
    assert (document["model_version"], document["id"]) == ("1", "c2")
    values = outputs_of(response, inflated)
    assert values["predict"] == ["setosa"] * 100
    assert len(values["predict_proba"]) == 200
    assert values["predict_proba"][0].endswith(":0:setosa")


# -- C.3 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", ["-1", "1.0", "+5", "abc", "", "1e2", "0x10", "99999999", "9" * 5000, "1, 1", "²"])
def test_c3_a_header_that_is_no_length_within_the_body_is_refused(client: FlaskClient, length: str) -> None:
    body, _ = message(flower())
    error_of(client.post("/v2/models/iris/infer", data=body, headers={LENGTH: length}), 400)


@pytest.mark.parametrize("shift", [-1, 1])
def test_c3_a_json_part_that_does_not_parse_is_refused(client: FlaskClient, shift: int) -> None:
    body, headers = message(flower())
    error_of(client.post("/v2/models/iris/infer", data=body, headers={LENGTH: str(int(headers[LENGTH]) + shift)}), 400)


def test_c3_a_binary_body_without_the_header_is_refused(client: FlaskClient) -> None:
    error_of(client.post("/v2/models/iris/infer", data=message(flower())[0]), 400)


@pytest.mark.parametrize("size", [-8, 32.0, "32", True, 2**80])
def test_c3_a_size_that_is_no_number_of_bytes_is_refused(client: FlaskClient, size: Any) -> None:
    entry, tail = flower()
    entry["parameters"]["binary_data_size"] = size
    error_of(infer(client, "iris", (entry, tail)), 400)


@pytest.mark.parametrize("tail", [b"", b"\0" * 31, b"\0" * 33, b"\0" * 64])
def test_c3_sizes_that_do_not_sum_to_the_tail_are_refused(client: FlaskClient, tail: bytes) -> None:
    entry, _ = flower()
    assert "32" in error_of(infer(client, "iris", (entry, tail)), 400)


@pytest.mark.parametrize(("shape", "datatype", "size"), [
    ([1, 4], "FP64", 31), ([1, 4], "FP64", 64), ([1, 4], "FP32", 32), ([2, 4], "FP64", 32), ([2**40, 4], "FP64", 32),
    ([1, 4], "BOOL", 5),
])
def test_c3_a_size_that_is_not_that_of_the_shape_is_refused(
    client: FlaskClient, shape: list[int], datatype: str, size: int,
) -> None:
    entry = {"name": "input-0", "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}}
    error_of(infer(client, "iris", (entry, b"\0" * size)), 400)


@pytest.mark.parametrize("tail", [
    b"\x05\0\0\0abc",  # beyond the tensor
    b"\xff\xff\xff\xffabc",
    b"\x03\0\0",  # the prefix itself cut short
    framed([b"a"]) + b"\0",
    framed([b"a", b"b"]),  # two elements for a shape of one
    b"",
])
def test_c3_text_with_wrong_prefixes_is_refused(client: FlaskClient, tail: bytes) -> None:
    entry = {"name": "word", "shape": [1, 1], "datatype": "BYTES", "parameters": {"binary_data_size": len(tail)}}
    body, _ = message((entry, tail))
    cut = str(len(body) - len(tail))
    error_of(client.post("/v2/models/only/infer", data=body, headers={LENGTH: cut}), 400)


def test_c3_text_that_is_not_utf_8_is_refused(client: FlaskClient) -> None:
    tail = framed([b"\xff\xfe"])
    entry = {"name": "word", "shape": [1, 1], "datatype": "BYTES", "parameters": {"binary_data_size": len(tail)}}
    assert "UTF-8" in error_of(infer(client, "only", (entry, tail)), 400)


def test_c3_bytes_other_than_0_and_1_are_no_booleans(client: FlaskClient) -> None:
    entry = {"name": "known", "shape": [2, 1], "datatype": "BOOL", "parameters": {"binary_data_size": 2}}
    error_of(infer(client, "visits", *visit(tensor, but="known", by=lambda *_: (entry, b"\x02\x00"))), 400)


def test_c3_both_data_and_a_size_or_neither_is_refused(client: FlaskClient) -> None:
    entry, tail = flower()
    assert "both" in error_of(infer(client, "iris", ({**entry, "data": FLOWER}, tail)), 400)
    neither = {"name": "input-0", "shape": [1, 4], "datatype": "FP64"}
    assert "neither" in error_of(infer(client, "iris", neither), 400)


# -- C.4 ----------------------------------------------------------------------------------------


def classified(client: FlaskClient, model: str, row: list[float], count: Any, **output: Any) -> Any:
    wanted = {"name": "predict_proba", "parameters": {"classification": count}, **output}
    return infer(client, model, tensor("input-0", [1, len(row)], "FP64", row), outputs=[wanted])


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (2, 2), (3, 3), (2**40, 3)])
def test_c4_the_best_classes_come_sorted_as_value_index_label(client: FlaskClient, count: int, shown: int) -> None:
    response = classified(client, "iris", FLOWER, count)
    (output,) = response.get_json()["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [1, shown])
    scores = outputs_of(infer(client, "iris", flower(), outputs=[{"name": "predict_proba"}]))["predict_proba"]
    best = sorted(range(3), key=lambda i: -scores[i])[:shown]
    names = ["setosa", "versicolor", "virginica"]
    assert [text.split(":")[1:] for text in output["data"]] == [[str(i), names[i]] for i in best]
    for text, i in zip(output["data"], best, strict=True):
        value = text.split(":")[0]
        assert len(value.split(".")[1]) >= 6
        assert float(value) == pytest.approx(scores[i], abs=1e-6)


def test_c4_ties_come_by_index(client: FlaskClient) -> None:
    assert classified(client, "tie", [0.0], 3).get_json()["outputs"][0]["data"] == [
        "0.333333:0:a", "0.333333:1:b", "0.333333:2:c",
    ]


def test_c4_every_row_of_a_batch_is_sorted_by_itself(client: FlaskClient) -> None:
    wanted = [{"name": "predict_proba", "parameters": {"classification": 1}}]
    response = infer(client, "tie", tensor("input-0", [2, 1], "FP64", [0.0, 9.0]), outputs=wanted)
    assert response.get_json()["outputs"][0]["data"] == ["0.333333:0:a", "1.000000:0:a"]


def test_c4_any_numeric_output_of_rows_and_columns_is_classified(client: FlaskClient) -> None:
    wanted = [{"name": "predict", "parameters": {"classification": 5}}]
    response = infer(client, "half", tensor("input-0", [1, 1], "FP64", [2.0]), outputs=wanted)
    assert response.get_json()["outputs"] == [
        {"name": "predict", "shape": [1, 1], "datatype": "BYTES", "data": ["3.000000:0"]},
    ]


def test_c4_a_text_output_is_not_classified(client: FlaskClient) -> None:
    wanted = [{"name": "predict", "parameters": {"classification": 1}}]
    error_of(infer(client, "iris", flower(), outputs=wanted), 400)


@pytest.mark.parametrize("count", [0, -1, 1.0, "1", True])
def test_c4_a_count_that_is_no_positive_integer_is_refused(client: FlaskClient, count: Any) -> None:
    error_of(classified(client, "iris", FLOWER, count), 400)


def test_c4_classes_are_framed_text_where_binary_is_asked_for(client: FlaskClient) -> None:
    wanted = [{"name": "predict_proba", "parameters": {"classification": 3, "binary_data": True}}]
    response = infer(client, "tie", tensor("input-0", [1, 1], "FP64", [0.0]), outputs=wanted)
    assert outputs_of(response)["predict_proba"] == ["0.333333:0:a", "0.333333:1:b", "0.333333:2:c"]


# -- C.5 ----------------------------------------------------------------------------------------


def order(client: FlaskClient, model: str, verb: str, **options: Any) -> Any:
    return client.post(f"/v2/repository/models/{model}/{verb}", **options)


def rows(client: FlaskClient, **options: Any) -> list[dict[str, str]]:
    response = client.post("/v2/repository/index", **options)
    assert response.status_code == 200, response.data
    return list(response.get_json())


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready": false}', b'{"ready": true}'])
def test_c5_the_index_has_a_row_a_version(client: FlaskClient, body: bytes) -> None:
    found = rows(client, data=body)
    assert {"name": "iris", "version": "2", "state": "READY", "reason": ""} in found
    assert [row["version"] for row in found if row["name"] == "iris"] == ["1", "2"]
    assert {row["name"] for row in found} >= {"homes", "visits", "half"}


@pytest.mark.parametrize("body", [
    b'{"ready": 1}', b'{"ready": 0}', b'{"ready": "true"}', b'{"ready": null}', b"[]", b"true", b"{", b"ready",
])
def test_c5_an_index_request_that_is_none_is_refused(client: FlaskClient, body: bytes) -> None:
    error_of(client.post("/v2/repository/index", data=body), 400)


def test_c5_unload_makes_a_model_unavailable_and_load_brings_it_back(fresh: FlaskClient) -> None:
    body = json.dumps({"parameters": {"unload_dependents": False}})
    assert order(fresh, "half", "unload", data=body).get_json() == {"name": "half", "unload": True}
    row = tensor("input-0", [1, 1], "FP64", [2.0])
    unavailable = infer(fresh, "half", row)
    assert "unloaded" in error_of(unavailable, 503)
    assert unavailable.headers["Retry-After"]
    for path in ("/v2/models/half/ready", "/v2/models/half/versions/1/ready"):
        response = fresh.get(path)
        error_of(response, 503)
        assert response.get_json()["ready"] is False
    error_of(fresh.post("/v1/models/half:predict", data=b'{"instances": [1]}'), 503)
    status = fresh.get("/v1/models/half")
    error_of(status, 503)
    assert status.get_json()["ready"] is False
    assert status.get_json()["model_version_status"][0]["state"] == "END"
    assert {"name": "half", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"} in rows(fresh)
    assert "half" not in {row["name"] for row in rows(fresh, data=b'{"ready": true}')}
    assert fresh.get("/v2/models/iris/ready").status_code == 200
    assert fresh.get("/v2/health/ready").status_code == 200
    assert order(fresh, "half", "unload").status_code == 200
    for _ in range(2):
        assert order(fresh, "half", "load", data=b"{}").get_json() == {"name": "half", "load": True}
        assert outputs_of(infer(fresh, "half", row))["predict"] == pytest.approx([3.0])


def test_c5_all_versions_go_and_come_together_and_labels_with_them(fresh: FlaskClient) -> None:
    assert order(fresh, "iris", "unload").status_code == 200
    assert {row["state"] for row in rows(fresh) if row["name"] == "iris"} == {"UNAVAILABLE"}
    body = json.dumps({"instances": [FLOWER]})
    error_of(fresh.post("/v1/models/iris/labels/stable:predict", data=body), 503)
    error_of(fresh.post("/v1/models/iris/versions/9:predict", data=body), 404)
    assert order(fresh, "iris", "load").status_code == 200
    assert fresh.post("/v1/models/iris/labels/stable:predict", data=body).headers["X-Model-Version"] == "1"


@pytest.mark.parametrize("parameters", [{"config": "{}"}, {"file:1/model.joblib": "AAAA"}, {"config": "{}", "x": 1}])
def test_c5_a_configuration_or_file_of_the_caller_is_refused(fresh: FlaskClient, parameters: dict[str, Any]) -> None:
    response = order(fresh, "half", "load", data=json.dumps({"parameters": parameters}))
    assert "not supported" in error_of(response, 400)
    assert fresh.get("/v2/models/half/ready").status_code == 200


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_c5_an_unknown_model_is_404_and_a_malformed_order_400(fresh: FlaskClient, verb: str) -> None:
    for name in ("nope", "stats", "..", "a b", "x" * 300):
        error_of(order(fresh, name, verb), 404)
    for body in (b"[]", b"{", b'{"parameters": []}', b'{"parameters": null}'):
        error_of(order(fresh, "half", verb, data=body), 400)


def publish_line(root: Path, slope: float) -> None:
    line = np.arange(6.0).reshape(-1, 1)
    publish(LinearRegression().fit(line, line[:, 0] * slope), "line", sample=line, registry=root)


@pytest.fixture
def distant(make_app: Callable[..., Flask], tmp_path: Path) -> FlaskClient:
    """Return a client of an app that looks at its registry once an hour: only orders make it look."""
    publish_line(tmp_path / "registry", 1.0)
    return make_app(tmp_path / "registry", poll_seconds=3600.0).test_client()


def test_c5_load_takes_up_what_was_published_since(distant: FlaskClient, tmp_path: Path) -> None:
    assert distant.get("/v2/models/line").get_json()["versions"] == ["1"]
    publish_line(tmp_path / "registry", 5.0)
    assert distant.get("/v2/models/line").get_json()["versions"] == ["1"]
    assert order(distant, "line", "load").status_code == 200
    assert distant.get("/v2/models/line").get_json()["versions"] == ["1", "2"]
    answer = infer(distant, "line", tensor("input-0", [1, 1], "FP64", [2.0]))
    assert outputs_of(answer)["predict"] == pytest.approx([10.0])


def test_c5_load_takes_up_a_model_that_was_published_since(distant: FlaskClient, tmp_path: Path) -> None:
    line = np.arange(6.0).reshape(-1, 1)
    assert distant.get("/v2/models/line/ready").status_code == 200
    publish(LinearRegression().fit(line, line[:, 0]), "later", sample=line, registry=tmp_path / "registry")
    assert order(distant, "later", "load").status_code == 200
    assert distant.get("/v2/models/later/ready").status_code == 200


def test_c5_load_of_a_deleted_model_is_404(distant: FlaskClient, tmp_path: Path) -> None:
    assert distant.get("/v2/models/line/ready").status_code == 200
    Store(tmp_path / "registry").delete("line", 1)
    error_of(order(distant, "line", "load"), 404)


def damage(root: Path, version: int) -> None:
    artifact = root / "line" / str(version) / "model.joblib"
    artifact.chmod(0o644)
    artifact.write_bytes(b"damaged")


@pytest.mark.parametrize(("damaged", "labelled"), [(2, None), (1, 1), (2, 1)])
def test_c5_the_newest_and_labelled_versions_must_load_and_what_answered_stays(
    distant: FlaskClient, tmp_path: Path, damaged: int, labelled: int | None,
) -> None:
    publish_line(tmp_path / "registry", 5.0)
    if labelled is not None:
        Store(tmp_path / "registry").label("line", "stable", labelled)
    assert order(distant, "line", "load").status_code == 200
    damage(tmp_path / "registry", damaged)
    assert f"version {damaged}" in error_of(order(distant, "line", "load"), 503)
    for version in (1, 2):
        assert distant.get(f"/v2/models/line/versions/{version}/ready").status_code == 200


def test_c5_an_older_version_that_fails_does_not_fail_its_model_and_tells_why_in_the_index(
    distant: FlaskClient, tmp_path: Path,
) -> None:
    for slope in (2.0, 5.0):
        publish_line(tmp_path / "registry", slope)
    damage(tmp_path / "registry", 2)  # never loaded
    assert order(distant, "line", "load").status_code == 200
    damage(tmp_path / "registry", 1)  # in memory, where it answers on
    assert order(distant, "line", "load").status_code == 200
    found = {row["version"]: row for row in rows(distant)}
    assert [found[version]["state"] for version in "123"] == ["READY", "UNAVAILABLE", "READY"]
    assert "model.joblib" in found["1"]["reason"]
    assert "model.joblib" in found["2"]["reason"]
    assert found["3"]["reason"] == ""
    assert distant.get("/v2/models/line").get_json()["versions"] == ["1", "3"]
    error_of(distant.get("/v2/models/line/versions/2/ready"), 503)


def test_c5_labels_that_cannot_be_read_do_not_keep_a_model_from_loading(distant: FlaskClient, tmp_path: Path) -> None:
    assert distant.get("/v2/models/line/ready").status_code == 200
    (tmp_path / "registry" / "line" / "labels.json").write_bytes(b"{")
    assert order(distant, "line", "load").status_code == 200


def test_c5_a_failure_is_told_also_where_another_order_overtakes(distant: FlaskClient, tmp_path: Path) -> None:
    line = np.arange(6.0).reshape(-1, 1)
    publish(LinearRegression().fit(line, line[:, 0]), "other", sample=line, registry=tmp_path / "registry")
    assert order(distant, "line", "load").status_code == 200
    artifact = tmp_path / "registry" / "line" / "1" / "model.joblib"
    artifact.chmod(0o644)
    artifact.write_bytes(b"damaged")
    error_of(order(distant, "line", "load"), 503)
    assert order(distant, "other", "load").status_code == 200  # its confirmation replaces that of the failure
    orders = distant.application.extensions["mlapi"].follower._orders
    assert "line" in (orders.wait(1, 5.0) or {})


# -- C.6 ----------------------------------------------------------------------------------------


def stats(client: FlaskClient, path: str = "half") -> dict[str, Any]:
    (entry,) = client.get(f"/v2/models/{path}/stats").get_json()["model_stats"]
    return dict(entry)


def integers(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(integers, value.values()))
    return all(map(integers, value)) if isinstance(value, list) else type(value) in {int, str}


def test_c6_counts_are_exact_over_both_protocols_and_failures(fresh: FlaskClient) -> None:
    zero = stats(fresh)
    assert (zero["last_inference"], zero["inference_count"], zero["batch_stats"]) == (0, 0, [])
    infer(fresh, "half", tensor("input-0", [64, 1], "FP64", [1.0] * 64))
    infer(fresh, "half/versions/1", binary("input-0", [64, 1], "FP64", [1.0] * 64))
    fresh.post("/v1/models/half:predict", data=b'{"instances": [1, 2, 3]}')
    fresh.post("/v1/models/half:regress", data=b'{"examples": [{"input-0": 1}]}')
    refused = [
        infer(fresh, "half", tensor("input-0", [1, 2], "FP64", [1.0, 2.0])),
        infer(fresh, "half", tensor("input-0", [1, 1], "FP64", [1.0]), outputs=[{"name": "nope"}]),
        fresh.post("/v2/models/half/infer", data=b"{"),
        fresh.post("/v2/models/half/infer", data=b"{}", content_type="application/xml"),
        fresh.post("/v1/models/half:predict", data=b"{}", headers={"Content-Encoding": "gzip"}),
        fresh.post("/v1/models/half:predict", data=b'{"instances": []}'),
        fresh.post("/v1/models/half:classify", data=b'{"examples": [{"input-0": 1}]}'),
    ]
    assert {response.status_code for response in refused} == {400, 415}
    entry = stats(fresh)
    inferences = entry["inference_stats"]
    assert (entry["inference_count"], entry["execution_count"]) == (64 + 64 + 3 + 1, 4)
    assert (inferences["success"]["count"], inferences["fail"]["count"]) == (4, len(refused))
    assert {inferences[name]["count"] for name in ("compute_input", "compute_infer", "compute_output")} == {4}
    assert all(inferences[name] == {"count": 0, "ns": 0} for name in ("queue", "cache_hit", "cache_miss"))
    assert [(batch["batch_size"], batch["compute_infer"]["count"]) for batch in entry["batch_stats"]] == [
        (1, 1), (3, 1), (64, 2),
    ]
    assert (entry["response_stats"], entry["memory_usage"]) == ({}, [])
    assert entry["last_inference"] > 10**12
    assert integers(entry)


def test_c6_every_version_has_an_entry_and_every_model(fresh: FlaskClient) -> None:
    fresh.post("/v1/models/iris/labels/stable:predict", data=json.dumps({"instances": [FLOWER]}))
    entries = fresh.get("/v2/models/iris/stats?x=1").get_json()["model_stats"]
    assert [(entry["version"], entry["inference_count"]) for entry in entries] == [("1", 1), ("2", 0)]
    everything = fresh.get("/v2/models/stats").get_json()["model_stats"]
    assert {entry["name"] for entry in everything} == {row["name"] for row in rows(fresh)}


@pytest.mark.parametrize("path", ["nope", "half/versions/9", "half/versions/x", "half/versions/01"])
def test_c6_what_is_unknown_is_404(client: FlaskClient, path: str) -> None:
    error_of(client.get(f"/v2/models/{path}/stats"), 404)


def test_c6_an_unloaded_model_keeps_its_counts(fresh: FlaskClient) -> None:
    infer(fresh, "half", tensor("input-0", [1, 1], "FP64", [1.0]))
    order(fresh, "half", "unload")
    assert stats(fresh)["inference_count"] == 1


# -- C.7 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["visits", "visits/versions/1"])
def test_c7_the_configuration_has_tritons_types_and_no_batch_dimension(client: FlaskClient, path: str) -> None:
    config = client.get(f"/v2/models/{path}/config").get_json()
    assert (config["name"], config["platform"], config["backend"]) == ("visits", "sklearn_joblib", "sklearn")
    assert config["max_batch_size"] >= 1
    assert config["version_policy"] == {"latest": {"num_versions": 1}}
    assert [(each["name"], each["data_type"], each["dims"]) for each in config["input"]] == [
        ("word", "TYPE_STRING", [1]), ("count", "TYPE_INT64", [1]), ("known", "TYPE_BOOL", [1]),
        ("score", "TYPE_FP64", [1]),
    ]
    assert [(each["name"], each["data_type"], each["dims"]) for each in config["output"]] == [
        ("predict", "TYPE_INT64", [1]), ("predict_proba", "TYPE_FP64", [3]),
    ]


@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/v2/systemsharedmemory/status"), ("GET", "/v2/cudasharedmemory/status"),
    ("POST", "/v2/systemsharedmemory/region/x/register"), ("GET", "/v2/trace/setting"), ("GET", "/v2/logging"),
    ("POST", "/v2/models/half/generate"), ("POST", "/v2/models/half/generate_stream"),
])
def test_c7_what_is_not_implemented_is_404(client: FlaskClient, method: str, path: str) -> None:
    error_of(client.open(path, method=method), 404)


def test_c7_a_shared_memory_region_is_refused(client: FlaskClient) -> None:
    entry = tensor("input-0", [1, 4], "FP64", FLOWER, shared_memory_region="x", shared_memory_byte_size=32)
    assert "shared memory" in error_of(infer(client, "iris", entry), 400)
