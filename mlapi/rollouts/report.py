"""The report of a rollout, for the people who decide: one page of HTML that needs nothing else."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from mlapi.rollouts import document
from mlapi.rollouts.buckets import BUCKETS
from mlapi.rollouts.charts import Line, chart
from mlapi.rollouts.document import Rollout
from mlapi.rollouts.progress import Progress
from mlapi.rollouts.trace import Point

TEMPLATE = "report.html.j2"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report: a heading, what it means, a table, and a chart where there is something to draw."""

    heading: str
    text: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[object]] = ()
    drawing: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All parts of a report, in order; `sentence` is the outcome."""

    title: str
    sentence: str
    sections: tuple[Section, ...]


def of(stands: Progress) -> Report:
    """Return the report of a rollout as it stands."""
    rollout = stands.rollout
    title = f"{rollout.model}: version {rollout.control} to version {rollout.candidate}"
    sections = (
        _plan(stands), _arms(stands), _guardrails(stands), *([_metric(stands)] if rollout.metric else []),
        _sizes(stands), _history(rollout), LIMITS,
    )  # fmt: skip
    return Report(title, sentence(stands), sections)


def sentence(stands: Progress) -> str:
    """Return how a rollout stands, in one sentence."""
    rollout, last = stands.rollout, stands.rollout.history[-1]
    share = f"{rollout.ppm / BUCKETS:.4g}".rstrip(".")
    told = {
        document.PROMOTED: f"Version {rollout.candidate} was promoted: {last.why}.",
        document.ROLLED_BACK: f"Version {rollout.candidate} was rolled back: {last.why}.",
        document.ABORTED: f"The rollout was aborted by {last.by}: {last.why}.",
        document.PAUSED: f"The rollout is paused: {last.why}.",
        document.HELD: f"Version {rollout.control} answers everybody.",
    }
    waits = f"; it waits for {stands.waiting_for}" if stands.waiting_for else ""
    running = f"Version {rollout.candidate} gets {share} of the requests{waits}."
    return told.get(rollout.state, running)


def html(report: Report) -> str:
    """Return a report as a page: no script, nothing to load, every text escaped."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 (a worker that shows none needs none)

    source = (resources.files("mlapi.rollouts") / TEMPLATE).read_text(encoding="utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return page.from_string(source).render(report=report)


def text(report: Report) -> str:
    """Return a report as Markdown, without its charts."""
    lines = [f"# {report.title}", "", report.sentence]
    for section in report.sections:
        lines += ["", f"## {section.heading}", *(["", section.text] if section.text else [])]
        if section.rows:
            lines += ["", _row(section.columns), _row(["--"] * len(section.columns)), *map(_row, section.rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"


def _plan(stands: Progress) -> Section:
    rollout = stands.rollout
    rows = [
        [("▶ " if at == rollout.step and rollout.is_active else "") + str(at), f"{step.ppm / BUCKETS:.2%}",
         f"{step.min_duration_s:g} s", step.min_samples]
        for at, step in enumerate(rollout.plan)
    ]  # fmt: skip
    said = f"Who asks is told by {', '.join(rollout.keys)}; without it each request is drawn by itself."
    return Section("The plan", said, ("step", "share", "at least", "requests to the candidate"), rows)


def _arms(stands: Progress) -> Section:
    versions = {document.CONTROL: stands.rollout.control, document.CANDIDATE: stands.rollout.candidate}
    rows = [
        [name, versions[name], arm.requests, arm.keys, arm.errors, arm.invalid, arm.slow, arm.fell_back,
         _number(arm.mean_score), _number(arm.p95_ms)]
        for name, arm in stands.arms.items()
    ]  # fmt: skip
    columns = ("", "version", "requests", "keys", "errors", "invalid", "slow", "answered by the control", "mean",
               "p95 ms")  # fmt: skip
    return Section("The two groups", "Failures count for whom they were assigned to, whoever answered.", columns, rows)


def _guardrails(stands: Progress) -> Section:
    rates = [one for one in stands.rollout.guardrails if one.name in stands.evidence.e_values]
    rows: list[list[object]] = [
        [one.name, f"{one.margin:.0%} worse", _number(stands.evidence.e_values[one.name]), _number(1 / one.alpha)]
        for one in rates
    ]  # fmt: skip
    shift = stands.evidence.shift
    if shift is not None:
        rows.append(["shift of the mean", "", f"{shift.difference:.4g} ({shift.lower:.4g} to {shift.upper:.4g})", ""])
    lines = [Line(one.name, [_positive(look.evidence.get(f"e_{one.name}")) for look in stands.trace]) for one in rates]
    limit = 1 / rates[0].alpha if rates else None
    said = (
        "An e-value is a fortune that bets on the candidate being worse; it starts at 1 and rolls back at its limit. "
        "It may be looked at at any time."
    )
    drawing = chart(lines, "E-values at each look", limit, logarithmic=True)
    return Section("What must not get worse", said, ("guardrail", "tolerated", "e-value", "limit"), rows, drawing)


def _metric(stands: Progress) -> Section:
    metric, effect = stands.rollout.metric, stands.effect
    if metric is None:
        return Section("The metric")
    said = (
        f"{metric.name} ({metric.kind}, better is {metric.direction}, {metric.goal}), {metric.mode.replace('_', ' ')} "
        f"at alpha {metric.alpha:g}: candidate minus control, with an interval that holds at all times."
    )
    names = ("difference", "lower", "upper", "units", "settled_control", "settled_candidate", "mean_control",
             "mean_candidate")  # fmt: skip
    rows = [[name.replace("_", ", "), _number(effect[name])] for name in names if name in effect]
    line = Line("candidate - control", *(_over(stands.trace, name) for name in ("difference", "lower", "upper")))
    return Section(f"Is it better? {metric.name}", said, ("", ""), rows, chart([line], f"Effect on {metric.name}", 0.0))


def _sizes(stands: Progress) -> Section:
    said = (
        f"p = {stands.evidence.p_srm:.3g}; at {stands.rollout.srm_alpha:g} the rollout pauses, since somebody is "
        "missing from one of the groups and no comparison can be trusted."
    )
    return Section("Are the groups as large as they should be?", said)


def _history(rollout: Rollout) -> Section:
    rows = [
        [change.at, change.before or "-", change.after, change.by, change.why, _evidence(change.evidence)]
        for change in rollout.history
    ]  # fmt: skip
    return Section("What happened", "", ("at", "from", "to", "by", "why", "on which numbers"), rows)


LIMITS = Section(
    "What these numbers cannot tell",
    "Whether a difference lasts longer than the window in which outcomes count; what happens to people who came only "
    "after it; and why. Not being worse is no proof of being better: only a metric that was shown is.",
)


def _over(trace: tuple[Point, ...], name: str) -> list[float | None]:
    return [point.effect.get(name) for point in trace]


def _positive(value: float | None) -> float | None:
    return None if value is None else max(value, 1e-6)


def _number(value: Any) -> str:  # noqa: ANN401 (a number or None)
    return "-" if value is None else f"{value:.5g}"


def _evidence(numbers: Mapping[str, float]) -> str:
    return json.dumps({name: float(f"{value:.3g}") for name, value in numbers.items()}).strip("{}").replace('"', "")
