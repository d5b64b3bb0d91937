"""Shadows over REST: the order that starts one, and the comparison of the two versions."""

from dataclasses import dataclass
from typing import Any

from marshmallow import fields, post_load, validate

from mlapi.schemas.members import Answer, Number, Strict, Whole

MOST_SEGMENTS = 20


@dataclass(frozen=True, slots=True)
class ShadowOrder:
    """A shadow: the share of requests that is copied, that of a processor, from 0 to 1."""

    rate: float
    core_share: float
    tolerance: float
    segments: tuple[str, ...]


class Shadow(Strict):
    """A shadow instead of a plan: the candidate is asked copies and answers nobody."""

    rate = Number(load_default=1.0, validate=validate.Range(0, 1, min_inclusive=False))
    core_share = Number(load_default=0.1, validate=validate.Range(0, 1, min_inclusive=False))
    tolerance = Number(load_default=0.0, validate=validate.Range(min=0))
    segments = fields.List(
        fields.String(validate=validate.Length(1, 200)), load_default=list, validate=validate.Length(max=MOST_SEGMENTS),
    )

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> ShadowOrder:
        return ShadowOrder(**{**data, "segments": tuple(data["segments"])})


class Share(Answer):
    """A part of a whole, with an interval that may be looked at at any time."""

    count = Whole(required=True)
    of = Whole(required=True)
    share = fields.Float(required=True, allow_none=True)
    lower = fields.Float(required=True)
    upper = fields.Float(required=True)


class Times(Answer):
    """Milliseconds of a model."""

    p50 = fields.Float(required=True, allow_none=True)
    p95 = fields.Float(required=True, allow_none=True)


class Losses(Answer):
    """The candidate's loss minus the control's, on the labelled requests."""

    metric = fields.String(required=True)
    number = Whole(required=True)
    mean = fields.Float(required=True, allow_none=True)
    standard_error = fields.Float(required=True, allow_none=True)
    lower = fields.Float(required=True, allow_none=True)
    upper = fields.Float(required=True, allow_none=True)


class Worst(Answer):
    """One of the largest disagreements."""

    prediction_id = fields.String(required=True, allow_none=True)
    difference = fields.Float(required=True)
    control = fields.List(fields.Raw(allow_none=True), required=True)
    candidate = fields.List(fields.Raw(allow_none=True), required=True)
    inputs = fields.Dict(
        fields.String(), fields.List(fields.Raw(allow_none=True)), required=True, allow_none=True,
    )


class Comparison(Answer):
    """GET /v1/rollouts/ID/comparison."""

    rollout = fields.String(required=True)
    model = fields.String(required=True)
    control = fields.String(required=True)
    candidate = fields.String(required=True)
    pairs = Whole(required=True)
    dropped = Whole(required=True)
    disagreement = fields.Nested(Share, required=True)
    mean_difference = fields.Float(required=True, allow_none=True)
    mean_absolute_difference = fields.Float(required=True, allow_none=True)
    quantiles = fields.Dict(fields.String(), fields.Float(), required=True)
    errors = Whole(required=True)
    error_examples = fields.List(fields.String(), required=True)
    invalid = Whole(required=True)
    control_ms = fields.Nested(Times, required=True)
    candidate_ms = fields.Nested(Times, required=True)
    segments = fields.Dict(fields.String(), fields.Nested(Share), required=True)
    worst = fields.List(fields.Nested(Worst), required=True)
    losses = fields.Nested(Losses, required=True, allow_none=True)
