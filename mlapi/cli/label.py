"""`mlapi label`."""

from pathlib import Path

import click

from mlapi.cli.output import json_option, registry_option, say
from mlapi.registry import loading
from mlapi.registry.names import check_label
from mlapi.registry.store import Store


@click.command("label")
@click.argument("name")
@click.argument("label")
@click.argument("version", type=click.IntRange(1))
@registry_option
@json_option
def command(name: str, label: str, version: int, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Point LABEL of NAME to VERSION, which is verified first.

    Running servers follow within a second, each after it has loaded and warmed the version; until then
    the label means what it meant.

    \b
    Example:
      mlapi label house-prices stable 2
      curl http://127.0.0.1:8000/v1/models/house-prices/labels/stable
    """
    store = Store(registry)
    check_label(label)
    store.require(name, version)
    loading.verify(store, name, version)
    before = store.labels(name).get(label)
    store.label(name, label, version)
    was = f" (was {before})" if before and before != version else ""
    document = {"name": name, "label": label, "version": version, "before": before}
    say(f"{name}: {label} -> {version}{was}", document, as_json=as_json)
