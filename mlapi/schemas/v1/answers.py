"""The answers of V1's verbs, as schemas that describe and check what is written."""

from itertools import chain
from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from mlapi.schemas.members import Answer, values
from mlapi.schemas.v1.explain import Explanation

LABEL_AND_SCORE = 2
PAIR = {
    "type": "array", "minItems": LABEL_AND_SCORE, "maxItems": LABEL_AND_SCORE, "items": {"type": ["string", "number"]},
    "description": "A label and its score.",
}


class Predicted(Answer):
    """Answers of predict: `predictions` for rows, `outputs` for columns; one value or list a row."""

    predictions = values()
    outputs = values()

    @validates_schema
    def _one_form(self, data: dict[str, Any], **_: object) -> None:
        if len(data) != 1:
            msg = "expected exactly one of predictions and outputs"
            raise ValidationError(msg)


class Classified(Answer):
    """Answers of classify: for each example a label and a score of every class."""

    results = values({"type": "array", "items": PAIR}, required=True)

    @validates_schema
    def _pairs(self, data: dict[str, Any], **_: object) -> None:
        rows = data["results"]
        pairs: list[Any] = list(chain.from_iterable(rows)) if set(map(type, rows)) == {list} else [None]
        fit = set(map(type, pairs)) == {list} and set(map(len, pairs)) == {LABEL_AND_SCORE}
        labels, scores = zip(*pairs, strict=True) if fit else ((), ())
        if set(map(type, labels)) != {str} or set(map(type, scores)) != {float}:
            msg = "expected pairs of a label and a score"
            raise ValidationError(msg, "results")


class Regressed(Answer):
    """Answers of regress: a number an example."""

    results = values({"type": "number"}, required=True)

    @validates_schema
    def _numbers(self, data: dict[str, Any], **_: object) -> None:
        if set(map(type, data["results"])) != {float}:
            msg = "expected numbers"
            raise ValidationError(msg, "results")


class Explained(Answer):
    """Answers of explain: predictions, and their explanations in the same order."""

    predictions = values(required=True)
    method = fields.String(required=True)
    explanations = fields.List(fields.Nested(Explanation), required=True)


