"""How a rollout goes from one state to the next: pure functions of a document and what happened.

    running:i   --advance-->    running:i+1, after the last step promoted (or paused)
    running     --roll_back-->  rolled_back      a guardrail or a breaker
    running     --pause-->      paused           an operator, or a doubt
    paused      --resume-->     running
    either      --promote-->    promoted         an operator
    either      --abort-->      aborted          an operator

Promoted, rolled back and aborted are the end: nothing leads out of them. All that can still change is
whether they hold, that is whether requests without a version keep getting what was decided.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mlapi.errors import InvalidRequest, RolloutConflict
from mlapi.rollouts import document
from mlapi.rollouts.buckets import BUCKETS, new_id, new_salt
from mlapi.rollouts.document import Change, Rollout
from mlapi.rollouts.plan import Plan, pair_faults, plan_faults

LONGEST_WHY = 500
MOST_HISTORY = 400
"""Changes that a document carries along, so that it stays small; the files of earlier generations have them all."""



@dataclass(frozen=True, slots=True)
class Reason:
    """Who changes a rollout, why, when (RFC 3339 in UTC), and on which numbers."""

    by: str
    why: str
    at: str
    evidence: Mapping[str, float] | None = None


def start(model: str, serial: int, versions: tuple[int, int], plan: Plan, reason: Reason) -> Rollout:
    """Return the first generation of a rollout of control and candidate, at the first step of `plan`.

    With a shadow in `plan` nothing is divided: the control answers everybody, the candidate is only asked copies.

    Raises InvalidRequest with everything that is wrong: a candidate that is the control, steps that
    shrink or are none, key sources of no known kind, guardrails that risk more than 0.05 together.
    """
    control, candidate = versions
    faults = [*pair_faults(control, candidate), *plan_faults(plan)]
    if faults:
        raise InvalidRequest(faults)
    steps = plan.steps if plan.shadow is None else ()
    share = steps[0].ppm if steps else 0
    first = Rollout(
        new_id(), model, serial, control, candidate, new_salt(), document.RUNNING, 0, share, steps, plan.keys,
        plan.guardrails, plan.srm_alpha, plan.on_pause, plan.on_finish, plan.max_duration_s, 1, True, (),  # noqa: FBT003 (it holds)
        plan.metric, plan.on_inconclusive, plan.shadow,
    )
    return replace(first, history=(_change(first, "", reason),))


def hold(model: str, serial: int, version: int, reason: Reason) -> Rollout:
    """Return a document that divides nothing: requests without a version stay with `version`."""
    still = Rollout(
        new_id(), model, serial, version, version, new_salt(), document.HELD, 0, 0, (), (), (), 0.001, "hold", "pause",
        0.0, 1, True, (),  # noqa: FBT003 (it holds)
    )
    return replace(still, history=(_change(still, "", reason),))


def advance(rollout: Rollout, reason: Reason) -> Rollout:
    """Return the next step; after the last one the end that `on_finish` names."""
    _require(rollout, "advance", document.RUNNING)
    following = rollout.step + 1
    if following < len(rollout.plan):
        return _to(rollout, reason, step=following, ppm=rollout.plan[following].ppm)
    if rollout.on_finish == "pause":
        return pause(rollout, reason)
    return _to(rollout, reason, state=document.PROMOTED, ppm=BUCKETS)


def pause(rollout: Rollout, reason: Reason) -> Rollout:
    """Return the rollout paused: its weight stays (`on_pause` hold) or goes to the control."""
    _require(rollout, "pause", document.RUNNING)
    return _to(rollout, reason, state=document.PAUSED, ppm=rollout.ppm if rollout.on_pause == "hold" else 0)


def resume(rollout: Rollout, reason: Reason) -> Rollout:
    """Return the rollout running again, at the step where it was paused."""
    _require(rollout, "resume", document.PAUSED)
    return _to(rollout, reason, state=document.RUNNING, ppm=rollout.plan[rollout.step].ppm if rollout.plan else 0)


def promote(rollout: Rollout, reason: Reason) -> Rollout:
    """Return the end with everything at the candidate."""
    _require(rollout, "promote", *document.ACTIVE)
    return _to(rollout, reason, state=document.PROMOTED, ppm=BUCKETS)


def abort(rollout: Rollout, reason: Reason) -> Rollout:
    """Return the end with nothing at the candidate, as an operator decided."""
    _require(rollout, "abort", *document.ACTIVE)
    return _to(rollout, reason, state=document.ABORTED, ppm=0)


def roll_back(rollout: Rollout, reason: Reason) -> Rollout:
    """Return the end with nothing at the candidate, as a guardrail or a breaker decided."""
    _require(rollout, "roll back", *document.ACTIVE)
    return _to(rollout, reason, state=document.ROLLED_BACK, ppm=0)


def release(rollout: Rollout, reason: Reason) -> Rollout:
    """Return an ended rollout that holds no longer: requests without a version get the newest again."""
    if rollout.is_active or not rollout.holds:
        state = f"{rollout.state}; end it first" if rollout.is_active else "released already"
        raise RolloutConflict(f"rollout '{rollout.id}' of model '{rollout.model}' cannot be released: it is {state}")
    return _to(rollout, reason, holds=False)


def _require(rollout: Rollout, verb: str, *states: str) -> None:
    if rollout.state not in states:
        wanted = " or ".join(sorted(states))
        msg = f"cannot {verb} rollout '{rollout.id}' of model '{rollout.model}': it is {rollout.state}, not {wanted}"
        raise RolloutConflict(msg)


def _to(rollout: Rollout, reason: Reason, **changes: object) -> Rollout:
    following = replace(rollout, generation=rollout.generation + 1, **changes)  # type: ignore[arg-type]  # checked by each caller
    history = (*rollout.history[-MOST_HISTORY:], _change(following, rollout.place, reason))
    return replace(following, history=history)


def _change(rollout: Rollout, before: str, reason: Reason) -> Change:
    after = rollout.place if rollout.holds else "released"
    why = reason.why[:LONGEST_WHY]
    return Change(rollout.generation, before, after, reason.by, why, reason.at, dict(reason.evidence or {}))
