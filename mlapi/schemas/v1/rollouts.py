"""Rollouts: the order that starts one, and the documents that tell how they stand."""

from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from mlapi.schemas import jsonbody
from mlapi.schemas.envelope import checked
from mlapi.schemas.members import Answer, Number, Strict, Truth, Whole
from mlapi.schemas.v1.comparison import Shadow, ShadowOrder

LARGEST_VERSION = 2**63 - 1
LONGEST_WHY = 500


@dataclass(frozen=True, slots=True)
class StepOrder:
    """One step: a weight from 0 to 1, seconds, and requests to the candidate."""

    weight: float
    min_duration_s: float
    min_samples: int


@dataclass(frozen=True, slots=True)
class GuardrailOrder:
    """One guardrail."""

    name: str
    margin: float
    alpha: float
    limit: float | None


@dataclass(frozen=True, slots=True)
class MetricOrder:
    """The metric of a rollout; seconds, and differences as they are."""

    name: str
    kind: str
    mde: float
    direction: str
    window_s: float
    goal: str
    margin: float
    alpha: float
    mode: str
    max_samples: int | None
    cap: float | None


@dataclass(frozen=True, slots=True)
class Order:
    """What starts a rollout; None is the default."""

    model: str
    candidate: int
    control: int | None
    plan: tuple[StepOrder, ...] | None
    keys: tuple[str, ...] | None
    guardrails: tuple[GuardrailOrder, ...] | None
    srm_alpha: float | None
    on_pause: str | None
    on_finish: str | None
    max_duration_s: float | None
    metric: MetricOrder | None
    on_inconclusive: str | None
    why: str
    shadow: ShadowOrder | None


def load(data: bytes) -> Order:
    """Return the order in a body; raises InvalidRequest with every fault, members that do not exist among them."""
    order: Order = checked(_ORDER, jsonbody.decode(data))
    return order


def load_why(data: bytes) -> str:
    """Return the reason in the body of a verb, such as pause; empty for an empty body."""
    if not data.strip():
        return ""
    why: str = checked(_WHY, jsonbody.decode(data))
    return why


