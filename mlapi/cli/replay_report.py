"""The report of a replay, printed for a person: each number beside its limit, reasons, worst rows."""

from collections.abc import Sequence

from mlapi.cli.output import print_table, stdout
from mlapi.rollouts.gate import LEAST_TIMED, Limits
from mlapi.rollouts.moments import moment
from mlapi.rollouts.replay import Quantiles, Replayed, WorstRow

SHOWN = 5
MOST_INPUTS = 6


def print_report(found: Replayed, limits: Limits) -> None:
    """Print the report of a replay, but for its verdict."""
    stdout.print(_head(found))
    print_table(["", "found", "limit"], [*_counts(found, limits), *_speeds(found, limits)])
    for reason, count in list(found.reasons.items())[:SHOWN]:
        stdout.print(f"no answer to {count}: {reason}")
    if len(found.reasons) > SHOWN:
        stdout.print(f"and {len(found.reasons) - SHOWN} more reasons, which --json has")
    if found.worst:
        print_table(
            ["asked at", "row", "version", "answered", "answers now", "apart", "inputs"],
            [_worst(row) for row in found.worst[:SHOWN]],
        )  # fmt: skip


def print_passed(found: Replayed) -> None:
    """Print that a replay is within its limits; the other verdict is an error, and printed as one."""
    stdout.print(f"version {found.version} of model '{found.model}' passed the replay", style="green")


def _head(found: Replayed) -> str:
    by = ", ".join(f"version {version} ({count:,})" for version, count in found.answered_by.items())
    beside = "what was answered then" if found.against is None else f"version {found.against}"
    told = (
        f"{found.model}: version {found.version} was asked {found.requests:,} logged requests ({found.rows:,} rows) of "
        f"{moment(found.first_ms / 1000)} to {moment(found.last_ms / 1000)}, answered by {by}; compared with {beside}"
    )
    lacks = ((found.comparison.dropped, "requests were never logged"), (found.unreadable, "lines are damaged"))
    return "; ".join([told, *(f"{count:,} {what}" for count, what in lacks if count)])


def _counts(found: Replayed, limits: Limits) -> list[list[object]]:
    compared, same = found.comparison, found.comparison.disagreement
    apart = "-" if same.share is None else f"{same.share:.2%} ({same.lower:.2%} to {same.upper:.2%}) of {same.of:,}"
    most = "any" if limits.max_disagreement is None else f"{limits.max_disagreement:.2%}"
    mean, absolute = _number(compared.mean_difference), _number(compared.mean_absolute_difference)
    return [
        ["no answer", f"{found.errors:,}", ""],
        ["not finite", f"{found.not_finite:,}", ""],
        ["failed", "-" if found.failed.share is None else f"{found.failed.share:.2%}", f"{limits.max_errors:.2%}"],
        ["disagree", apart, most],
        ["difference", f"mean {mean}, absolute {absolute}", ""],
    ]  # fmt: skip


def _speeds(found: Replayed, limits: Limits) -> list[list[object]]:
    times = found.times
    where = "" if times.here or times.candidate_ms[0] is None else ", the control's of then"
    most = "any" if limits.max_slower is None else f"p50 x {limits.max_slower:g}, from {LEAST_TIMED} answers on"
    ratio = ", ".join(f"{name} x {_number(value)}" for name, value in zip(("p50", "p99"), times.ratio, strict=True))
    return [
        ["ms p50, p99", f"{_pair(times.candidate_ms)}, control {_pair(times.control_ms)}{where}", ""],
        ["slower", ratio, most],
    ]


def _pair(values: Quantiles) -> str:
    return " and ".join(map(_number, values))


def _worst(row: WorstRow) -> list[object]:
    inputs = [f"{name}={value}" for name, value in list(row.inputs.items())[:MOST_INPUTS]]
    more = len(row.inputs) - MOST_INPUTS
    return [
        moment(row.at_ms / 1000), f"{row.row} of {row.rows}", row.answered_by, _values(row.control),
        _values(row.candidate), _number(row.difference), ", ".join(inputs) + (f" and {more} more" if more > 0 else ""),
    ]


def _values(values: Sequence[object]) -> str:
    return " ".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in values)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
