"""The ways of asking: a body in each protocol, and whether its answer is what the estimator says."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from fleet import Model
from limits import ANSWER

LENGTH = "Inference-Header-Content-Length"
JSON = {"Content-Type": "application/json"}
RTOL = 1e-9
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Request:
    """One request, and what judges the answer to it: body and headers in lower case."""

    path: str
    body: bytes
    headers: dict[str, str]
    right: Callable[[bytes, dict[str, str]], bool]


def v1(name: str, model: Model, rows: Array) -> Request:
    """Return a V1 predict of lists."""
    more = {} if model.output == "predict" else {"signature_name": model.output}
    expected = model.expected(rows)
    return Request(
        f"/v1/models/{name}:predict", _dumps({"instances": rows.tolist(), **more}), JSON,
        lambda body, _: _same(json.loads(body)["predictions"], expected),
    )  # fmt: skip


def v2(name: str, model: Model, rows: Array) -> Request:
    """Return a V2 inference with its numbers in JSON."""
    tensor = {"name": "input-0", "shape": list(rows.shape), "datatype": "FP64", "data": rows.reshape(-1).tolist()}
    expected = model.expected(rows)
    return Request(
        f"/v2/models/{name}/infer", _dumps({"inputs": [tensor], "outputs": [{"name": model.output}]}),
        JSON,
        lambda body, _: _same(json.loads(body)["outputs"][0]["data"], expected),
    )  # fmt: skip


def binary(name: str, model: Model, rows: Array) -> Request:
    """Return a V2 inference with its numbers as raw bytes behind the JSON part, both ways."""
    tail, expected = rows.astype("<f8").tobytes(), model.expected(rows)
    tensor = {"name": "input-0", "shape": list(rows.shape), "datatype": "FP64",
              "parameters": {"binary_data_size": len(tail)}}  # fmt: skip
    wanted = {"name": model.output, "parameters": {"binary_data": True}}
    head = _dumps({"inputs": [tensor], "outputs": [wanted]})

    def right(body: bytes, headers: dict[str, str]) -> bool:
        cut = int(headers[LENGTH.lower()])
        kind = {"FP64": "<f8", "INT64": "<i8"}[json.loads(body[:cut])["outputs"][0]["datatype"]]
        return _same(np.frombuffer(body[cut:], kind), expected)

    headers = {"Content-Type": "application/octet-stream", LENGTH: str(len(head))}
    return Request(f"/v2/models/{name}/infer", head + tail, headers, right)


def records(path: str, member: str, rows: Sequence[dict[str, Any]], expected: Array) -> Request:
    """Return rows that name their columns, under `member`, to a server that answers `predictions`."""
    return Request(
        path, _dumps({member: list(rows)}), JSON, lambda body, _: _same(json.loads(body)["predictions"], expected),
    )  # fmt: skip


def constant(name: str, model: Model, rows: Array) -> Request:
    """Return the V1 request, to a server that answers the same to everybody."""
    asked = v1(name, model, rows)
    return Request(asked.path, asked.body, asked.headers, lambda body, _: body == ANSWER)


def _same(given: Any, expected: Array) -> bool:  # noqa: ANN401 (decoded JSON, or an array)
    values = np.asarray(given).reshape(-1)
    wanted = expected.reshape(-1)
    if values.shape != wanted.shape:
        return False
    if wanted.dtype.kind == "f":
        return bool(np.allclose(values, wanted, rtol=RTOL, atol=1e-12))
    return bool((values == wanted).all())


def _dumps(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
