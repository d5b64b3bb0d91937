"""The JSON part of an inference request, checked by marshmallow: members, shapes, parameters."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from mlapi.inference.signature import NUMPY_TYPES
from mlapi.schemas.envelope import Envelope

MOST_TENSORS = 10_000
MOST_DIMENSIONS = 16
BINARY_SIZE = "binary_data_size"


class _Parameters(fields.Dict):
    """Strings, numbers and booleans by name."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (marshmallow's signature)
        loaded = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        if any(not isinstance(item, str | int | float | bool) for item in loaded.values()):
            msg = "expected an object whose values are text, numbers, true or false"
            raise ValidationError(msg)
        return loaded


class _TensorList(fields.List):  # type: ignore[type-arg]
    """A list whose length is judged before its items, each of which costs more than it weighs."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (marshmallow's signature)
        if type(value) is list and len(value) > MOST_TENSORS:
            msg = f"expected at most {MOST_TENSORS} tensors"
            raise ValidationError(msg)
        return super()._deserialize(value, attr, data, **kwargs)


def _shape(value: object) -> None:
    fits = type(value) is list and 1 <= len(value) <= MOST_DIMENSIONS
    if not fits or any(type(size) is not int or not 0 <= size < 2**63 for size in value):  # type: ignore[attr-defined]
        msg = f"expected a list of 1 to {MOST_DIMENSIONS} whole numbers of 0 or more"
        raise ValidationError(msg)


_SHAPE = {
    "type": "array", "minItems": 1, "maxItems": MOST_DIMENSIONS, "items": {"type": "integer", "minimum": 1},
}  # fmt: skip
"""The same in JSON Schema; a size of 0 is refused a step later, with the values."""


def _is_count(value: object, least: int) -> bool:
    return type(value) is int and value >= least


class Input(Envelope):
    """One input tensor: its values in `data`, or their number of bytes behind the JSON part."""

    name = fields.String(required=True, validate=validate.Length(1))
    shape = fields.Raw(required=True, validate=_shape, metadata=_SHAPE)
    datatype = fields.String(required=True, validate=validate.OneOf(tuple(NUMPY_TYPES)))
    parameters = _Parameters(load_default=dict)
    data = fields.Raw(metadata={"type": "array"})

    @validates_schema
    def _has_values(self, data: dict[str, Any], **_: object) -> None:
        parameters = data.get("parameters", {})
        if "shared_memory_region" in parameters:
            msg = "shared memory is not supported; send the values"
            raise ValidationError(msg, "parameters")
        if BINARY_SIZE in parameters and not _is_count(parameters[BINARY_SIZE], 0):
            msg = f"expected a whole number of bytes as {BINARY_SIZE}"
            raise ValidationError(msg, "parameters")
        if ("data" in data) == (BINARY_SIZE in parameters):
            got = "both" if "data" in data else "neither"
            msg = f"expected exactly one of data and {BINARY_SIZE}, got {got}"
            raise ValidationError(msg, "data")
        if "data" in data and type(data["data"]) is not list:
            msg = "expected a list of values"
            raise ValidationError(msg, "data")


class Output(Envelope):
    """One output that is asked for, and how it is to be written."""

    name = fields.String(required=True)
    parameters = _Parameters(load_default=dict)

    @validates_schema
    def _known(self, data: dict[str, Any], **_: object) -> None:
        parameters = data.get("parameters", {})
        if type(parameters.get("binary_data", False)) is not bool:
            msg = "expected true or false as binary_data"
            raise ValidationError(msg, "parameters")
        if "classification" in parameters and not _is_count(parameters["classification"], 1):
            msg = "expected a whole number of 1 or more as classification"
            raise ValidationError(msg, "parameters")


class Infer(Envelope):
    """The request."""

    id = fields.String()
    parameters = _Parameters(load_default=dict)
    inputs = _TensorList(fields.Nested(Input), required=True, validate=validate.Length(1))
    outputs = _TensorList(fields.Nested(Output), load_default=list)

    @validates_schema
    def _known(self, data: dict[str, Any], **_: object) -> None:
        if type(data.get("parameters", {}).get("binary_data_output", False)) is not bool:
            msg = "expected true or false as binary_data_output"
            raise ValidationError(msg, "parameters")
