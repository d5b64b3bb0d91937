"""A replay as a plain document, for `--json`; versions are text, moments RFC 3339 in UTC."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mlapi.rollouts.gate import Limits
from mlapi.rollouts.moments import moment
from mlapi.rollouts.replay import Quantiles, Replayed, WorstRow

SERVED = "served"
"""What a version is compared with where that is what was answered then."""


def picture(found: Replayed, limits: Limits, faults: Sequence[str]) -> dict[str, Any]:
    """Return the report of a replay, the limits it was held against, and a sentence for each that it is beyond."""
    compared = found.comparison
    return {
        "model": found.model, "version": str(found.version), "against": str(found.against or SERVED),
        "passed": not faults, "faults": list(faults), "limits": asdict(limits),
        "requests": found.requests, "rows": found.rows, "dropped": compared.dropped, "unreadable": found.unreadable,
        "first": moment(found.first_ms / 1000), "last": moment(found.last_ms / 1000),
        "answered_by": {str(version): count for version, count in found.answered_by.items()},
        "failed": asdict(found.failed), "errors": found.errors, "not_finite": found.not_finite,
        "reasons": [{"reason": reason, "requests": count} for reason, count in found.reasons.items()],
        "disagreement": asdict(compared.disagreement), "invalid": compared.invalid,
        "mean_difference": compared.mean_difference, "mean_absolute_difference": compared.mean_absolute_difference,
        "quantiles": dict(compared.quantiles),
        "control_ms": _times(found.times.control_ms), "candidate_ms": _times(found.times.candidate_ms),
        "slower": _times(found.times.ratio), "timed_here": found.times.here,
        "worst": [_worst(row) for row in found.worst],
    }  # fmt: skip


def _times(values: Quantiles) -> dict[str, float | None]:
    return {"p50": values[0], "p99": values[1]}


def _worst(row: WorstRow) -> dict[str, Any]:
    return {
        "at": moment(row.at_ms / 1000), "row": row.row, "rows": row.rows, "answered_by": str(row.answered_by),
        "control": list(row.control), "candidate": list(row.candidate), "difference": row.difference,
        "inputs": dict(row.inputs),
    }  # fmt: skip
