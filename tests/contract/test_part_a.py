"""Part A of the wire contract: what holds on every path. A test is named after its clause."""

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.wrappers import Response

from tests.contract.wire import binary, error_of, infer, tensor

FLOWER = [5.1, 3.5, 1.4, 0.2]
V1 = "/v1/models/iris:predict"
V2 = "/v2/models/iris/infer"
BODIES = {
    V1: json.dumps({"instances": [FLOWER]}).encode(),
    V2: json.dumps({"inputs": [tensor("input-0", [1, 4], "FP64", FLOWER)]}).encode(),
}
BOTH = pytest.mark.parametrize("path", BODIES)
GETS = ["/", "/v1/models", "/v1/models/iris", "/v1/models/iris/metadata", "/v2", "/v2/", "/v2/health/live",
        "/v2/health/ready", "/v2/models", "/v2/models/iris", "/v2/models/iris/ready", "/v2/models/iris/config",
        "/v2/models/stats", "/v2/models/iris/stats"]  # fmt: skip


# -- A.1 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0", "-1", "+1", "01", "1.0", "x", "9223372036854775808", "9" * 400, "%31%20",
                                     "é"])  # fmt: skip
def test_a1_a_version_that_is_no_number_is_unknown(client: FlaskClient, version: str) -> None:
    for path in (f"/v1/models/iris/versions/{version}", f"/v2/models/iris/versions/{version}",
                 f"/v2/models/iris/versions/{version}/ready", f"/v2/models/iris/versions/{version}/stats"):  # fmt: skip
        error_of(client.get(path), 404)
    error_of(client.post(f"/v1/models/iris/versions/{version}:predict", data=BODIES[V1]), 404)
    error_of(client.post(f"/v2/models/iris/versions/{version}/infer", data=BODIES[V2]), 404)


@pytest.mark.parametrize("name", ["nope", "stats", "..", ".", "a%2Fb", "a%20b", "%00", "x" * 200])
def test_a1_a_name_outside_the_grammar_is_an_unknown_model(client: FlaskClient, name: str) -> None:
    error_of(client.get(f"/v2/models/{name}/ready"), 404)
    error_of(client.post(f"/v2/models/{name}/infer", data=BODIES[V2]), 404)
    error_of(client.post(f"/v1/models/{name}:predict", data=BODIES[V1]), 404)


def test_a1_a_percent_encoded_name_is_decoded(client: FlaskClient) -> None:
    assert client.get("/v2/models/%69ris/ready").get_json() == {"name": "iris", "ready": True}


def test_a1_without_a_version_the_highest_ready_one_answers_everywhere_and_is_reported(client: FlaskClient) -> None:
    assert client.post(V1, data=BODIES[V1]).headers["X-Model-Version"] == "2"
    assert client.post(V2, data=BODIES[V2]).get_json()["model_version"] == "2"
    assert client.get("/v1/models/iris/metadata").get_json()["model_spec"]["version"] == "2"
    assert client.get("/v2/models/iris/config").headers["X-Model-Version"] == "2"


# -- A.2 ----------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("kind", [
    None, "application/json", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain",
    "application/json; charset=utf-8", "Application/JSON",
])
def test_a2_the_content_types_of_existing_clients_are_taken(client: FlaskClient, path: str, kind: str | None) -> None:
    assert client.post(path, data=BODIES[path], content_type=kind).status_code == 200


@BOTH
@pytest.mark.parametrize("kind", ["application/xml", "multipart/form-data; boundary=x", "image/png", "text/html"])
def test_a2_other_content_types_are_415(client: FlaskClient, path: str, kind: str) -> None:
    response = client.post(path, data=BODIES[path], content_type=kind)
    error_of(response, 415)
    assert "Accept-Encoding" not in response.headers


@BOTH
def test_a2_a_chunked_body_without_a_length_is_read(contract_app: Flask, path: str) -> None:
    with contract_app.test_request_context():
        pass
    environ = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    client = contract_app.test_client()
    response = client.post(path, data=BODIES[path], environ_overrides=environ, headers={"Content-Length": ""})
    assert response.status_code == 200


def _raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


