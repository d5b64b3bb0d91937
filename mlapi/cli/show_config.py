"""`mlapi config`."""

from dataclasses import fields

import click

from mlapi.cli.output import json_option, print_json, print_table
from mlapi.config import PREFIX, Config


@click.command("config")
@json_option
def command(as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Show every setting with its value in force, its default, and what it means.

    Settings are environment variables; a name that begins with MLAPI_ and is none is an error.

    \b
    Example:
      MLAPI_WORKERS=4 mlapi config
    """
    settings = Config.from_environ()
    rows = [
        {"name": PREFIX + f.name.upper(), "value": getattr(settings, f.name), "default": f.default,
         "kind": f.metadata["kind"], "meaning": f.metadata["teaches"]}
        for f in fields(Config)
    ]  # fmt: skip
    if as_json:
        print_json(rows)
    else:
        print_table(["setting", "value", "default", "expected", "meaning"], [list(row.values()) for row in rows])
