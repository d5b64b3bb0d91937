"""Outcomes of predictions: the batch that tells them, and the receipts."""

import math
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from mlapi.errors import InvalidRequest
from mlapi.schemas import jsonbody
from mlapi.schemas.envelope import checked
from mlapi.schemas.members import Answer, Strict, Whole

_LENGTH = validate.Length(1, 10_000)
LONGEST = 200


@dataclass(frozen=True, slots=True)
class OutcomeOrder:
    """One outcome as it was told: a value or a label."""

    prediction_id: str
    value: float | None
    label: str | float | bool | None
    metric: str | None


class _Value(fields.Field[float]):
    """A finite number; true is 1 and false 0."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:  # noqa: ANN401, ARG002 (marshmallow's signature)
        if type(value) not in {bool, int, float} or not math.isfinite(value):
            msg = "expected a finite number, true or false"
            raise ValidationError(msg)
        return float(value)


class _Label(fields.Field[Any]):
    """A label: text, a finite number, true or false."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ANN401, ARG002 (marshmallow's signature)
        is_text = type(value) is str and len(value) <= LONGEST
        if not is_text and (type(value) not in {bool, int, float} or not math.isfinite(value)):
            msg = f"expected text of up to {LONGEST} characters, a finite number, true or false"
            raise ValidationError(msg)
        return value


class Outcome(Strict):
    """What came of one prediction: a value, or the label that would have been right."""

    prediction_id = fields.String(required=True, validate=validate.Length(1, LONGEST))
    value = _Value(metadata={"type": ["number", "boolean"]})
    label = _Label(metadata={"type": ["string", "number", "boolean"]})
    metric = fields.String(validate=validate.Length(1, 64))

    @validates_schema
    def _one(self, data: dict[str, Any], **_: object) -> None:
        if ("value" in data) == ("label" in data):
            msg = "expected exactly one of value and label"
            raise ValidationError(msg)

    @post_load
    def _order(self, data: dict[str, Any], **_: object) -> OutcomeOrder:
        return OutcomeOrder(data["prediction_id"], data.get("value"), data.get("label"), data.get("metric"))


class _Batch(Strict):
    """The batch around the outcomes, each of which is judged by itself."""

    outcomes = fields.List(fields.Raw(allow_none=True), required=True, validate=_LENGTH)


class Outcomes(Strict):
    """POST /v1/outcomes, as it is described: a batch of outcomes that all fit."""

    outcomes = fields.List(fields.Nested(Outcome), required=True, validate=_LENGTH)


class Receipt(Answer):
    """What became of one outcome; `why` where it does not count."""

    status = fields.String(required=True)
    why = fields.String()


class Receipts(Answer):
    """A receipt for each outcome, in order, and how many there are of each."""

    outcomes = fields.List(fields.Nested(Receipt), required=True)
    accepted = Whole(required=True)
    duplicate = Whole(required=True)
    late = Whole(required=True)
    invalid = Whole(required=True)


def load(data: bytes) -> list[OutcomeOrder | str]:
    """Return the outcomes in a body, and of each that is none what is wrong with it.

    So one odd row costs the others nothing. Raises InvalidRequest where the body is no batch.
    """
    return [_one(row) for row in checked(_BATCH, jsonbody.decode(data))["outcomes"]]


def _one(row: Any) -> OutcomeOrder | str:  # noqa: ANN401 (decoded JSON)
    if not isinstance(row, dict):
        return "expected an object with prediction_id, and value or label"
    try:
        order: OutcomeOrder = checked(_OUTCOME, row)
    except InvalidRequest as error:
        return "; ".join(error.faults)
    return order


_BATCH, _OUTCOME = _Batch(), Outcome()
