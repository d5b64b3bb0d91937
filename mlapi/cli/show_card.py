"""`mlapi card`."""

from pathlib import Path

import click

from mlapi.cli.output import json_option, registry_option, say
from mlapi.registry import card, loading
from mlapi.registry.store import Store


@click.command("card")
@click.argument("name")
@click.argument("version", type=click.IntRange(1), required=False)
@registry_option
@json_option
def command(name: str, version: int | None, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Print the model card of VERSION of NAME (default: the newest), as Markdown.

    The card is written at publish and checked against its digest here: data, metrics, signature,
    intended use and limits.

    \b
    Example:
      mlapi card house-prices 2 > house-prices.md
    """
    store = Store(registry)
    number = store.require(name, version)
    manifest, files = loading.check(store, name, number)
    text = files[card.FILE].decode() if card.FILE in files else card.render(manifest)
    say(text.rstrip(), {"name": name, "version": number, "card": text}, as_json=as_json)
