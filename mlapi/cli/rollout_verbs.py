"""`mlapi rollout pause`, `resume`, `promote`, `abort` and `release`."""

from collections.abc import Callable
from pathlib import Path

import click

from mlapi.cli.output import json_option, registry_option, say
from mlapi.cli.rollout_desk import chosen, desk_of, id_option, who, why_option
from mlapi.rollouts import picture, progress
from mlapi.rollouts.buckets import BUCKETS

Command = Callable[..., None]


def _of_a_rollout(command: Command) -> Command:
    """What every verb takes: the model, which of its rollouts, why, and where."""
    for option in (json_option, registry_option, why_option, id_option, click.argument("name")):
        command = option(command)
    return command


@click.command("pause")
@_of_a_rollout
def pause(name: str, rollout_id: str | None, why: str, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Stop the rollout of NAME where it is: its share stays, or goes to the control if it was started so.

    \b
    Example:
      mlapi rollout pause house-prices --why "the weekend"
    """
    _change("pause", name, rollout_id, why, registry, as_json=as_json)


@click.command("resume")
@_of_a_rollout
def resume(name: str, rollout_id: str | None, why: str, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Let a paused rollout of NAME go on at the step where it stopped.

    \b
    Example:
      mlapi rollout resume house-prices
    """
    _change("resume", name, rollout_id, why, registry, as_json=as_json)


@click.command("promote")
@_of_a_rollout
def promote(name: str, rollout_id: str | None, why: str, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Give the candidate of NAME all requests now and end the rollout, whatever the plan says.

    Labels stay where they are; move them with 'mlapi label'.

    \b
    Example:
      mlapi rollout promote house-prices --why "won the review"
    """
    _change("promote", name, rollout_id, why, registry, as_json=as_json)


@click.command("abort")
@_of_a_rollout
def abort(name: str, rollout_id: str | None, why: str, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Give the control of NAME all requests again and end the rollout.

    To try again start another one; its draw is independent of this one's.

    \b
    Example:
      mlapi rollout abort house-prices --why "support tickets"
    """
    _change("abort", name, rollout_id, why, registry, as_json=as_json)


@click.command("release")
@_of_a_rollout
def release(name: str, rollout_id: str | None, why: str, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Let the newest version of NAME answer again, instead of the one that its last rollout left.

    \b
    Example:
      mlapi rollout release house-prices
    """
    _change("release", name, rollout_id, why, registry, as_json=as_json)


def _change(verb: str, name: str, rollout_id: str | None, why: str, registry: Path, *, as_json: bool) -> None:
    desk = desk_of(registry)
    changed = desk.change(chosen(desk, name, rollout_id), verb, (who(), why or verb))
    share = f"version {changed.candidate} gets {changed.ppm / BUCKETS:.2%}"
    text = f"{name}: rollout {changed.id} is {changed.place}; {share}"
    if not changed.holds:
        text = f"{name}: rollout {changed.id} is released; the newest version answers"
    document = picture.of_progress(progress.of(desk.generations, changed)) if as_json else None
    say(text, document, as_json=as_json)
