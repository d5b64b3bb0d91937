"""What the numbers of a rollout call for: a pure function of what was counted and how long it took.

Doubt never counts as success: a step goes on only after its time, with enough requests to the candidate,
with counters that are being written, and with every guardrail quiet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mlapi.rollouts import statistics
from mlapi.rollouts.buckets import BUCKETS
from mlapi.rollouts.counters import Arm, Tally
from mlapi.rollouts.document import CANDIDATE, CONTROL, RUNNING, Guardrail, Rollout
from mlapi.rollouts.statistics import Counts, Moments
from mlapi.rollouts.success import Success

SILENCE_SECONDS = 60.0
RATES = frozenset({"errors", "invalid", "slow"})
SHIFT = "shift"

Verb = Literal["advance", "pause", "roll_back", "promote"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers: e-values by guardrail, the p-value of the division, and the interval of the shift."""

    e_values: Mapping[str, float]
    p_srm: float
    shift: statistics.Interval | None

    def plain(self) -> dict[str, float]:
        """Return them by name, as the history keeps them."""
        numbers = {f"e_{name}": value for name, value in self.e_values.items()}
        if self.shift is not None:
            found = self.shift
            numbers |= {"shift": found.difference, "shift_lower": found.lower, "shift_upper": found.upper}
        return {**numbers, "p_srm": self.p_srm}


