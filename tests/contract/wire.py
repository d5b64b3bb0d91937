"""V2 messages as bytes: binary inputs behind a JSON part, and answers cut into their outputs."""

import json
import struct
from typing import Any

import numpy as np
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from mlapi.inference.signature import NUMPY_TYPES

LENGTH = "Inference-Header-Content-Length"


def framed(texts: list[bytes]) -> bytes:
    """Return BYTES elements as they travel."""
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def raw_of(values: list[Any], datatype: str) -> bytes:
    """Return the bytes of a tensor."""
    if datatype == "BYTES":
        return framed([value.encode() for value in values])
    return np.array(values, NUMPY_TYPES[datatype]).tobytes()


def tensor(name: str, shape: list[int], datatype: str, data: list[Any], **parameters: Any) -> dict[str, Any]:
    """Return an input whose values stand in the JSON part."""
    more = {"parameters": parameters} if parameters else {}
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


def binary(
    name: str, shape: list[int], datatype: str, data: list[Any], **parameters: Any,
) -> tuple[dict[str, Any], bytes]:
    """Return an input whose values stand behind the JSON part, and these."""
    tail = raw_of(data, datatype)
    size = {"binary_data_size": len(tail), **parameters}
    return {"name": name, "shape": shape, "datatype": datatype, "parameters": size}, tail


def message(*inputs: Any, **members: Any) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a request with inputs made by `tensor` and `binary`."""
    entries = [each[0] if isinstance(each, tuple) else each for each in inputs]
    tails = [each[1] for each in inputs if isinstance(each, tuple)]
    document = json.dumps({"inputs": entries, **members}).encode()
    return document + b"".join(tails), ({LENGTH: str(len(document))} if tails else {})


def infer(client: FlaskClient, model: str, *inputs: Any, **members: Any) -> TestResponse:
    """Send a request with inputs made by `tensor` and `binary`."""
    body, headers = message(*inputs, **members)
    return client.post(f"/v2/models/{model}/infer", data=body, headers=headers)


def outputs_of(response: TestResponse, body: bytes | None = None) -> dict[str, Any]:
    """Return the outputs of an answer by name as flat lists, whether they are JSON or binary."""
    assert response.status_code == 200, response.data
    body = response.data if body is None else body
    cut = int(response.headers.get(LENGTH, len(body)))
    at, values = cut, {}
    for output in json.loads(body[:cut])["outputs"]:
        if "data" in output:
            values[output["name"]] = output["data"]
            continue
        size = output["parameters"]["binary_data_size"]
        values[output["name"]] = unpacked(body[at : at + size], output["datatype"])
        at += size
    assert at == len(body)
    return values


def unpacked(raw: bytes, datatype: str) -> list[Any]:
    """Return the values in the bytes of a tensor."""
    if datatype != "BYTES":
        return list(np.frombuffer(raw, NUMPY_TYPES[datatype]).tolist())
    found, at = [], 0
    while at < len(raw):
        (size,) = struct.unpack_from("<I", raw, at)
        found.append(raw[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return found


def error_of(response: TestResponse, status: int) -> str:
    """Return the sentence of an error after checking that it is the contract's error object (A.4)."""
    assert response.status_code == status, response.data
    assert response.headers["Content-Type"] == "application/json"
    assert "Content-Encoding" not in response.headers
    sentence = json.loads(response.data)["error"]
    assert isinstance(sentence, str)
    assert sentence
    assert "Traceback" not in sentence
    return sentence
