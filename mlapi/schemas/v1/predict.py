"""The predict API: rows or columns in, predictions or outputs out."""

from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema

from mlapi.inference.values import Columns, InferenceRequest, InferenceResponse, Rows, Target
from mlapi.schemas.envelope import Envelope, checked
from mlapi.schemas.v1 import values

SERVING_DEFAULT = "serving_default"


def load(data: bytes, target: Target) -> InferenceRequest:
    """Return the predict request in a body: `instances` are rows, `inputs` are columns.

    Without `signature_name`, or with `serving_default`, the first output is asked for; any other
    name is that of an output. Raises InvalidRequest.
    """
    inputs, outputs = checked(_PREDICT, values.decode(data))
    return InferenceRequest(target, inputs, outputs)


def dump(response: InferenceResponse, request: InferenceRequest) -> bytes:
    """Return the body of an answer: `predictions` for rows, `outputs` for columns.

    A predict answers one output, so its name is left out; a trailing dimension of one is squeezed.
    Numbers that are not finite are the bare tokens NaN, Infinity and -Infinity.
    """
    member = "predictions" if isinstance(request.inputs, Rows) else "outputs"
    name, answer = next(iter(response.outputs.items()))
    return values.encode({member: values.outgoing(name, answer)})


class Predict(Envelope):
    """The request: exactly one of `instances` and `inputs`."""

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


_PREDICT = Predict()
