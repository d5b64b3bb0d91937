"""Rollouts as plain documents, for the REST API and `--json`; versions are text, weights run from 0 to 1."""

from dataclasses import asdict
from typing import Any

from mlapi.rollouts.buckets import BUCKETS
from mlapi.rollouts.document import Rollout
from mlapi.rollouts.explanation import Explanation
from mlapi.rollouts.progress import Progress


def summary(rollout: Rollout) -> dict[str, Any]:
    """Return what a list says of a rollout."""
    return {
        "id": rollout.id, "model": rollout.model, "control": str(rollout.control), "candidate": str(rollout.candidate),
        "state": rollout.state, "step": rollout.step, "weight": rollout.ppm / BUCKETS, "generation": rollout.generation,
        "holds": rollout.holds,
    }  # fmt: skip


def of_progress(progress: Progress, *, stale: bool = False) -> dict[str, Any]:
    """Return all that may be told of a rollout: its salt and its secret are not.

    `stale` says that who tells has not heard of the registry for so long that only the control answers there.
    """
    rollout = progress.rollout
    return {
        **summary(rollout),
        "plan": [{"weight": step.ppm / BUCKETS, "min_duration_s": step.min_duration_s, "min_samples": step.min_samples}
                 for step in rollout.plan],
        "keys": list(rollout.keys), "guardrails": [asdict(one) for one in rollout.guardrails],
        "srm_alpha": rollout.srm_alpha, "on_pause": rollout.on_pause, "on_finish": rollout.on_finish,
        "max_duration_s": rollout.max_duration_s, "converged": progress.converged, "stale": stale,
        "workers": [asdict(worker) for worker in progress.workers],
        "arms": {name: asdict(counts) for name, counts in progress.arms.items()},
        "evidence": progress.evidence.plain(), "waiting_for": progress.waiting_for,
        "metric": rollout.metric and asdict(rollout.metric), "on_inconclusive": rollout.on_inconclusive,
        "effect": dict(progress.effect),
        "history": [asdict(change) for change in rollout.history], **_shadow(rollout),
    }  # fmt: skip


def _shadow(rollout: Rollout) -> dict[str, Any]:
    """Return what a shadow was started with; nothing of a rollout that is none."""
    if rollout.shadow is None:
        return {}
    given = asdict(rollout.shadow)
    return {"shadow": {"rate": given.pop("ppm") / BUCKETS, **given}}


def of_explanation(model: str, version: int, found: Explanation) -> dict[str, Any]:
    """Return an explanation without what it does not know."""
    document = {**asdict(found), "model": model, "version": str(version)}
    return {name: value for name, value in document.items() if value is not None}
