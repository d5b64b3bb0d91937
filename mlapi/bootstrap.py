"""The composition root: the only place that builds things and hands them to each other."""

from collections.abc import Sequence
from dataclasses import dataclass

from mlapi.config import Config
from mlapi.registry.live import LiveRegistry
from mlapi.registry.store import Store
from mlapi.serving.dataplane import DataPlane, Observer


@dataclass(frozen=True, slots=True)
class Services:
    """All that an app needs, built once."""

    config: Config
    store: Store
    live: LiveRegistry
    plane: DataPlane


def build_services(config: Config, observers: Sequence[Observer] = ()) -> Services:
    """Return the services for `config`, with every model on disk verified and parsed, none asked yet.

    Nothing here starts a thread or predicts, so a server may fork afterwards; `live.start()` does both.
    """
    store = Store(config.registry)
    live = LiveRegistry(store, config.poll_seconds, config.max_artifact_bytes)
    live.preload()
    return Services(config, store, live, DataPlane(live, live.get, observers))
