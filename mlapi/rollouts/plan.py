"""What a person decides before a rollout starts, and everything that can be wrong with it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mlapi.rollouts import document
from mlapi.rollouts.buckets import BUCKETS
from mlapi.rollouts.document import Guardrail, Metric, Shadow, Step
from mlapi.rollouts.effects import LEVELS

MOST_STEPS = 100
MOST_KEYS = 8
LONGEST_KEY = 200
MOST_SEGMENTS = 20
LONGEST_WINDOW = 90 * 86400
ALPHA_BUDGET = 0.05
SOURCE = re.compile(r"header:[A-Za-z0-9!#$%&'*+.^_`|~-]+|field:[^.\x00-\x1f]+(\.[^.\x00-\x1f]+)*")
"""A header by a name that one may have (RFC 9110, section 5.6.2), or a member of the body by its path."""

LIMITED = ("slow", "shift")
TOLERANCE = 1e-9
UNDIVIDED = "at a weight of 1 no control is left to compare with; leave it out: the last step is followed by promotion"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person decides before a rollout starts; the defaults suit a model with steady traffic."""

    steps: tuple[Step, ...] = (
        Step(10_000, 600, 500), Step(50_000, 3600, 2000), Step(250_000, 7200, 5000), Step(500_000, 86400, 20000),
    )  # fmt: skip
    keys: tuple[str, ...] = ("header:X-User-Id",)
    guardrails: tuple[Guardrail, ...] = (Guardrail("errors", 0.25), Guardrail("invalid", 0.0))
    srm_alpha: float = 0.001
    on_pause: str = "hold"
    on_finish: str = "promote"
    max_duration_s: float = 14 * 86400.0
    metric: Metric | None = None
    on_inconclusive: str = "pause"
    shadow: Shadow | None = None


def plan_faults(plan: Plan) -> list[str]:
    """Return a sentence for everything that is wrong with a plan; empty where it can be started."""
    divided = _step_faults(plan.steps) if plan.shadow is None else _shadow_faults(plan.shadow)
    guarded = _guardrail_faults(plan.guardrails, plan.srm_alpha)
    return [*divided, *_key_faults(plan.keys), *guarded, *_metric_faults(plan.metric)]


def _metric_faults(metric: Metric | None) -> list[str]:
    if metric is None:
        return []
    faults = [f"metric: {name} is {value}; expected {wanted}" for name, value, wanted, fits in (
        ("kind", metric.kind, ", ".join(document.KINDS), metric.kind in document.KINDS),
        ("goal", metric.goal, ", ".join(document.GOALS), metric.goal in document.GOALS),
        ("mde", metric.mde, "a number above 0", metric.mde > 0),
        ("window_s", metric.window_s, f"seconds, above 0 and up to {LONGEST_WINDOW}",
         0 < metric.window_s <= LONGEST_WINDOW),
        ("alpha", metric.alpha, f"a number above 0 and up to {ALPHA_BUDGET}", 0 < metric.alpha <= ALPHA_BUDGET),
        ("alpha", metric.alpha, f"{LEVELS[0][0]} or more for mode bounded",
         metric.mode != "bounded" or metric.alpha >= LEVELS[0][0]),
        ("margin", metric.margin, "a number above 0 for this goal", metric.goal == "superiority" or metric.margin > 0),
        ("max_samples", metric.max_samples, "units, above 0, for mode bounded",
         metric.mode != "bounded" or (metric.max_samples or 0) > 0),
        ("max_samples", metric.max_samples, "none for a mode that may be looked at for ever",
         metric.mode == "bounded" or metric.max_samples is None),
        ("cap", metric.cap, "a number above 0 for kind continuous", metric.cap is None or metric.cap > 0),
    ) if not fits]  # fmt: skip
    if metric.kind == "continuous" and metric.cap is None:
        faults.append("metric: cap is missing; values above it count as it, so that one outlier decides nothing")
    return faults


def _shadow_faults(shadow: Shadow) -> list[str]:
    faults = []
    if len(shadow.segments) > MOST_SEGMENTS:
        faults.append(f"segments: expected at most {MOST_SEGMENTS}, got {len(shadow.segments)}")
    if not 0 < shadow.core_share <= 1:
        faults.append(f"core_share: expected a number above 0 and up to 1, got {shadow.core_share:g}")
    if not 0 < shadow.ppm <= BUCKETS:
        faults.append(f"rate: expected a share above 0 and up to 1, got {shadow.ppm / BUCKETS:g}")
    return faults


def pair_faults(control: int, candidate: int) -> list[str]:
    """Return what is wrong with a pair of versions."""
    return [f"candidate: version {candidate} is the control as well"] if control == candidate else []


def _step_faults(steps: Sequence[Step]) -> list[str]:
    if not 1 <= len(steps) <= MOST_STEPS:
        return [f"plan: expected 1 to {MOST_STEPS} steps, got {len(steps)}"]
    faults = [f"plan: step {at}: expected a weight above 0 and below 1, got {step.ppm / BUCKETS:g}"
              for at, step in enumerate(steps) if not 0 < step.ppm <= BUCKETS]  # fmt: skip
    faults += [f"plan: step {at}: {UNDIVIDED}" for at, step in enumerate(steps) if step.ppm == BUCKETS]
    for at in range(1, len(steps)):
        if steps[at].ppm < steps[at - 1].ppm:
            was, now = steps[at - 1].ppm / BUCKETS, steps[at].ppm / BUCKETS
            faults.append(f"plan: step {at} shrinks from {was:g} to {now:g}; the weights of a plan may only grow")
    return faults


def _key_faults(keys: Sequence[str]) -> list[str]:
    if len(keys) > MOST_KEYS:
        return [f"keys: expected at most {MOST_KEYS}, got {len(keys)}"]
    wrong = [at for at, key in enumerate(keys) if not _is_source(key)]
    return [f"keys: entry {at} is no source; expected such as header:X-User-Id or field:user_id" for at in wrong]


def _is_source(key: str) -> bool:
    return len(key) <= LONGEST_KEY and SOURCE.fullmatch(key) is not None


def _guardrail_faults(guardrails: Sequence[Guardrail], srm_alpha: float) -> list[str]:
    faults = []
    names = [one.name for one in guardrails]
    faults += [f"guardrails: '{name}' stands twice" for name in sorted({n for n in names if names.count(n) > 1})]
    for one in guardrails:
        if one.name in LIMITED and not (one.limit and one.limit > 0):
            faults.append(f"guardrails: '{one.name}' needs a limit above 0")
        if one.name not in LIMITED and one.limit is not None:
            faults.append(f"guardrails: '{one.name}' takes no limit; it compares with the control")
    spent = sum(one.alpha for one in guardrails)
    if spent > ALPHA_BUDGET + TOLERANCE:
        faults.append(f"guardrails: their alphas add up to {spent:g}; expected at most {ALPHA_BUDGET}")
    if not 0 < srm_alpha <= ALPHA_BUDGET:
        faults.append(f"srm_alpha: expected a number above 0 and up to {ALPHA_BUDGET}, got {srm_alpha:g}")
    return faults
