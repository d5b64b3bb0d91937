"""Inference responses of V2: JSON, or JSON and raw tensors behind it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlapi.errors import InvalidRequest
from mlapi.inference import tensorbytes
from mlapi.inference.values import Array, InferenceResponse
from mlapi.schemas import jsonbody
from mlapi.schemas.v2.request import BINARY_ONLY, Asked, Wanted

DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Dumped:
    """A body; `json_length` is the bytes of its JSON part where raw tensors follow, else None."""

    body: bytes
    json_length: int | None


def dump(response: InferenceResponse, asked: Asked) -> Dumped:
    """Return the body of an answer, each output as it was asked for.

    JSON `data` is flat and row-major, numbers that are not finite are null. Raises InvalidRequest where
    an output has no form in JSON, or no classes.
    """
    outputs, tails = [], []
    for name, array in response.outputs.items():
        wanted = (asked.wanted or {}).get(name, Wanted(asked.binary))
        datatype = response.datatypes[name]
        if wanted.classes is not None:
            array, datatype = _classified(array, datatype, name, wanted.classes, response), "BYTES"  # noqa: PLW2901 (the output is replaced)
        output: dict[str, Any] = {"name": name, "shape": list(array.shape), "datatype": datatype}
        if wanted.binary:
            tails.append(tensorbytes.encode(array, datatype))
            output["parameters"] = {"binary_data_size": len(tails[-1])}
        else:
            output["data"] = _flat(array, datatype, name)
        outputs.append(output)
    document: dict[str, Any] = {
        "model_name": response.model, "model_version": str(response.version), "outputs": outputs,
    }  # fmt: skip
    if response.id is not None:
        document["id"] = response.id
    if response.assignment is not None and response.assignment.prediction_id is not None:
        document["parameters"] = {"prediction_id": response.assignment.prediction_id}
    body = jsonbody.encode(document)
    binary = any("parameters" in output for output in outputs)
    return Dumped(b"".join([body, *tails]), len(body) if binary else None)


def _flat(array: Array, datatype: str, name: str) -> Any:  # noqa: ANN401 (a list, or an array that orjson writes)
    if datatype == BINARY_ONLY:
        raise InvalidRequest([f"output '{name}' is {datatype}, which JSON has no form for; ask for binary_data"])
    flat = np.ascontiguousarray(array.reshape(-1))
    return flat.tolist() if flat.dtype == object else flat


def _classified(array: Array, datatype: str, name: str, count: int, response: InferenceResponse) -> Array:
    """Return the best classes of each row as "value:index:label" (Triton, "Classification extension").

    `[n, min(count, k)]`, sorted by value descending, ties by index; the label only where classes have names.
    """
    if datatype == "BYTES":
        raise InvalidRequest([f"output '{name}' is text; classification is for numbers"])
    names = response.classes if response.classes is not None and len(response.classes) == array.shape[1] else None
    named = names is not None and all(isinstance(label, str) for label in names)
    order = np.argsort(-array.astype("f8"), axis=1, kind="stable")[:, :count]
    texts = np.empty(order.shape, dtype=object)
    for row, best in enumerate(order):
        for rank, index in enumerate(best):
            label = f":{names[index]}" if names is not None and named else ""
            texts[row, rank] = f"{array[row, index]:.{DECIMALS}f}:{index}{label}"
    return texts
