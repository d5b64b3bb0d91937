"""`mlapi delete`."""

from pathlib import Path

import click

from mlapi.cli.output import json_option, registry_option, say
from mlapi.registry.store import Store
from mlapi.rollouts.generations import Generations


@click.command("delete")
@click.argument("name")
@click.argument("version", type=click.IntRange(1))
@click.option("--yes", is_flag=True, help="Do not ask.")
@registry_option
@json_option
def command(name: str, version: int, yes: bool, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Retire VERSION of NAME: servers stop serving it within a second. There is no way back.

    A version that a label points to, or that a rollout gives requests to, is refused (exit code 6). Its
    number is never given again; its bytes are freed by 'mlapi gc', an hour later by default.

    \b
    Example:
      mlapi delete house-prices 1 --yes
    """
    store = Store(registry)
    store.require(name, version)
    Generations(store).require_unused(name, version)
    if not yes:
        click.confirm(f"Retire version {version} of {name} for good?", abort=True, err=True)
    store.delete(name, version)
    say(f"{name}: version {version} retired", {"name": name, "version": version}, as_json=as_json)
