"""`mlapi rollout start` and `mlapi rollout hold`."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mlapi.cli.metric_option import metric_of
from mlapi.cli.output import json_option, registry_option, say
from mlapi.cli.replay_gate import require_passed
from mlapi.cli.rollout_desk import desk_of, who, why_option
from mlapi.errors import InvalidRequest
from mlapi.inference.faults import quoted
from mlapi.rollouts import picture, progress
from mlapi.rollouts.buckets import BUCKETS
from mlapi.rollouts.document import INCONCLUSIVE, Guardrail, Rollout, Step
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.plan import Plan

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
STEP = re.compile(
    r"(?P<share>[0-9]{1,3}(\.[0-9]{1,4})?)%(:(?P<span>[0-9]{1,9}(\.[0-9]{1,9})?)(?P<unit>[smhd])(:(?P<samples>[0-9]{1,12}))?)?",
    re.ASCII,
)


@click.command("start")
@click.argument("name")
@click.argument("candidate", type=click.IntRange(1))
@click.option(
    "--control", type=click.IntRange(1),
    help="The version to compare with. Default: the one that answers now, or the one before.",
)
@click.option(
    "--steps", metavar="PLAN",
    help="Share, least time and least requests to the candidate of each step. "
    "Default: 1%:10m:500,5%:1h:2000,25%:2h:5000,50%:1d:20000",
)
@click.option(
    "--key", "keys", multiple=True, metavar="SOURCE",
    help="Who asks: header:NAME or field:PATH; the first that is sent counts. Default: header:X-User-Id",
)
@click.option(
    "--guardrail", "guardrails", multiple=True, metavar="NAME=VALUE",
    help="errors=0.25, invalid=0: how much worse is no harm yet; slow=MS, shift=DIFFERENCE: the limit. "
    "Default: errors=0.25 and invalid=0",
)
@click.option(
    "--on-pause", type=click.Choice(["hold", "control"]), default="hold", show_default=True,
    help="While paused: keep the share, or give all to the control.",
)
@click.option(
    "--on-finish", type=click.Choice(["promote", "pause"]), default="promote", show_default=True,
    help="After the last step: promote the candidate, or pause and ask.",
)
@click.option(
    "--metric", "metric", metavar="NAME,KIND,mde=D[,...]",
    help="What the candidate must be better at, from outcomes: see 'mlapi rollout plan' and docs/rollouts.md. "
    "Such as conversion,binary,mde=0.01,window=1d or price,squared_error,mde=1e7,direction=down",
)
@click.option(
    "--on-inconclusive", type=click.Choice(INCONCLUSIVE), default="pause", show_default=True,
    help="When a bounded metric had all its units, or the time is over, without a verdict.",
)
@click.option(
    "--replay", "replayed", type=click.IntRange(1), metavar="N",
    help="First ask the candidate the N newest logged requests, and start nothing where it fails: see 'mlapi replay'.",
)
@why_option
@registry_option
@json_option
def start(
    name: str, candidate: int, control: int | None, steps: str | None, keys: tuple[str, ...],
    guardrails: tuple[str, ...], on_pause: str, on_finish: str, metric: str | None, on_inconclusive: str,
    replayed: int | None, why: str, registry: Path, as_json: bool,  # noqa: FBT001 (click passes flags by name)
) -> None:
    """Start giving CANDIDATE of NAME a growing share of the requests that name no version.

    Both versions are loaded and must answer as they did when they were published. A step lasts until its
    time has passed and the candidate was asked often enough, and goes on only while the guardrails are
    quiet. Servers follow within two seconds.

    \b
    Examples:
      mlapi rollout start house-prices 2
      mlapi rollout start house-prices 2 --steps 5%:10m:200,50%:1h:1000 --key field:user_id
      mlapi rollout start house-prices 2 --guardrail errors=0.25 --guardrail slow=40
      mlapi rollout start house-prices 2 --replay 1000
      mlapi rollout start churn 4 --metric conversion,binary,mde=0.01,window=1d,mode=bounded,max_samples=36000

    With --replay exit code 9 says that the candidate failed, and that nothing was started.
    """
    plan = Plan(on_pause=on_pause, on_finish=on_finish, on_inconclusive=on_inconclusive)
    if metric is not None:
        plan = replace(plan, metric=metric_of(metric))
    if steps is not None:
        plan = replace(plan, steps=steps_of(steps))
    if keys:
        plan = replace(plan, keys=keys)
    if guardrails:
        plan = replace(plan, guardrails=tuple(guardrail_of(text) for text in guardrails))
    desk = desk_of(registry)
    store, gate = desk.generations.store, {}
    if replayed is not None:
        gate = {"replay": require_passed(store, name, candidate, replayed, as_json=as_json)}
    started = desk.start(name, candidate, control, plan, (who(), why or "started"))
    text = (
        f"{name}: rollout {started.id} gives version {started.candidate} {started.ppm / BUCKETS:.2%} of the requests, "
        f"version {started.control} the rest"
    )
    _told(text, desk.generations, started, gate, as_json=as_json)


@click.command("hold")
@click.argument("name")
@click.argument("version", type=click.IntRange(1), required=False)
@why_option
@registry_option
@json_option
def hold(name: str, version: int | None, why: str, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Let requests that name no version stay with VERSION of NAME (default: the newest), whatever is published.

    Without this, what is published answers everybody at once. Hold before you publish the version that
    a first rollout is to try; after a rollout its outcome holds by itself.

    \b
    Example:
      mlapi rollout hold house-prices
    """
    desk = desk_of(registry)
    held = desk.hold(name, version, (who(), why or "held"))
    _told(f"{name}: version {held.control} answers everybody until a rollout moves them", desk.generations, held, {},
          as_json=as_json)  # fmt: skip


def steps_of(text: str) -> tuple[Step, ...]:
    """Return the steps in text such as `1%:10m:500,50%:1h`; InvalidRequest with every one that is none."""
    parts = [part.strip() for part in text.split(",")]
    found = [STEP.fullmatch(part) for part in parts]
    faults = [f"--steps: {quoted(part)} is no step; expected such as 5%, 5%:1h or 5%:1h:2000"
              for part, match in zip(parts, found, strict=True) if match is None]  # fmt: skip
    if faults:
        raise InvalidRequest(faults)
    return tuple(
        Step(
            round(float(match["share"]) / 100 * BUCKETS), float(match["span"] or 0) * UNITS[match["unit"] or "s"],
            int(match["samples"] or 0),
        )
        for match in found if match is not None
    )  # fmt: skip


def guardrail_of(text: str) -> Guardrail:
    """Return the guardrail in text such as `errors=0.25`; InvalidRequest where it is none."""
    name, _, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if name not in {"errors", "invalid", "slow", "shift"} or not 0 <= number < float("inf"):
        wanted = "errors=0.25, invalid=0, slow=40 or shift=0.05"
        raise InvalidRequest([f"--guardrail: {quoted(text)} is none; expected such as {wanted}"])
    return Guardrail(name, margin=number) if name in {"errors", "invalid"} else Guardrail(name, limit=number)


def _told(text: str, generations: Generations, rollout: Rollout, gate: dict[str, Any], *, as_json: bool) -> None:
    say(text, {**picture.of_progress(progress.of(generations, rollout)), **gate} if as_json else None, as_json=as_json)
