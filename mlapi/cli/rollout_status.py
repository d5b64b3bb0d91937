"""`mlapi rollout status`, `watch` and `history`."""

from dataclasses import asdict
from pathlib import Path
from time import sleep as pause_between

import click

from mlapi.cli.output import json_option, print_json, print_table, registry_option, stdout
from mlapi.cli.rollout_desk import chosen, desk_of, id_option
from mlapi.rollouts import picture, progress
from mlapi.rollouts.buckets import BUCKETS
from mlapi.rollouts.document import ROLLED_BACK
from mlapi.rollouts.progress import ArmCounts, Progress

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
    stands = progress.of(desk.generations, chosen(desk, name, rollout_id))
    if as_json:
        print_json(picture.of_progress(stands))
    else:
        _print(stands)


@click.command("watch")
@click.argument("name")
@click.option("--every", type=click.FloatRange(0.1), default=2.0, show_default=True, help="Seconds between two looks.")
@id_option
@registry_option
@json_option
def watch(name: str, every: float, rollout_id: str | None, registry: Path, as_json: bool) -> int:  # noqa: FBT001 (click passes flags by name)
    """Follow the last rollout of NAME until it ends: one line a change, and the numbers at the end.

    Ends with 0 after a promotion or an abort, with 1 after a rollback, so that a script can wait for it.
    With --json it prints the final document.

    \b
    Example:
      mlapi rollout watch house-prices && echo promoted
    """
    desk = desk_of(registry)
    rollout, told = chosen(desk, name, rollout_id), 0
    while True:
        for change in rollout.history[told:]:
            if not as_json:
                stdout.print(f"{change.at} {change.after} by {change.by}: {change.why}")
        told = len(rollout.history)
        if not rollout.is_active:
            break
        pause_between(every)
        rollout = desk.generations.latest(name, rollout.id)
    stands = progress.of(desk.generations, rollout)
    if as_json:
        print_json(picture.of_progress(stands))
    else:
        _print(stands)
    return FAILED if rollout.state == ROLLED_BACK else 0


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


def _print(stands: Progress) -> None:
    rollout = stands.rollout
    last = rollout.history[-1]
    steps = " ".join(f"{step.ppm / BUCKETS:.2%}" for step in rollout.plan)
    all_of = "all" if stands.converged else "not all"
    following = f"{len(stands.workers)} workers, {all_of} at generation {rollout.generation}"
    print_table(["", ""], [
        ["rollout", f"{rollout.id} of {rollout.model}: version {rollout.control} to {rollout.candidate}"],
        ["state", rollout.place + ("" if rollout.holds else ", released")],
        ["share", f"{rollout.ppm / BUCKETS:.2%}" + (f" of the plan {steps}" if steps else "")],
        ["last change", f"{last.at} by {last.by}: {last.why}"],
        ["waits for", stands.waiting_for],
        ["evidence", ", ".join(f"{name} {value:.4g}" for name, value in stands.evidence.plain().items())],
        ["followed by", following],
    ])  # fmt: skip
    stdout.print()
    columns = ["", "version", "requests", "keys", "errors", "invalid", "slow", "fell back", "mean", "p95 ms"]
    versions = {"control": rollout.control, "candidate": rollout.candidate}
    print_table(columns, [_row(name, versions[name], counts) for name, counts in stands.arms.items()])


def _row(name: str, version: int, counts: ArmCounts) -> list[object]:
    mean = None if counts.mean_score is None else f"{counts.mean_score:.6g}"
    return [name, version, counts.requests, counts.keys, counts.errors, counts.invalid, counts.slow, counts.fell_back,
            mean, counts.p95_ms]  # fmt: skip
