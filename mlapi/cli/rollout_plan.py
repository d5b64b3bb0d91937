"""`mlapi rollout plan`: how many units and days a metric needs, before a rollout starts."""

from dataclasses import asdict
from itertools import pairwise

import click

from mlapi.cli.output import json_option, say
from mlapi.cli.rollout_start import UNITS, steps_of
from mlapi.errors import InvalidRequest
from mlapi.rollouts import planner
from mlapi.rollouts.buckets import BUCKETS
from mlapi.rollouts.effects import Mode
from mlapi.rollouts.planner import Exposure, Planned, Spread

DAY = 86400.0
STEPS = "1%:10m,5%:1h,25%:2h,50%:1d"
CAPLESS = ",cap=VALUE\nVALUE: what is above it counts as it, so that no outlier decides; such as the 99.9th percentile"
ALPHAS, POWERS = ("0.01", "0.05", "0.1"), ("0.8", "0.9", "0.95")


@click.command("plan")
@click.option("--mde", type=float, required=True, help="The least difference worth finding, in the metric's units.")
@click.option("--rate", type=float, help="The metric is 0 or 1: its rate now, such as 0.1.")
@click.option("--sd", type=float, help="The metric is a number: its standard deviation from unit to unit.")
@click.option(
    "--per-day", type=float, required=True,
    help="Units a day in both arms together: keys (people), or requests where none has a key.",
)
@click.option("--steps", metavar="PLAN", default=STEPS, show_default=True,
              help="Share and time of each step; the last one lasts as long as it needs.")  # fmt: skip
@click.option("--window", metavar="SPAN", default="0s",
              help="How long an outcome may take to come, such as 1d. Default: 0s")  # fmt: skip
@click.option("--alpha", type=click.Choice(ALPHAS), default="0.05", show_default=True, help="Risk of a wrong verdict.")
@click.option("--power", type=click.Choice(POWERS), default="0.8", show_default=True,
              help="Chance to find a difference of --mde.")  # fmt: skip
@click.option(
    "--mode", type=click.Choice(["bounded", "always_valid"]), default="bounded", show_default=True,
    help="End after a number of units that is named at the start, or never.",
)
@click.option("--cap", type=float, help="With --sd: values above it count as it, such as their 99.9th percentile.")
@click.option("--name", default="conversion", show_default=True, help="The metric's name.")
@json_option
def plan(
    mde: float, rate: float | None, sd: float | None, per_day: float, steps: str, window: str, alpha: str, power: str,
    mode: Mode, cap: float | None, name: str, as_json: bool,  # noqa: FBT001 (click passes flags by name)
) -> None:  # fmt: skip
    """Say how many units and days a rollout's metric needs to find a difference, before it starts.

    Prints the --metric of `mlapi rollout start` as well. Needs no registry.

    \b
    Examples:
      mlapi rollout plan --rate 0.1 --mde 0.01 --per-day 20000
      mlapi rollout plan --sd 3.5 --cap 40 --mde 0.1 --per-day 5000 --window 1d --mode always_valid
    """
    spread = _spread(rate, sd, mde)
    if not 0 < per_day < float("inf"):
        raise InvalidRequest([f"--per-day is {per_day:g}; expected a number of units above 0"])
    if cap is not None and (sd is None or not 0 < cap < float("inf")):
        raise InvalidRequest([f"--cap is {cap:g}; expected a number above 0, with --sd only"])
    seconds = _seconds(window)
    try:
        planned = planner.plan(spread, mde, mode, _ramp(steps), per_day, alpha=float(alpha), power=float(power),
                               window_seconds=seconds)  # fmt: skip
    except ValueError as error:
        raise InvalidRequest([str(error)]) from error
    metric = _metric(planned, name, "continuous" if rate is None else "binary", window, cap)
    lacks = CAPLESS if sd is not None and cap is None else ""
    say(_text(planned, metric) + lacks, {**asdict(planned), "metric": metric}, as_json=as_json)


def _spread(rate: float | None, sd: float | None, mde: float) -> Spread:
    if mde == 0 or not abs(mde) < float("inf"):
        raise InvalidRequest([f"--mde is {mde:g}; expected a difference other than 0"])
    if rate is not None and sd is None:
        if not (0 < rate < 1 and 0 < rate + mde < 1):
            raise InvalidRequest([f"--rate is {rate:g} and with --mde {rate + mde:g}; expected both between 0 and 1"])
        return planner.binary(rate, mde)
    if sd is not None and rate is None:
        if not 0 < sd < float("inf"):
            raise InvalidRequest([f"--sd is {sd:g}; expected a number above 0"])
        return Spread(sd**2, sd**2)
    raise InvalidRequest(["expected one of --rate (of a metric that is 0 or 1) and --sd (of any other)"])


def _seconds(window: str) -> float:
    number, unit = window[:-1], window[-1:]
    if unit not in UNITS or not number.replace(".", "", 1).isascii() or not number.replace(".", "", 1).isdigit():
        raise InvalidRequest([f"--window is {window!r}; expected a time such as 0s, 30m or 1d"])
    return float(number) * UNITS[unit]


def _ramp(text: str) -> list[Exposure]:
    ramp = [Exposure(step.ppm / BUCKETS, step.min_duration_s / DAY) for step in steps_of(text)]
    for before, after in pairwise(ramp):
        if after.share < before.share:
            raise InvalidRequest([f"--steps: {after.share:.0%} after {before.share:.0%}; the shares may only grow"])
    if wrong := [step.share for step in ramp if not 0 < step.share < 1]:
        raise InvalidRequest([f"--steps: {wrong[0]:.0%} leaves nobody to compare; expected shares between 0 and 100 %"])
    return ramp


def _metric(planned: Planned, name: str, kind: str, window: str, cap: float | None) -> str:
    settings = {"mde": f"{planned.mde:.15g}", "alpha": f"{planned.alpha:g}", "window": window, "mode": planned.mode}
    parts = [name, kind, *(f"{setting}={value}" for setting, value in settings.items())]
    parts += [] if cap is None else [f"cap={cap:.15g}"]
    return ",".join(parts + [f"max_samples={planned.tuned:.0f}"] * (planned.mode == "bounded"))


def _text(planned: Planned, metric: str) -> str:
    return "\n".join([
        f"units to find a difference of {planned.mde:g} with a chance of {planned.power:.0%}, alpha {planned.alpha:g}:",
        f"  at most        {planned.most_units:>12,.0f}   {planned.most_days:8.1f} days",
        f"  on average     {planned.mean_units:>12,.0f}   {planned.mean_days:8.1f} days",
        f"  half of the time {planned.median_units:>10,.0f}   {planned.median_days:8.1f} days",
        f"  a single look  {planned.fixed_units:>12,.0f}",
        f"mlapi rollout start NAME CANDIDATE --metric {metric}",
    ])  # fmt: skip
