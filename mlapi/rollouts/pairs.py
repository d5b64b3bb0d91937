"""The pairs of a shadow as the workers wrote them down, and the comparison that they make."""

from dataclasses import asdict
from typing import Any

from mlapi.registry import lines
from mlapi.rollouts.comparison import Comparison, Pair, compare
from mlapi.rollouts.document import Rollout
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.shadowing import PAIRS

OUTCOMES = "outcomes"


def comparison_of(generations: Generations, rollout: Rollout) -> Comparison:
    """Return the comparison of a rollout's versions so far; one without pairs where nothing was in the shadow."""
    folder = generations.folder(rollout.model, rollout.id)
    found, dropped = [], {}
    for writer, line in lines.read(folder / PAIRS):
        if "dropped" in line:
            dropped[writer] = int(line["dropped"])
        else:
            found.append(_pair(line))
    labels: dict[str, Any] = {}
    if rollout.metric is not None:
        for _, line in lines.read(folder / OUTCOMES):
            if line.get("p") is not None:
                labels.setdefault(line["p"], line["v"] if line.get("l") is None else line["l"])
    tolerance = 0.0 if rollout.shadow is None else rollout.shadow.tolerance
    return compare(found, sum(dropped.values()), tolerance, rollout.metric, labels)


def picture(rollout: Rollout, comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as a plain document, for the REST API and `--json`; versions are text."""
    whole = asdict(comparison)
    return {
        **whole, "rollout": rollout.id, "model": rollout.model, "control": str(rollout.control),
        "candidate": str(rollout.candidate),
        "error_examples": list(comparison.error_examples),
        "control_ms": _times(comparison.control_ms), "candidate_ms": _times(comparison.candidate_ms),
        "worst": [_bad(size, pair) for size, pair in comparison.worst],
    }  # fmt: skip


def _pair(line: dict[str, Any]) -> Pair:
    answer = line.get("d")
    return Pair(
        line.get("p"), tuple(line["c"]), None if answer is None else tuple(answer), line["lc"], line["ld"],
        line.get("e"), line.get("g"), (line.get("qc"), line.get("qd")), line.get("x"),
    )


def _times(times: tuple[float | None, float | None]) -> dict[str, float | None]:
    return {"p50": times[0], "p95": times[1]}


def _bad(size: float, pair: Pair) -> dict[str, Any]:
    return {
        "prediction_id": pair.prediction_id, "difference": size, "control": list(pair.control),
        "candidate": list(pair.candidate or ()), "inputs": None if pair.inputs is None else dict(pair.inputs),
    }  # fmt: skip
