"""`mlapi shadow`: ask a version copies of the requests, so that it answers nobody, and compare."""

from pathlib import Path

import click

from mlapi.cli.metric_option import metric_of
from mlapi.cli.output import json_option, print_json, print_table, registry_option, say, stdout
from mlapi.cli.rollout_desk import chosen, desk_of, id_option, who, why_option
from mlapi.errors import RolloutConflict
from mlapi.rollouts import pairs, picture, progress
from mlapi.rollouts.buckets import BUCKETS
from mlapi.rollouts.comparison import Comparison, Share
from mlapi.rollouts.document import Rollout, Shadow
from mlapi.rollouts.plan import Plan


@click.group("shadow")
def command() -> None:
    """Ask a new version copies of the requests, after the answer: it answers nobody.

    \b
    Example, before a rollout:
      mlapi shadow start house-prices 3
      mlapi shadow report house-prices
      mlapi shadow stop house-prices
      mlapi rollout start house-prices 3

    Exit codes: 0 done; 3 no such model, version or rollout; 4 refused; 5 a version cannot answer; 6 another
    rollout is in the way, or the last one is no shadow.
    """


@command.command("start")
@click.argument("name")
@click.argument("candidate", type=click.IntRange(1))
@click.option("--control", type=click.IntRange(1),
              help="The version to compare with. Default: the one that answers now, or the one before.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True,
              help="The share of the requests that is copied.")  # fmt: skip
@click.option("--core-share", type=click.FloatRange(0, 1, min_open=True), default=0.1, show_default=True,
              help="How much of a processor each worker may spend on it.")  # fmt: skip
@click.option("--tolerance", type=click.FloatRange(0), default=0.0, show_default=True,
              help="Numbers that differ by more disagree.")  # fmt: skip
@click.option("--segment", "segments", multiple=True, metavar="COLUMN", help="Split the report by this input.")
@click.option("--metric", metavar="NAME,KIND,mde=D[,...]",
              help="Compare losses on labels that are told later: see 'mlapi rollout start --help'.")  # fmt: skip
@click.option("--key", "keys", multiple=True, metavar="SOURCE",
              help="Who asks: header:NAME or field:PATH. Default: header:X-User-Id")  # fmt: skip
@why_option
@registry_option
@json_option
def start(
    name: str, candidate: int, control: int | None, rate: float, core_share: float, tolerance: float,
    segments: tuple[str, ...], metric: str | None, keys: tuple[str, ...], why: str, registry: Path, as_json: bool,  # noqa: FBT001 (click passes flags by name)
) -> None:
    """Ask CANDIDATE of NAME copies of the requests that name no version; the control answers them all.

    \b
    Examples:
      mlapi shadow start house-prices 3
      mlapi shadow start house-prices 3 --rate 0.2 --tolerance 500 --segment city
      mlapi shadow start churn 4 --metric loss,log_loss,mde=0.01,window=30d
    """
    shadow = Shadow(round(rate * BUCKETS), core_share, tolerance, segments)
    plan = Plan(shadow=shadow, keys=keys or Plan().keys, metric=None if metric is None else metric_of(metric))
    desk = desk_of(registry)
    started = desk.start(name, candidate, control, plan, (who(), why or "started in the shadow"))
    text = f"{name}: {started.id} asks version {started.candidate} {rate:.2%} of what version {started.control} answers"
    document = picture.of_progress(progress.of(desk.generations, started)) if as_json else None
    say(text, document, as_json=as_json)


@command.command("report")
@click.argument("name")
@id_option
@registry_option
@json_option
def report(name: str, rollout_id: str | None, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Show how often the two versions of NAME disagree, by how much, where, and how fast they are.

    \b
    Example:
      mlapi shadow report house-prices
    """
    desk = desk_of(registry)
    rollout = chosen(desk, name, rollout_id)
    comparison = pairs.comparison_of(desk.generations, rollout)
    if as_json:
        print_json(pairs.picture(rollout, comparison))
    else:
        _told(rollout, comparison)


@command.command("stop")
@click.argument("name")
@id_option
@why_option
@registry_option
@json_option
def stop(name: str, rollout_id: str | None, why: str, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """End the shadow of NAME; its report stays.

    \b
    Example:
      mlapi shadow stop house-prices
    """
    desk = desk_of(registry)
    rollout = chosen(desk, name, rollout_id)
    if rollout.shadow is None:
        msg = f"rollout '{rollout.id}' of model '{name}' is no shadow; end it with 'mlapi rollout abort {name}'"
        raise RolloutConflict(msg)
    ended = desk.change(rollout, "abort", (who(), why or "stopped"))
    document = picture.of_progress(progress.of(desk.generations, ended)) if as_json else None
    say(f"{name}: shadow {ended.id} is {ended.place}", document, as_json=as_json)


def _told(rollout: Rollout, found: Comparison) -> None:
    stdout.print(
        f"{rollout.model}: version {rollout.candidate} beside {rollout.control}, {rollout.id}, {rollout.place}: "
        f"{found.pairs} pairs, {found.dropped} dropped, {found.errors} errors, {found.invalid} invalid",
    )
    rows: list[list[object]] = [["all", *_row(found.disagreement)]]
    print_table(["segment", "pairs", "disagree", "from", "to"],
                [*rows, *([name, *_row(share)] for name, share in found.segments.items())])  # fmt: skip
    mean, absolute = _number(found.mean_difference), _number(found.mean_absolute_difference)
    stdout.print(f"difference: mean {mean}, absolute {absolute}")
    times: list[list[object]] = [[name, *map(_number, values)] for name, values in
             (("control", found.control_ms), ("candidate", found.candidate_ms))]  # fmt: skip
    print_table(["ms", "p50", "p95"], times)
    if found.losses is not None:
        lost = found.losses
        stdout.print(f"{lost.metric}: loss changes by {_number(lost.mean)} ({_number(lost.lower)} to "
                     f"{_number(lost.upper)} at any time), {lost.number} labels")  # fmt: skip
    for example in found.error_examples:
        stdout.print(f"error: {example}")


def _row(share: Share) -> list[object]:
    rate = "-" if share.share is None else f"{share.share:.2%}"
    return [share.of, rate, f"{share.lower:.2%}", f"{share.upper:.2%}"]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
