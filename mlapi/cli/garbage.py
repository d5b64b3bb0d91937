"""`mlapi gc`."""

from dataclasses import asdict
from pathlib import Path

import click

from mlapi.cli.output import human_bytes, json_option, registry_option, say
from mlapi.registry import upkeep
from mlapi.registry.store import Store
from mlapi.rollouts import exposures, request_log
from mlapi.rollouts.generations import Generations


@click.command("gc")
@click.option("--older-than", type=click.FloatRange(0), default=upkeep.GRACE_SECONDS, show_default=True,
              metavar="SECONDS", help="Leave alone what was retired or left behind more recently.")
@registry_option
@json_option
def command(older_than: float, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Free the bytes of retired versions, what killed publishers left behind, and old logs.

    Logs of ended rollouts, and of requests, are kept for 30 days.

    \b
    Example:
      mlapi gc --older-than 0
    """
    store = Store(registry)
    freed = upkeep.collect_garbage(store, older_than)
    logs = exposures.discard_old(Generations(store)) if store.root.is_dir() else 0
    requests = request_log.discard_old(store) if store.root.is_dir() else 0
    text = f"freed {human_bytes(freed.bytes)} of {freed.versions} retired versions"
    if logs:
        text += f" and {human_bytes(logs)} of ended rollouts"
    if requests:
        text += f" and {human_bytes(requests)} of logged requests"
    say(text, {**asdict(freed), "bytes": freed.bytes + logs + requests}, as_json=as_json)
