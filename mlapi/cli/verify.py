"""`mlapi verify`."""

from pathlib import Path

import click
from rich.progress import track

from mlapi.cli.main import exit_code
from mlapi.cli.output import json_option, print_json, print_table, registry_option, stderr
from mlapi.errors import VersionRefused
from mlapi.registry import loading
from mlapi.registry.store import Store


@click.command("verify")
@click.argument("name", required=False)
@click.argument("version", type=click.IntRange(1), required=False)
@registry_option
@json_option
@click.pass_context
def command(context: click.Context, name: str | None, version: int | None, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Re-hash versions, load them, and replay their golden rows: all, those of NAME, or one VERSION.

    A version passes when its files are the published ones and it answers its reference rows as it did
    at publish, with the libraries installed here. Exit code 5 where one does not.

    \b
    Examples:
      mlapi verify
      mlapi verify house-prices 2
    """
    store = Store(registry)
    if name is not None:
        store.require(name, version)
    wanted = [
        (model, number)
        for model in ([name] if name else store.models())
        for number in (store.versions(model) if version is None else [version])
    ]
    results = [_verify(store, *one) for one in track(wanted, "verifying", console=stderr, transient=True)]
    if as_json:
        print_json(results)
    else:
        print_table(["model", "version", "state"], [[r["name"], r["version"], r["reason"] or "ok"] for r in results])
    if any(result["reason"] for result in results):
        context.exit(exit_code(VersionRefused("", 0, "")))


def _verify(store: Store, name: str, version: int) -> dict[str, object]:
    try:
        loading.verify(store, name, version)
    except VersionRefused as error:
        return {"name": name, "version": version, "ok": False, "reason": error.reason}
    return {"name": name, "version": version, "ok": True, "reason": None}
