"""`mlapi unlabel`."""

from pathlib import Path

import click

from mlapi.cli.output import json_option, registry_option, say
from mlapi.registry.names import check_label
from mlapi.registry.store import Store


@click.command("unlabel")
@click.argument("name")
@click.argument("label")
@registry_option
@json_option
def command(name: str, label: str, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Remove LABEL from NAME; requests for it get 404 within a second. The version stays.

    \b
    Example:
      mlapi unlabel house-prices canary
    """
    Store(registry).unlabel(name, check_label(label))
    say(f"{name}: {label} removed", {"name": name, "label": label}, as_json=as_json)
