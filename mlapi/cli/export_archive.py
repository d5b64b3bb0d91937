"""`mlapi export`."""

from pathlib import Path

import click

from mlapi.cli.output import human_bytes, json_option, registry_option, say
from mlapi.registry import archive
from mlapi.registry.store import Store


@click.command("export")
@click.argument("name")
@click.argument("version", type=click.IntRange(1))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@registry_option
@json_option
def command(name: str, version: int, file: Path, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Write VERSION of NAME into FILE, a tar archive that 'mlapi import' reads elsewhere.

    The same version gives the same bytes.

    \b
    Example:
      mlapi export house-prices 2 house-prices-2.tar
    """
    store = Store(registry)
    store.require(name, version)
    count = archive.export_version(store, name, version, file)
    document = {"name": name, "version": version, "file": file, "bytes": count}
    say(f"wrote {file} ({human_bytes(count)})", document, as_json=as_json)