@BOTH
@pytest.mark.parametrize(("encoding", "pack"), [
    ("gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress), ("deflate", _raw_deflate),
    ("identity", bytes), ("", bytes),
])
def test_a2_gzip_and_deflate_are_inflated(
    client: FlaskClient, path: str, encoding: str, pack: Callable[[bytes], bytes],
) -> None:
    response = client.post(path, data=pack(BODIES[path]), headers={"Content-Encoding": encoding})
    assert response.status_code == 200


@BOTH
@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip, deflate", "x"])
def test_a2_other_encodings_are_415_and_the_right_ones_named(client: FlaskClient, path: str, encoding: str) -> None:
    response = client.post(path, data=BODIES[path], headers={"Content-Encoding": encoding})
    error_of(response, 415)
    assert response.headers["Accept-Encoding"] == "gzip, deflate"


@BOTH
def test_a2_a_corrupt_or_truncated_stream_is_400(client: FlaskClient, path: str) -> None:
    for packed in (gzip.compress(BODIES[path])[:-5], b"no gzip", gzip.compress(BODIES[path])[:-8] + b"\0" * 8):
        error_of(client.post(path, data=packed, headers={"Content-Encoding": "gzip"}), 400)


@BOTH
def test_a2_the_limit_holds_on_the_wire_and_inflated(client: FlaskClient, path: str) -> None:
    large = b" " * (64 * 1024 + 1)
    error_of(client.post(path, data=large), 413)
    error_of(client.post(path, data=gzip.compress(large * 100), headers={"Content-Encoding": "gzip"}), 413)


@BOTH
@pytest.mark.parametrize("body", [
    b"", b" ", b"[]", b"1", b'"x"', b"null", b"{", b"{}x", b"\xef\xbb\xbf{}", '{"a": "é"}'.encode("latin-1"),
    '{"instances": [1]}'.encode("utf-16"), b'{"inputs": ' + b"[" * 60_000, b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}",
    b"{'a': 1}",
])
def test_a2_what_is_no_json_object_is_400(client: FlaskClient, path: str, body: bytes) -> None:
    error_of(client.post(path, data=body), 400)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 400, '"5"', "null", "{}", "true"])
def test_a2_numbers_beyond_the_datatype_and_what_is_none_are_400(client: FlaskClient, number: str) -> None:
    error_of(client.post("/v1/models/half:predict", data=f'{{"instances": [{number}]}}'), 400)


@pytest.mark.parametrize("number", ["1e400", "9223372036854775808", "-9223372036854775809", "1.5", "NaN", "null"])
def test_a2_integers_that_do_not_fit_are_400(client: FlaskClient, number: str) -> None:
    body = f'{{"instances": [{{"word": "", "count": {number}, "known": true, "score": 1}}]}}'
    error_of(client.post("/v1/models/visits:predict", data=body), 400)


@BOTH
def test_a2_duplicate_keys_take_the_last_and_unknown_members_are_ignored(client: FlaskClient, path: str) -> None:
    body = BODIES[path][:-1] + b', "model_name": "x", "extra": {"deep": [1]}}'
    assert client.post(path, data=body).status_code == 200
    member = b"instances" if path == V1 else b"inputs"
    assert client.post(path, data=b'{"' + member + b'": 5, ' + body[1:]).status_code == 200


def test_a2_tokens_are_read_as_numbers(client: FlaskClient) -> None:
    body = b'{"inputs": [{"name": "input-0", "shape": [1, 1], "datatype": "FP64", "data": [NaN]}]}'
    assert client.post("/v2/models/inplace/infer", data=body).status_code == 200
    assert client.post("/v1/models/inplace:predict", data=b'{"instances": [NaN]}').status_code == 200


# -- A.3 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", GETS)
def test_a3_success_is_200_and_exactly_application_json_without_a_redirect(client: FlaskClient, path: str) -> None:
    response = client.get(path, headers={"Accept": "text/html", "Accept-Encoding": "gzip, deflate, br"})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert "Content-Encoding" not in response.headers
    assert response.get_json() is not None


def test_a3_numbers_that_are_not_finite_are_tokens_in_v1_and_null_in_v2(client: FlaskClient) -> None:
    answer = client.post("/v1/models/odd:predict", data=b'{"instances": [0, 1, 2, 3]}')
    assert answer.data == b'{"predictions":[0.5,NaN,Infinity,-Infinity]}'
    columns = client.post("/v1/models/odd:predict", data=b'{"inputs": [[1], [3]]}')
    assert columns.data == b'{"outputs":[NaN,-Infinity]}'
    regressed = client.post("/v1/models/odd:regress", data=b'{"examples": [{"input-0": 1}, {"input-0": 0}]}')
    assert regressed.data == b'{"results":[NaN,0.5]}'
    tensors = infer(client, "odd", tensor("input-0", [4, 1], "FP64", [0, 1, 2, 3]))
    assert tensors.get_json()["outputs"][0]["data"] == [0.5, None, None, None]


def test_a3_floats_are_the_shortest_that_round_trip(client: FlaskClient) -> None:
    answer = client.post("/v1/models/half:predict", data=b'{"instances": [0.2]}').data
    assert float(answer.split(b"[")[1].split(b"]")[0]) == pytest.approx(2.1)
    (number,) = json.loads(answer)["predictions"]
    assert repr(number).encode() in answer


