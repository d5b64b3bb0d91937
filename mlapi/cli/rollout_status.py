"""`mlapi rollout status`, `watch` and `history`."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import sleep as pause_between

import click
from rich.live import Live
from rich.text import Text

from mlapi.cli import rollout_drawing
from mlapi.cli.output import json_option, print_json, print_table, registry_option, stdout
from mlapi.cli.rollout_desk import chosen, desk_of, id_option
from mlapi.rollouts import picture, progress
from mlapi.rollouts.document import ABORTED, ROLLED_BACK, Rollout
from mlapi.rollouts.generations import Generations

FAILED = 1


@click.command("status")
@click.argument("name")
@id_option
@registry_option
@json_option
def status(name: str, rollout_id: str | None, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Show how the last rollout of NAME stands: its step, who follows it, what each version came to.

    \b
    Example:
      mlapi rollout status house-prices --json
    """
    desk = desk_of(registry)
    rollout = chosen(desk, name, rollout_id)
    if as_json:
        print_json(picture.of_progress(progress.of(desk.generations, rollout)))
    else:
        _print(desk.generations, rollout)


@click.command("watch")
@click.argument("name")
@click.option("--every", type=click.FloatRange(0.1), default=2.0, show_default=True, help="Seconds between two looks.")
@id_option
@registry_option
@json_option
def watch(name: str, every: float, rollout_id: str | None, registry: Path, as_json: bool) -> int:  # noqa: FBT001 (click passes flags by name)
    """Follow the last rollout of NAME until it ends: drawn anew on a terminal, one line a change in a pipe.

    Ends with 0 after a promotion, with 1 after a rollback or an abort, so that a script can wait for it.
    With --json it prints the final document.

    \b
    Example:
      mlapi rollout watch house-prices && echo promoted
    """
    desk = desk_of(registry)
    rollout = chosen(desk, name, rollout_id)
    if as_json:
        rollout = _followed(desk.generations, rollout, every, lambda _: None)
        print_json(picture.of_progress(progress.of(desk.generations, rollout)))
    elif stdout.is_terminal:
        with Live(console=stdout, auto_refresh=False) as live:
            rollout = _followed(desk.generations, rollout, every, lambda now: live.update(
                Text("\n".join(_drawn(desk.generations, now)), no_wrap=False, overflow="fold"), refresh=True,
            ))  # fmt: skip
    else:
        rollout = _followed(desk.generations, rollout, every, _Changes().tell)
        _print(desk.generations, rollout)
    return FAILED if rollout.state in {ROLLED_BACK, ABORTED} else 0


@click.command("history")
@click.argument("name")
@id_option
@registry_option
@json_option
def history(name: str, rollout_id: str | None, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Show everything that happened in the rollouts of NAME, or in one of them: when, by whom, why.

    \b
    Example:
      mlapi rollout history house-prices
    """
    desk = desk_of(registry)
    last = chosen(desk, name, rollout_id)
    known = [last] if rollout_id else list(desk.generations.all(name))
    if as_json:
        print_json([{"rollout": one.id, **asdict(change)} for one in known for change in one.history])
        return
    rows: list[list[object]] = [
        [one.id, change.generation, change.at, change.before, change.after, change.by, change.why]
        for one in known for change in one.history
    ]  # fmt: skip
    print_table(["rollout", "generation", "at", "from", "to", "by", "why"], rows)


def _drawn(generations: Generations, rollout: Rollout) -> list[str]:
    return rollout_drawing.lines(progress.of(generations, rollout))


def _print(generations: Generations, rollout: Rollout) -> None:
    for line in _drawn(generations, rollout):
        stdout.print(line, soft_wrap=True)


def _followed(generations: Generations, rollout: Rollout, every: float, look: Callable[[Rollout], None]) -> Rollout:
    """Call `look` with each generation seen, every `every` seconds until the end, and return the last."""
    look(rollout)
    while rollout.is_active:
        pause_between(every)
        rollout = generations.latest(rollout.model, rollout.id)
        look(rollout)
    return rollout


class _Changes:
    """Prints each change once, as it is first seen."""

    def __init__(self) -> None:
        self._told = 0

    def tell(self, rollout: Rollout) -> None:
        for change in rollout.history[self._told :]:
            stdout.print(f"{change.at} {change.after} by {change.by}: {change.why}")
        self._told = len(rollout.history)
