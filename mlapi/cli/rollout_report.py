"""`mlapi rollout report`."""

from pathlib import Path

import click

from mlapi.cli.output import json_option, print_json, registry_option, stdout
from mlapi.cli.rollout_desk import chosen, desk_of, id_option
from mlapi.registry import durable
from mlapi.rollouts import picture, progress
from mlapi.rollouts import report as reports


@click.command("report")
@click.argument("name")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.html",
    help="Write a page with charts that needs nothing else. Default: Markdown on standard output.",
)
@id_option
@registry_option
@json_option
def report(name: str, out: Path | None, rollout_id: str | None, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Tell the people who decide how the last rollout of NAME went: a page to send, or text.

    \b
    Examples:
      mlapi rollout report house-prices --out report.html
      mlapi rollout report house-prices
    """
    desk = desk_of(registry)
    stands = progress.of(desk.generations, chosen(desk, name, rollout_id))
    made = reports.of(stands)
    if out is not None:
        with durable.storage(f"writing {out}"):
            durable.export(out, reports.html(made).encode())
    if as_json:
        print_json({**picture.of_progress(stands), "sentence": made.sentence})
    elif out is None:
        stdout.print(reports.text(made), end="", markup=False)
    else:
        stdout.print(f"{made.sentence} {out}", markup=False)