# -- A.4 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/nope", 404), ("GET", "/v1", 404), ("GET", "/v3", 404), ("GET", "/v2/models/nope", 404),
    ("GET", "/v1/models/nope", 404), ("GET", "/v1/models/iris/labels/nope", 404), ("GET", "/v2/models/nope/stats", 404),
    ("GET", "/v1/models/iris/versions/1/labels/stable", 404), ("POST", "/v1/models/iris:nope", 404),
    ("POST", "/v2/repository/models/nope/load", 404), ("POST", "/v2/repository/models/nope/unload", 404),
    ("POST", "/v1/models/nope:predict", 404), ("POST", "/v1/models/iris/labels/nope:predict", 404),
    ("POST", "/v2/models/nope/infer", 404), ("GET", "/v2/models/iris/infer", 405), ("DELETE", "/v1/models/iris", 405),
    ("GET", "/v1/models/iris:predict", 405), ("PUT", "/v2", 405), ("GET", "/v2/repository/index", 405),
    ("OPTIONS", "/v2/models/iris/infer", 405), ("PATCH", "/", 405),
])
@pytest.mark.parametrize("accept", ["text/html", "application/json", "*/*", "image/png"])
def test_a4_every_error_is_the_one_object(
    client: FlaskClient, method: str, path: str, status: int, accept: str,
) -> None:
    response = client.open(path, method=method, headers={"Accept": accept, "Accept-Encoding": "gzip, deflate, br"})
    error_of(response, status)
    assert ("Allow" in response.headers) == (status == 405)


def test_a4_values_the_model_refuses_are_400_with_its_words(client: FlaskClient, send: Callable[..., Response]) -> None:
    refused = send("/v1/models/root:predict", b'{"instances": [[-1, 1]]}')
    assert refused.status_code == 400
    assert "\n" not in refused.get_json()["error"]
    error_of(client.post("/v1/models/half:predict", data=b'{"instances": [NaN]}'), 400)


def test_a4_a_model_that_breaks_is_500_without_detail(send: Callable[..., Response]) -> None:
    broken = send("/v1/models/exponent:predict", b'{"instances": [[1000, 1]]}')
    assert broken.status_code == 500
    assert "math" not in broken.get_json()["error"]
    assert broken.get_json()["request_id"] == broken.headers["X-Request-Id"]


def test_a4_errors_are_never_binary_nor_compressed(client: FlaskClient) -> None:
    response = infer(client, "iris", binary("input-0", [1, 3], "FP64", FLOWER[:3]),
                     parameters={"binary_data_output": True})  # fmt: skip
    error_of(response, 400)
    names = [{"x" * 30 + str(i): 1} for i in range(100)]
    large = client.post("/v1/models/visits:predict", data=json.dumps({"instances": names}),
                        headers={"Accept-Encoding": "gzip"})  # fmt: skip
    error_of(large, 400)
    assert len(large.data) > 1024


# -- A.5 ----------------------------------------------------------------------------------------


def large(path: str) -> bytes:
    if path == V1:
        return json.dumps({"instances": [FLOWER] * 300}).encode()
    return json.dumps({"inputs": [tensor("input-0", [300, 4], "FP64", FLOWER * 300)]}).encode()


@BOTH
@pytest.mark.parametrize(("accepted", "expected"), [
    ("gzip", "gzip"), ("deflate", "deflate"), ("gzip, deflate, br", "gzip"), ("*", "gzip"), ("GZIP", "gzip"),
    ("gzip;q=0.5, deflate", "deflate"), ("gzip;q=0, *", "deflate"), ("gzip;q=0", None), ("identity", None),
    ("br", None), ("br, zstd", None), ("*;q=0", None), ("", None), (None, None), ("gzip;q=0.1, identity", None),
])
def test_a5_inference_is_compressed_where_the_caller_allows_it(
    client: FlaskClient, path: str, accepted: str | None, expected: str | None,
) -> None:
    headers = {} if accepted is None else {"Accept-Encoding": accepted}
    response = client.post(path, data=large(path), headers=headers)
    assert response.status_code == 200
    assert response.headers.get("Content-Encoding") == expected
    assert "Accept-Encoding" in response.headers["Vary"]
    body = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[expected](response.data)
    assert json.loads(body)
    assert response.content_length == len(response.data)


@pytest.mark.parametrize(("verb", "model"), [("classify", "iris"), ("regress", "half")])
def test_a5_classify_and_regress_are_compressed_too(client: FlaskClient, verb: str, model: str) -> None:
    example: dict[str, Any] = {"input-0": FLOWER if model == "iris" else 1.5}
    response = client.post(f"/v1/models/{model}:{verb}", data=json.dumps({"examples": [example] * 400}),
                           headers={"Accept-Encoding": "gzip"})  # fmt: skip
    assert response.headers["Content-Encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(response.data))["results"]) == 400


def test_a5_the_index_is_never_compressed(client: FlaskClient) -> None:
    response = client.post("/v2/repository/index", headers={"Accept-Encoding": "gzip, deflate, br"})
    assert "Content-Encoding" not in response.headers
