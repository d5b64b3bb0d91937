"""`mlapi list`."""

from pathlib import Path
from typing import Any

import click

from mlapi.cli.output import json_option, print_json, print_table, registry_option, stdout
from mlapi.errors import VersionRefused
from mlapi.registry import loading, upkeep
from mlapi.registry.store import Store


@click.command("list")
@click.argument("name", required=False)
@click.option("--verify", is_flag=True, help="Also load every version and replay its golden rows.")
@registry_option
@json_option
def command(name: str | None, verify: bool, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """List the models in the registry, or the versions of NAME, with what is refused and why.

    The files of every version are hashed; with --verify it is also loaded and must answer as it did
    when it was published.

    \b
    Examples:
      mlapi list
      mlapi list house-prices --verify --json
    """
    store = Store(registry)
    if name is not None:
        store.require(name)
    rows = [
        _describe(store, model, version, verify=verify)
        for model in ([name] if name else store.models())
        for version in store.versions(model)
    ]
    if as_json:
        print_json(rows)
    elif not rows:
        stdout.print(f"no models in {registry}; publish some: mlapi demo --registry {registry}", markup=False)
    else:
        print_table(
            ["model", "version", "labels", "state", "model class", "published"],
            [_cells(row) for row in rows],
        )


def _describe(store: Store, name: str, version: int, *, verify: bool) -> dict[str, Any]:
    labels = [label for label, held in store.labels(name).items() if held == version]
    reason = _refused(store, name, version, verify=verify)
    row: dict[str, Any] = {
        "name": name, "version": version, "labels": labels, "state": "refused" if reason else "ok", "reason": reason,
        "estimator": None, "published_at": None, "metrics": {},
    }  # fmt: skip
    if not reason:
        manifest = store.manifest(name, version)
        row |= {"estimator": manifest.estimator, "published_at": manifest.published_at, "metrics": manifest.metrics}
    return row


def _refused(store: Store, name: str, version: int, *, verify: bool) -> str | None:
    if not verify:
        return upkeep.refused(store, name, version)
    try:
        loading.verify(store, name, version)
    except VersionRefused as error:
        return error.reason
    return None


def _cells(row: dict[str, Any]) -> list[object]:
    state = f"refused: {row['reason']}" if row["reason"] else "ok"
    return [row["name"], row["version"], ", ".join(row["labels"]), state, row["estimator"], row["published_at"]]
