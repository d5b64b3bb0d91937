"""`mlapi gc`."""

from dataclasses import asdict
from pathlib import Path

import click

from mlapi.cli.output import human_bytes, json_option, registry_option, say
from mlapi.registry import upkeep
from mlapi.registry.store import Store


@click.command("gc")
@click.option("--older-than", type=click.FloatRange(0), default=upkeep.GRACE_SECONDS, show_default=True,
              metavar="SECONDS", help="Leave alone what was retired or left behind more recently.")
@registry_option
@json_option
def command(older_than: float, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Free the bytes of retired versions, and what killed publishers left behind.

    \b
    Example:
      mlapi gc --older-than 0
    """
    freed = upkeep.collect_garbage(Store(registry), older_than)
    say(f"freed {human_bytes(freed.bytes)} of {freed.versions} retired versions", asdict(freed), as_json=as_json)
