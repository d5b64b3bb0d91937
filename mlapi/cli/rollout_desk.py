"""How the commands of `mlapi rollout` reach the registry: they need no server."""

import getpass
from pathlib import Path

import click

from mlapi.registry import loading
from mlapi.registry.store import Store
from mlapi.rollouts.desk import Desk
from mlapi.rollouts.document import Rollout
from mlapi.rollouts.generations import Generations

why_option = click.option("--why", default="", metavar="TEXT", help="The reason, for the history.")
id_option = click.option("--id", "rollout_id", metavar="ID", help="This rollout. Default: the last one of the model.")


def desk_of(registry: Path) -> Desk:
    """Return the desk of a registry; a version is loaded and must answer its golden rows before it gets traffic."""
    store = Store(registry)
    return Desk(Generations(store), lambda model, version: _verify(store, model, version))


def _verify(store: Store, model: str, version: int) -> None:
    loading.verify(store, model, version)


def chosen(desk: Desk, model: str, rollout_id: str | None) -> Rollout:
    """Return the rollout of that id, or the last one of the model."""
    last = desk.of_model(model)
    return last if rollout_id is None else desk.generations.latest(model, rollout_id)


def who() -> str:
    """Return the name of the person at the terminal, as the history keeps it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user id without a name, as in containers
        return "cli"
