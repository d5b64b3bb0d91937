"""The rollout document: what moves, how far it has come, by which rules, and everything that was decided.

Format 1, under the rule of the manifest: the number rises when an old reader would misread it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from mlapi.errors import RegistryError
from mlapi.registry import manifest
from mlapi.rollouts.buckets import BUCKETS
from mlapi.schemas.members import Number, Strict, Whole

FORMAT = 1
LARGEST = 1024 * 1024
RUNNING, PAUSED = "running", "paused"
PROMOTED, ROLLED_BACK, ABORTED, HELD = "promoted", "rolled_back", "aborted", "held"
ACTIVE = frozenset({RUNNING, PAUSED})
STATES = (RUNNING, PAUSED, PROMOTED, ROLLED_BACK, ABORTED, HELD)
CONTROL, CANDIDATE = "control", "candidate"
GUARDRAILS = ("errors", "invalid", "slow", "shift")
KINDS = ("binary", "continuous", "accuracy", "log_loss", "squared_error")
LABELLED = frozenset({"accuracy", "log_loss", "squared_error"})
INCONCLUSIVE = ("pause", "promote", "roll_back")
GOALS = ("superiority", "non_inferiority", "equivalence")


@dataclass(frozen=True, slots=True)
class Step:
    """One weight of the plan, in millionths, and what must have passed before the next one.

    `min_samples` counts what the candidate was assigned in this step: keys, or requests without a key.
    """

    ppm: int
    min_duration_s: float = 0.0
    min_samples: int = 0


@dataclass(frozen=True, slots=True)
class Guardrail:
    """What must not get worse: `alpha` is the risk of a false alarm over the whole rollout.

    `margin` is how much worse, relatively, is no harm yet; `limit` is milliseconds for `slow`, and the
    tolerated difference of mean scores for `shift`.
    """

    name: str
    margin: float = 0.0
    alpha: float = 0.01
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """What the candidate is to be better at, from outcomes that come back within `window_s` of a prediction.

    `kind` is what an outcome is: `binary` (nothing by the end of the window is 0), `continuous` (winsorised at
    `cap`), or a label, whose loss is taken: `accuracy`, `log_loss`, `squared_error`. `mde` is the least
    difference worth finding, `margin` that of the goals non_inferiority and equivalence, both absolute. Mode
    `bounded` decides within `max_samples` units as if half of them had the candidate; `always_valid` has no end.
    """

    name: str
    kind: str
    mde: float
    direction: str = "up"
    window_s: float = 86400.0
    goal: str = "superiority"
    margin: float = 0.0
    alpha: float = 0.05
    mode: str = "always_valid"
    max_samples: int | None = None
    cap: float | None = None


@dataclass(frozen=True, slots=True)
class Shadow:
    """A candidate that answers nobody: it is asked a copy of `ppm` millionths of the requests, after the answer.

    `core_share` is how much of a processor each worker may spend on it at most; answers that differ by more than
    `tolerance` (numbers) or at all (classes) disagree. `segments` are inputs by whose values the report is split.
    """

    ppm: int
    core_share: float = 0.1
    tolerance: float = 0.0
    segments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the history: from where to where, by whom, why, on which numbers; RFC 3339 in UTC."""

    generation: int
    before: str
    after: str
    by: str
    why: str
    at: str
    evidence: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout of one model at one generation; immutable, as the file is that holds it.

    `serial` counts the rollouts of the model. `ppm` is the candidate's share now, in millionths. `holds`
    says whether requests without a version still get what this rollout decided.
    """

    id: str
    model: str
    serial: int
    control: int
    candidate: int
    salt: str
    state: str
    step: int
    ppm: int
    plan: tuple[Step, ...]
    keys: tuple[str, ...]
    guardrails: tuple[Guardrail, ...]
    srm_alpha: float
    on_pause: str
    on_finish: str
    max_duration_s: float
    generation: int
    holds: bool
    history: tuple[Change, ...]
    metric: Metric | None = None
    on_inconclusive: str = "pause"
    shadow: Shadow | None = None

    @property
    def is_active(self) -> bool:
        """Whether it divides traffic: running or paused."""
        return self.state in ACTIVE

    @property
    def default(self) -> int:
        """The version of those who are not divided: the control, after a promotion the candidate."""
        return self.candidate if self.state == PROMOTED else self.control

    @property
    def place(self) -> str:
        """State and step, such as `running:1`."""
        return f"{self.state}:{self.step}" if self.is_active else self.state

    @property
    def ranges(self) -> list[list[Any]]:
        """The buckets of each arm, `[from, to, arm]`, without a gap or an overlap."""
        parts: list[list[Any]] = [[0, self.ppm, CANDIDATE], [self.ppm, BUCKETS, CONTROL]]
        return [part for part in parts if part[0] < part[1]]


def dumps(rollout: Rollout) -> bytes:
    """Return the canonical JSON of a rollout, with its digest."""
    return manifest.sealed({"format": FORMAT, **asdict(rollout), "ranges": rollout.ranges})


def loads(data: bytes) -> Rollout:
    """Return the rollout in `data`; RegistryError where it is not as it was written or makes no sense."""
    try:
        document = _as_written(data)
        ranges = document.pop("ranges", None)
        rollout: Rollout = _SCHEMA.load(document)
        _check_ranges(ranges, rollout)
    except (ValueError, ValidationError) as error:
        msg = f"a rollout document is damaged: {error}"
        raise RegistryError(msg) from error
    return rollout


def _as_written(data: bytes) -> dict[str, Any]:
    document = manifest.strict_json(data)
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    document.pop(manifest.DIGEST, None)
    if manifest.sealed({"format": FORMAT, **document}) != data:
        raise ValueError("its digest differs")
    return document


def _check_ranges(ranges: object, rollout: Rollout) -> None:
    if ranges != rollout.ranges:
        raise ValueError("its ranges overlap, leave a gap, or are not those of its weight")


_COUNT = validate.Range(min=0)
_ABOVE = validate.Range(min=0, min_inclusive=False)


class _Step(Strict):
    ppm = Whole(required=True, validate=validate.Range(0, BUCKETS))
    min_duration_s = Number(required=True, validate=_COUNT)
    min_samples = Whole(required=True, validate=_COUNT)

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> Step:
        return Step(**data)


class _Guardrail(Strict):
    name = fields.String(required=True, validate=validate.OneOf(GUARDRAILS))
    margin = Number(required=True, validate=_COUNT)
    alpha = Number(required=True, validate=validate.Range(0, 1, min_inclusive=False))
    limit = Number(required=True, allow_none=True)

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> Guardrail:
        return Guardrail(**data)


class _Metric(Strict):
    name = fields.String(required=True, validate=validate.Length(1, 64))
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    mde = Number(required=True, validate=_ABOVE)
    direction = fields.String(required=True, validate=validate.OneOf(("up", "down")))
    window_s = Number(required=True, validate=_ABOVE)
    goal = fields.String(required=True, validate=validate.OneOf(GOALS))
    margin = Number(required=True, validate=_COUNT)
    alpha = Number(required=True, validate=validate.Range(0, 1, min_inclusive=False))
    mode = fields.String(required=True, validate=validate.OneOf(("always_valid", "bounded")))
    max_samples = Whole(required=True, allow_none=True)
    cap = Number(required=True, allow_none=True)

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> Metric:
        return Metric(**data)


class _Shadow(Strict):
    ppm = Whole(required=True, validate=validate.Range(1, BUCKETS))
    core_share = Number(required=True, validate=validate.Range(0, 1, min_inclusive=False))
    tolerance = Number(required=True, validate=_COUNT)
    segments = fields.List(fields.String(), required=True)

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> Shadow:
        return Shadow(**{**data, "segments": tuple(data["segments"])})


class _Change(Strict):
    generation = Whole(required=True)
    before = fields.String(required=True)
    after = fields.String(required=True)
    by = fields.String(required=True)
    why = fields.String(required=True)
    at = fields.String(required=True)
    evidence = fields.Dict(fields.String(), Number(), required=True)

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> Change:
        return Change(**data)


class _Rollout(Strict):
    id = fields.String(required=True)
    model = fields.String(required=True)
    serial = Whole(required=True, validate=validate.Range(min=1))
    control = Whole(required=True, validate=validate.Range(min=1))
    candidate = Whole(required=True, validate=validate.Range(min=1))
    salt = fields.String(required=True, validate=validate.Length(1, 64))
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    step = Whole(required=True, validate=_COUNT)
    ppm = Whole(required=True, validate=validate.Range(0, BUCKETS))
    plan = fields.List(fields.Nested(_Step), required=True)
    keys = fields.List(fields.String(), required=True)
    guardrails = fields.List(fields.Nested(_Guardrail), required=True)
    srm_alpha = Number(required=True)
    on_pause = fields.String(required=True, validate=validate.OneOf(("hold", "control")))
    on_finish = fields.String(required=True, validate=validate.OneOf(("promote", "pause")))
    max_duration_s = Number(required=True)
    generation = Whole(required=True, validate=validate.Range(min=1))
    holds = fields.Boolean(required=True)
    history = fields.List(fields.Nested(_Change), required=True)
    metric = fields.Nested(_Metric, load_default=None, allow_none=True)
    on_inconclusive = fields.String(load_default="pause", validate=validate.OneOf(INCONCLUSIVE))
    shadow = fields.Nested(_Shadow, load_default=None, allow_none=True)

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> Rollout:
        lists: dict[str, Any] = {name: tuple(data.pop(name)) for name in ("plan", "keys", "guardrails", "history")}
        return Rollout(**{**data, **lists})


_SCHEMA = _Rollout()
