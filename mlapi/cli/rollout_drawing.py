"""A rollout drawn with letters: where its plan is, what each arm came to, how near each guardrail is to its limit.

Pure: the same numbers give the same lines, on a terminal and in a pipe.
"""

import math
from collections.abc import Sequence

from mlapi.rollouts.buckets import BUCKETS
from mlapi.rollouts.decision import SHIFT
from mlapi.rollouts.document import PROMOTED, Guardrail, Metric, Rollout
from mlapi.rollouts.progress import ArmCounts, Progress
from mlapi.rollouts.trace import Point

BAR = 20
COLUMNS, ROWS = 48, 7
LABEL = 11


def lines(stands: Progress) -> list[str]:
    """Return the drawing, a line an item."""
    rollout = stands.rollout
    last = rollout.history[-1]
    drawn = [
        f"{rollout.model}: version {rollout.control} to {rollout.candidate}, rollout {rollout.id}",
        _row("state", rollout.place + ("" if rollout.holds else ", released")),
        _row("steps", _steps(rollout)),
        _row("share", f"{_bar(rollout.ppm / BUCKETS)} {rollout.ppm / BUCKETS:.2%}"),
        _row("last change", f"{last.at} by {last.by}: {last.why}"),
    ]
    if stands.waiting_for:
        drawn.append(_row("waits for", stands.waiting_for))
    drawn += [_row("followed by", _following(stands)), "", *_arms(stands), "", *_guardrails(stands)]
    if rollout.metric is not None:
        drawn += ["", *_metric(rollout.metric, stands.trace)]
    return drawn


def effects(points: Sequence[Point], columns: int = COLUMNS, rows: int = ROWS) -> list[str]:
    """Return a chart of the effect with its interval over time, the latest at the right; empty without points."""
    known = [point.effect for point in points if "upper" in point.effect]
    if not known:
        return []
    width = min(columns, len(known))
    shown = [known[round(at * (len(known) - 1) / max(1, width - 1))] for at in range(width)]
    top = max(0.0, *(one["upper"] for one in shown))
    bottom = min(0.0, *(one["lower"] for one in shown))
    height = (top - bottom) or 1.0

    def line_of(value: float) -> int:
        return round((top - value) / height * (rows - 1))

    picture = [["┈" if row == line_of(0.0) else " "] * len(shown) for row in range(rows)]
    for column, one in enumerate(shown):
        for row in range(line_of(one["upper"]), line_of(one["lower"]) + 1):
            picture[row][column] = "│"
        picture[line_of(one["difference"])][column] = "●"
    marks = {line_of(value): f"{value:.4g}" for value in (top, bottom, 0.0)}
    return [f"{marks.get(row, ''):>{LABEL}} {''.join(picture[row])}".rstrip() for row in range(rows)]


def _row(label: str, text: str) -> str:
    return f"{label:<{LABEL}} {text}".rstrip()


def _steps(rollout: Rollout) -> str:
    names = [f"{step.ppm / BUCKETS * 100:g}%" for step in rollout.plan]
    if rollout.is_active and names:
        names[rollout.step] = f"[{names[rollout.step]}]"
    end = "[promoted]" if rollout.state == PROMOTED else "promoted"
    return " > ".join([*names, end]) if names else "none"


def _following(stands: Progress) -> str:
    all_of = "all" if stands.converged else "not all"
    return f"{len(stands.workers)} workers, {all_of} at generation {stands.rollout.generation}"


def _bar(part: float) -> str:
    full = round(BAR * min(1.0, max(0.0, part)))
    return "█" * full + "░" * (BAR - full)


def _arms(stands: Progress) -> list[str]:
    heads = ("version", "requests", "keys", "errors", "invalid", "slow", "fell back", "mean", "p95 ms")
    versions = {"control": stands.rollout.control, "candidate": stands.rollout.candidate}
    rows = [("", heads), *((name, _numbers(versions[name], arm)) for name, arm in stands.arms.items())]
    widths = [max(len(cells[at]) for _, cells in rows) for at in range(len(heads))]
    return [" ".join([f"{name:<9}", *(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))])
            for name, cells in rows]  # fmt: skip


def _numbers(version: int, arm: ArmCounts) -> tuple[str, ...]:
    counts = (arm.requests, arm.keys, arm.errors, arm.invalid, arm.slow, arm.fell_back)
    mean = "-" if arm.mean_score is None else f"{arm.mean_score:.6g}"
    return (str(version), *(str(count) for count in counts), mean, "-" if arm.p95_ms is None else f"{arm.p95_ms:.4g}")


def _guardrails(stands: Progress) -> list[str]:
    drawn = [_e_value(one, stands.evidence.e_values[one.name])
             for one in stands.rollout.guardrails if one.name in stands.evidence.e_values]  # fmt: skip
    shift = stands.evidence.shift
    if shift is not None:
        limit = next((one.limit for one in stands.rollout.guardrails if one.name == SHIFT), None) or 0.0
        drawn.append(
            _row(SHIFT, f"{shift.difference:.4g} [{shift.lower:.4g}, {shift.upper:.4g}], pauses beyond {limit:g}"),
        )
    odd = " (the sizes are wrong)" if stands.evidence.p_srm <= stands.rollout.srm_alpha else ""
    return [*drawn, _row("sizes", f"p {stands.evidence.p_srm:.3g}, pauses at {stands.rollout.srm_alpha:g}{odd}")]


def _e_value(guardrail: Guardrail, e_value: float) -> str:
    """Draw on a logarithmic scale: empty at 1 and below (no evidence), full at the limit."""
    limit = 1 / guardrail.alpha
    part = math.log(max(1.0, e_value)) / math.log(limit)
    return _row(guardrail.name, f"{_bar(part)} e {e_value:.3g}, rolls back at {limit:g}")


def _metric(metric: Metric, points: Sequence[Point]) -> list[str]:
    effect = next((point.effect for point in reversed(points) if "upper" in point.effect), None)
    told = f"{metric.name}, {'higher' if metric.direction == 'up' else 'lower'} is better"
    if effect is None:
        return [_row("metric", f"{told}: no effect yet")]
    interval = f"{effect['difference']:.4g} [{effect['lower']:.4g}, {effect['upper']:.4g}]"
    return [_row("metric", f"{told}: {interval}, {_units(metric, effect.get('units', 0.0))}"), *effects(points)]


def _units(metric: Metric, units: float) -> str:
    if metric.max_samples is None:
        return f"{units:.0f} units"
    return f"{units:.0f} units, {max(0.0, metric.max_samples - units):.0f} more at most"
