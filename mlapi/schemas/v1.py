"""V1: the TensorFlow Serving REST API (api_rest.md, "Predict API" and "Model status API") with KServe's V1."""

from typing import Any

import numpy as np
from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from mlapi.inference.values import Array, Columns, InferenceRequest, InferenceResponse, Rows, Target
from mlapi.schemas import jsonbody
from mlapi.schemas.envelope import Envelope, checked

SERVING_DEFAULT = "serving_default"


def load(data: bytes, target: Target) -> InferenceRequest:
    """Return the predict request in a body: `instances` are rows, `inputs` are columns.

    Without `signature_name`, or with `serving_default`, the first output is asked for; any other
    name is that of an output. Raises InvalidRequest.
    """
    inputs, outputs = checked(_PREDICT, jsonbody.decode(data))
    return InferenceRequest(target, inputs, outputs)


def dump(response: InferenceResponse, request: InferenceRequest) -> bytes:
    """Return the body of an answer: `predictions` for rows, `outputs` for columns.

    A predict answers one output, so its name is left out; a trailing dimension of one is squeezed.
    Numbers that are not finite are the bare tokens NaN, Infinity and -Infinity.
    """
    member = "predictions" if isinstance(request.inputs, Rows) else "outputs"
    answer = _squeezed(next(iter(response.outputs.values())))
    if answer.dtype.kind == "f" and not np.isfinite(answer).all():
        shortest = answer.astype(str).astype("f8")  # the digits of its own datatype, not those of doubles
        return jsonbody.encode_tokens({member: shortest.tolist()})
    return jsonbody.encode({member: answer.tolist() if answer.dtype == object else np.ascontiguousarray(answer)})


def _squeezed(answer: Array) -> Array:
    return answer[:, 0] if answer.shape[1] == 1 else answer


class _Predict(Envelope):
    instances = fields.Raw()
    inputs = fields.Raw()
    signature_name = fields.String(load_default="")

    @validates_schema
    def _one_form(self, data: dict[str, Any], **_: object) -> None:
        given = [name for name in ("instances", "inputs") if name in data]
        if len(given) != 1:
            got = "both" if given else "neither"
            msg = f"expected exactly one of 'instances' (rows) and 'inputs' (columns), got {got}"
            raise ValidationError(msg)
        if given == ["instances"] and (type(data["instances"]) is not list or not data["instances"]):
            msg = "expected a non-empty list of rows"
            raise ValidationError(msg, "instances")
        if given == ["inputs"] and not isinstance(data["inputs"], list | dict):
            msg = "expected a list, or an object of columns by name"
            raise ValidationError(msg, "inputs")

    @post_load
    def _values(self, data: dict[str, Any], **_: object) -> tuple[Rows | Columns, tuple[str, ...]]:
        inputs = Rows(data["instances"]) if "instances" in data else Columns(data["inputs"])
        name = data["signature_name"]
        return inputs, () if name in {"", SERVING_DEFAULT} else (name,)


class _Status(Envelope):
    error_code = fields.String(required=True)
    error_message = fields.String(required=True)


class _VersionState(Envelope):
    version = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(("START", "LOADING", "AVAILABLE", "UNLOADING", "END")))
    status = fields.Nested(_Status, required=True)


class StatusSchema(Envelope):
    """One body for two protocols: KServe reads `ready`, TensorFlow Serving `model_version_status`."""

    name = fields.String(required=True)
    ready = fields.Boolean(required=True)
    model_version_status = fields.List(fields.Nested(_VersionState), required=True)
    error = fields.String()


_PREDICT = _Predict()
