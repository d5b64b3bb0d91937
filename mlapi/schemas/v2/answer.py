"""The answer of V2's inference, as a schema that describes and checks what is written."""

from math import prod
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from mlapi.inference.signature import NUMPY_TYPES
from mlapi.schemas.members import Answer, Whole, values
from mlapi.schemas.v2.envelope import BINARY_SIZE

VALUE = {"type": ["number", "string", "boolean", "null"]}
FLOAT: set[type] = {float, type(None)}  # null is NaN or an infinity
KINDS: dict[str, set[type]] = {"BOOL": {bool}, "BYTES": {str}, "FP32": FLOAT, "FP64": FLOAT}


class OutputTensor(Answer):
    """One output: its values flat and row-major in `data`, or their number of bytes behind the JSON part."""

    name = fields.String(required=True)
    shape = fields.List(Whole(validate=validate.Range(1)), required=True)
    datatype = fields.String(required=True, validate=validate.OneOf(tuple(NUMPY_TYPES)))
    parameters = fields.Dict(keys=fields.String())
    data = values(VALUE)

    @validates_schema
    def _has_values(self, data: dict[str, Any], **_: object) -> None:
        size = data.get("parameters", {}).get(BINARY_SIZE)
        if ("data" in data) == (type(size) is int):
            msg = f"expected exactly one of data and {BINARY_SIZE}"
            raise ValidationError(msg, "data")
        if "data" not in data:
            return
        if len(data["data"]) != prod(data["shape"]):
            msg = f"has {len(data['data'])} values; its shape {data['shape']} wants {prod(data['shape'])}"
            raise ValidationError(msg, "data")
        if not set(map(type, data["data"])) <= KINDS.get(data["datatype"], {int}):
            msg = f"holds something else than {data['datatype']}"
            raise ValidationError(msg, "data")


class Inferred(Answer):
    """The answer; `id` is that of the request, or a new one."""

    model_name = fields.String(required=True)
    model_version = fields.String(required=True)
    id = fields.String(required=True)
    parameters = fields.Dict(fields.String(), fields.String())
    outputs = fields.List(fields.Nested(OutputTensor), required=True, validate=validate.Length(1))
