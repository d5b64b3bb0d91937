"""`mlapi import`."""

from pathlib import Path

import click

from mlapi.cli.output import json_option, registry_option, say
from mlapi.registry import archive
from mlapi.registry.store import Store


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--name", help="Publish under this name. Default: the name it had.")
@registry_option
@json_option
def command(file: Path, name: str | None, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Publish the version in FILE, written by 'mlapi export', as the next version of its name.

    Its digests are checked before it is loaded, its golden rows after. Loading a joblib model runs what
    the file says: import only archives of your own making.

    \b
    Example:
      mlapi import house-prices-2.tar --registry /srv/models
    """
    manifest = archive.import_version(Store(registry), file, name)
    document = {"name": manifest.name, "version": manifest.version}
    say(f"published {manifest.name} version {manifest.version}", document, as_json=as_json)