class _Version(fields.Field[int]):
    """A version: text, as everywhere in JSON, or a number."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:  # noqa: ANN401, ARG002 (marshmallow's signature)
        text = str(value) if type(value) in {int, str} else ""
        if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= LARGEST_VERSION and text[0] != "0"):
            msg = 'expected a version, such as "3"'
            raise ValidationError(msg)
        return int(text)


_SPAN = validate.Range(min=0, max=10 * 366 * 86400, error="Expected seconds, 0 to ten years.")


class Step(Strict):
    """One step of a plan."""

    weight = Number(required=True)
    min_duration_s = Number(load_default=0.0, validate=_SPAN)
    min_samples = Whole(load_default=0, validate=validate.Range(min=0, max=10**12))

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> StepOrder:
        return StepOrder(**data)


class Guardrail(Strict):
    """One guardrail of a rollout."""

    name = fields.String(required=True, validate=validate.OneOf(("errors", "invalid", "slow", "shift")))
    margin = Number(load_default=0.0, validate=validate.Range(min=0, max=100))
    alpha = Number(load_default=0.01, validate=validate.Range(min=0, max=1, min_inclusive=False))
    limit = Number(load_default=None, allow_none=True)

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> GuardrailOrder:
        return GuardrailOrder(**data)


class Metric(Strict):
    """What the candidate is to be better at, from outcomes; see docs/rollouts.md."""

    name = fields.String(required=True, validate=validate.Length(1, 64))
    kind = fields.String(
        required=True, validate=validate.OneOf(("binary", "continuous", "accuracy", "log_loss", "squared_error")),
    )
    mde = Number(required=True)
    direction = fields.String(load_default="up", validate=validate.OneOf(("up", "down")))
    window_s = Number(load_default=86400.0, validate=_SPAN)
    goal = fields.String(
        load_default="superiority", validate=validate.OneOf(("superiority", "non_inferiority", "equivalence")),
    )
    margin = Number(load_default=0.0, validate=validate.Range(min=0))
    alpha = Number(load_default=0.05, validate=validate.Range(min=0, max=1, min_inclusive=False))
    mode = fields.String(load_default="always_valid", validate=validate.OneOf(("always_valid", "bounded")))
    max_samples = Whole(load_default=None, allow_none=True, validate=validate.Range(min=1, max=10**12))
    cap = Number(load_default=None, allow_none=True)

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> MetricOrder:
        return MetricOrder(**data)


class Start(Strict):
    """POST /v1/rollouts."""

    model = fields.String(required=True)
    candidate = _Version(required=True)
    control = _Version(load_default=None)
    plan = fields.List(fields.Nested(Step), load_default=None)
    keys = fields.List(fields.String(validate=validate.Length(1, 200)), load_default=None)
    guardrails = fields.List(fields.Nested(Guardrail), load_default=None)
    srm_alpha = Number(load_default=None)
    on_pause = fields.String(load_default=None, validate=validate.OneOf(("hold", "control")))
    on_finish = fields.String(load_default=None, validate=validate.OneOf(("promote", "pause")))
    max_duration_s = Number(load_default=None, validate=_SPAN)
    metric = fields.Nested(Metric, load_default=None, allow_none=True)
    on_inconclusive = fields.String(load_default=None, validate=validate.OneOf(("pause", "promote", "roll_back")))
    why = fields.String(load_default="", validate=validate.Length(max=LONGEST_WHY))
    shadow = fields.Nested(Shadow, load_default=None, allow_none=True)

    @validates_schema
    def _one_of_both(self, data: dict[str, Any], **_: object) -> None:
        if data.get("plan") is not None and data.get("shadow") is not None:
            msg = "expected a plan or a shadow, got both"
            raise ValidationError(msg, "shadow")

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> Order:
        lists = {name: None if data[name] is None else tuple(data.pop(name)) for name in ("plan", "keys", "guardrails")}
        return Order(**{**data, **lists})


class Why(Strict):
    """The body of a verb: why it is done, for the history."""

    why = fields.String(load_default="", validate=validate.Length(max=LONGEST_WHY))

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> str:
        return str(data["why"])


class Summary(Answer):
    """One rollout in the list."""

    id = fields.String(required=True)
    model = fields.String(required=True)
    control = fields.String(required=True)
    candidate = fields.String(required=True)
    state = fields.String(required=True)
    step = Whole(required=True)
    weight = fields.Float(required=True)
    generation = Whole(required=True)
    holds = Truth(required=True)


class RolloutList(Answer):
    """GET /v1/rollouts."""

    rollouts = fields.List(fields.Nested(Summary), required=True)


class Change(Answer):
    """One entry of the history."""

    generation = Whole(required=True)
    before = fields.String(required=True)
    after = fields.String(required=True)
    by = fields.String(required=True)
    why = fields.String(required=True)
    at = fields.String(required=True)
    evidence = fields.Dict(fields.String(), fields.Float(), required=True)


class Worker(Answer):
    """One worker that follows a rollout."""

    name = fields.String(required=True)
    generation = Whole(required=True)
    lag = Whole(required=True)
    seconds_ago = fields.Float(required=True)
    stale = Truth(required=True)


class ArmCounts(Answer):
    """What one arm came to."""

    requests = Whole(required=True)
    keys = Whole(required=True)
    fell_back = Whole(required=True)
    errors = Whole(required=True)
    invalid = Whole(required=True)
    slow = Whole(required=True)
    mean_score = fields.Float(required=True, allow_none=True)
    p95_ms = fields.Float(required=True, allow_none=True)


class Rollout(Summary):
    """GET /v1/rollouts/ID."""

    plan = fields.List(fields.Nested(Step), required=True)
    keys = fields.List(fields.String(), required=True)
    guardrails = fields.List(fields.Nested(Guardrail), required=True)
    srm_alpha = fields.Float(required=True)
    on_pause = fields.String(required=True)
    on_finish = fields.String(required=True)
    max_duration_s = fields.Float(required=True)
    converged = Truth(required=True)
    stale = Truth(required=True)
    workers = fields.List(fields.Nested(Worker), required=True)
    arms = fields.Dict(fields.String(), fields.Nested(ArmCounts), required=True)
    evidence = fields.Dict(fields.String(), fields.Float(), required=True)
    waiting_for = fields.String(required=True)
    metric = fields.Nested(Metric, required=True, allow_none=True)
    on_inconclusive = fields.String(required=True)
    effect = fields.Dict(fields.String(), fields.Float(), required=True)
    shadow = fields.Nested(Shadow)
    history = fields.List(fields.Nested(Change), required=True)


class Assignment(Answer):
    """GET /v1/models/NAME/assignment."""

    model = fields.String(required=True)
    version = fields.String(required=True)
    why = fields.String(required=True)
    rollout = fields.String()
    variant = fields.String()
    bucket = Whole()
    candidate_below = Whole()
    at = fields.String()


_ORDER, _WHY = Start(), Why()