@dataclass(frozen=True, slots=True)
class Elapsed:
    """Seconds that were watched: in this step, in the whole rollout, and since counters were last written."""

    step: float = 0.0
    total: float = 0.0
    silent: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, and the sentence that says why."""

    verb: Verb
    why: str


def weigh(rollout: Rollout, tally: Tally, workers: int) -> Evidence:
    """Return what the counts of a rollout say; `workers` is how many processes may have counted a key each."""
    divided = [(ppm / BUCKETS, arms) for (_, ppm), arms in tally.strata.items() if 0 < ppm < BUCKETS]
    e_values, shift = {}, None
    for guardrail in rollout.guardrails:
        if guardrail.name in RATES:
            bad = [Counts(_bad(arms[CONTROL], guardrail.name), _bad(arms[CANDIDATE], guardrail.name), share)
                   for share, arms in divided]  # fmt: skip
            e_values[guardrail.name] = statistics.e_value(statistics.rate_log_e(bad, guardrail.margin))
        elif guardrail.name == SHIFT:
            keyed = any(arm.keys for _, arms in divided for arm in arms.values())
            moments = [Moments(_scores(arms[CONTROL]), _scores(arms[CANDIDATE])) for _, arms in divided]
            shift = statistics.mean_shift(moments, guardrail.alpha, max(1, workers) if keyed else 1)
    units = [Counts(units_of(arms[CONTROL]), units_of(arms[CANDIDATE]), share) for share, arms in divided]
    return Evidence(e_values, statistics.p_value(statistics.srm_log_e(units)), shift)


def decide(
    rollout: Rollout, tally: Tally, evidence: Evidence, elapsed: Elapsed, success: Success | None = None,
) -> Decision | None:
    """Return what to do with an active rollout now, or None: at most one transition, the safest first.

    `success` is how the metric stands, None where the rollout has none.
    """
    for guardrail in rollout.guardrails:
        if guardrail.name in RATES and evidence.e_values[guardrail.name] >= 1 / guardrail.alpha:
            return Decision("roll_back", _worse(guardrail, evidence.e_values[guardrail.name]))
    if rollout.state != RUNNING:
        return None
    if rollout.shadow is not None:
        return None if elapsed.total <= rollout.max_duration_s else Decision("pause", _too_long(elapsed))
    doubt = _doubt(rollout, evidence, elapsed, success)
    if doubt is not None:
        return Decision("pause", doubt)
    if rollout.metric is not None and success is not None and success.verdict == "harm":
        return Decision("roll_back", f"{rollout.metric.name} is worse with the candidate: {_interval(success)}")
    return _undecided(rollout, elapsed, success) or _next_step(rollout, tally, elapsed, success)


def waiting_for(rollout: Rollout, tally: Tally, elapsed: Elapsed, *, won: bool = False) -> str:
    """Return what the present step still waits for; empty for nothing. `won`: the metric has said win."""
    if not rollout.plan:
        return "an operator: a shadow goes nowhere by itself"
    step = rollout.plan[rollout.step]
    asked = sum(arms[CANDIDATE].requests for (number, _), arms in tally.strata.items() if number == rollout.step)
    seconds, requests = step.min_duration_s - elapsed.step, max(1, step.min_samples) - asked
    parts = [f"{seconds:.0f} s"] * (seconds > 0) + [f"{requests} requests to the candidate"] * (requests > 0)
    if rollout.metric is not None and rollout.step == len(rollout.plan) - 1 and not won:
        parts.append(f"a decision on {rollout.metric.name}")
    return " and ".join(parts)


def _next_step(rollout: Rollout, tally: Tally, elapsed: Elapsed, success: Success | None) -> Decision | None:
    won = success is not None and success.verdict == "win"
    if waiting_for(rollout, tally, elapsed, won=won):
        return None
    is_last = rollout.metric is not None and success is not None and rollout.step == len(rollout.plan) - 1
    if not is_last or rollout.metric is None or success is None:
        return Decision("advance", "the gates of the step are passed")
    return Decision("advance", f"{rollout.metric.name}: {rollout.metric.goal} is shown: {_interval(success)}")


def _undecided(rollout: Rollout, elapsed: Elapsed, success: Success | None) -> Decision | None:
    """Return the end of a rollout whose metric had all its units, or all its time, without a verdict."""
    if rollout.metric is None or success is None or success.verdict:
        return None
    verb: Verb = rollout.on_inconclusive  # type: ignore[assignment]  # one of three, as its schema says
    if success.spent:
        return Decision(verb, f"{rollout.metric.name}: {success.units:.0f} units and no verdict: {_interval(success)}")
    return Decision(verb, _too_long(elapsed)) if elapsed.total > rollout.max_duration_s else None


def _doubt(rollout: Rollout, evidence: Evidence, elapsed: Elapsed, success: Success | None) -> str | None:
    limit = next((one.limit for one in rollout.guardrails if one.name == SHIFT), None)
    shift = evidence.shift
    if shift is not None and limit is not None and (shift.lower > limit or shift.upper < -limit):
        return f"the mean prediction moved by {shift.difference:.4g}, which is more than {limit:g}"
    if evidence.p_srm <= rollout.srm_alpha:
        return (
            f"the arms have not the sizes they were meant to have (p = {evidence.p_srm:.2g}); "
            "find out who is missing before you trust any number"
        )
    if success is not None and success.p_coverage <= rollout.srm_alpha:
        return (
            f"the arms did not get labels equally often (p = {success.p_coverage:.2g}); "
            "find out whose are missing before you trust the metric"
        )
    if elapsed.silent > SILENCE_SECONDS:
        return f"no worker has written its counters for {elapsed.silent:.0f} seconds"
    return _too_long(elapsed) if elapsed.total > rollout.max_duration_s and rollout.metric is None else None


def _too_long(elapsed: Elapsed) -> str:
    return f"it has run for {elapsed.total:.0f} seconds without an end"


def _interval(success: Success) -> str:
    if success.difference is None or success.lower is None or success.upper is None:
        return "nothing is known yet"
    return f"candidate minus control {success.difference:.4g}, within {success.lower:.4g} and {success.upper:.4g}"


def _worse(guardrail: Guardrail, e_value: float) -> str:
    slow = f"answers slower than {guardrail.limit or 0:g} ms"
    what = {"errors": "errors", "invalid": "invalid outputs", "slow": slow}[guardrail.name]
    return (
        f"{what} are more than {guardrail.margin:.0%} more likely with the candidate "
        f"(e = {e_value:.3g}, limit {1 / guardrail.alpha:.3g})"
    )


def _bad(arm: Arm, kind: str) -> int:
    return arm.bad[kind] + len(arm.bad_keys.get(kind, ()))


def units_of(arm: Arm) -> int:
    """Return the units of an arm in one stratum: keys, and requests without one."""
    return arm.alone + len(arm.keys)


def _scores(arm: Arm) -> tuple[float, float, float]:
    return arm.scores[0], arm.scores[1], arm.scores[2]
