"""POST /invocations as MLflow's scoring server and SageMaker have it: JSON in four forms, CSV, Parquet, .npy.

MLflow documents the forms under "Deploy MLflow Model as a Local Inference Server".
"""

from collections import Counter
from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema

from mlapi.errors import InvalidRequest
from mlapi.inference.faults import Faults, quoted
from mlapi.inference.values import Columns, InferenceRequest, InferenceResponse, Inputs, Rows, Table, Target
from mlapi.schemas import jsonbody, tables
from mlapi.schemas.envelope import Envelope, checked
from mlapi.schemas.members import Answer
from mlapi.schemas.members import values as answer_values
from mlapi.schemas.v1 import values

CSV = "text/csv"
PARQUET = ("application/vnd.apache.parquet", "application/x-parquet")
NPY = "application/x-npy"
TABLES = frozenset({CSV, NPY, *PARQUET})
"""The media types that are no JSON."""

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def load(data: bytes, media_type: str, target: Target, limit: int) -> InferenceRequest:
    """Return the request in a body of `media_type`, JSON where that is none of `TABLES`; the first output is asked for.

    A table may take `limit` bytes once it is read. Raises InvalidRequest, BodyTooLarge, and
    UnsupportedMediaType where what reads a media type is not installed.
    """
    return InferenceRequest(target, _inputs(data, media_type, limit), ())


def dump(response: InferenceResponse, _: InferenceRequest) -> bytes:
    """Return `predictions`, one a row; numbers that are not finite as V1 has them."""
    name, answer = next(iter(response.outputs.items()))
    return values.encode({"predictions": values.outgoing(name, answer)})


def _inputs(data: bytes, media_type: str, limit: int) -> Inputs:
    if media_type == CSV:
        return tables.from_csv(data)
    if media_type == NPY:
        return tables.from_npy(data)
    if media_type in PARQUET:
        return tables.from_parquet(data, limit)
    inputs: Inputs = checked(_INVOCATION, jsonbody.decode(data))
    return inputs


class Split(Envelope):
    """A pandas frame with `orient="split"`; its index has no effect."""

    columns = fields.List(fields.Raw(), required=True)
    data = fields.List(fields.Raw(), required=True)


class Invocation(Envelope):
    """The JSON body: exactly one of the four forms; `params` are for models that take some, which none here does."""

    dataframe_split = fields.Nested(Split)
    dataframe_records = fields.Raw(metadata={"type": "array", "minItems": 1, "items": {"type": "object"}})
    instances = fields.Raw(metadata={"type": "array", "minItems": 1})
    inputs = fields.Raw(metadata={"type": ["array", "object"]})
    params = fields.Dict(keys=fields.String())

    @validates_schema
    def _one_form(self, data: dict[str, Any], **_: object) -> None:
        given = [name for name in FORMS if name in data]
        if len(given) != 1:
            got = " and ".join(given) if given else "none of them"
            msg = f"expected exactly one of {', '.join(FORMS)}, got {got}"
            raise ValidationError(msg)
        name, value = given[0], data[given[0]]
        if name in {"dataframe_records", "instances"} and (type(value) is not list or not value):
            msg = "expected a non-empty list of rows"
            raise ValidationError(msg, name)
        if name == "dataframe_records" and set(map(type, value)) != {dict}:
            msg = "expected an object by column name a row"
            raise ValidationError(msg, name)
        if name == "inputs" and not isinstance(value, list | dict):
            msg = "expected a list, or an object of tensors by name"
            raise ValidationError(msg, name)

    @post_load
    def _values(self, data: dict[str, Any], **_: object) -> Inputs:
        if "dataframe_split" in data:
            return _from_split(data["dataframe_split"])
        if "dataframe_records" in data:
            return _from_records(data["dataframe_records"])
        if "instances" in data:
            return Rows(data["instances"])
        return Columns(data["inputs"]) if isinstance(data["inputs"], dict) else Rows(data["inputs"])


class Predictions(Answer):
    """The answer: one prediction a row."""

    predictions = answer_values(required=True)


def _from_split(split: dict[str, Any]) -> Table:
    names, rows = list(map(str, split["columns"])), split["data"]
    faults = Faults()
    twice = [name for name, times in Counter(names).items() if times > 1]
    faults.each(twice, lambda name: f"dataframe_split.columns: {quoted(name)} stands twice")
    bad = [i for i, row in enumerate(rows) if type(row) is not list or len(row) != len(names)]
    faults.each(bad, lambda i: f"row {i}: expected a list of {len(names)} values, one a column")
    faults.raise_any()
    if not names or not rows:
        raise InvalidRequest(["the batch is empty; expected at least one column and one row"])
    return Table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def _from_records(records: list[dict[str, Any]]) -> Table:
    """As pandas reads records: the columns are those of all rows, and what a row leaves out is missing."""
    names = list(dict.fromkeys(name for row in records for name in row))
    if not names:
        raise InvalidRequest(["the records are empty; expected at least one column"])
    return Table({name: [row.get(name) for row in records] for name in names})


_INVOCATION = Invocation()
