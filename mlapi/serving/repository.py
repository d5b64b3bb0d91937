"""The model repository as a protocol sees it: every version with its state, and models loaded or unloaded."""

from collections.abc import Iterable

from mlapi.errors import ModelNotReady
from mlapi.registry.live import LiveRegistry
from mlapi.registry.orders import Orders
from mlapi.registry.status import VersionStatus

PATIENCE_SECONDS = 25.0
"""How long an order may take in all workers; below the time after which a server gives a worker up."""


class ModelRepository:
    """Orders models loaded and unloaded in every worker of this server, and tells how they stand."""

    def __init__(self, live: LiveRegistry, orders: Orders, patience: float = PATIENCE_SECONDS) -> None:
        self._live, self._orders, self._patience = live, orders, patience

    def index(self) -> Iterable[tuple[str, VersionStatus]]:
        """Return every version of every model in the registry, loaded or not, with its model's name."""
        return [(model.name, status) for model in self._live.models() for status in model.versions.values()]

    def load(self, name: str) -> None:
        """Load all versions of a model again in every worker; return when all of them serve it.

        Raises ModelNotFound, and ModelNotReady with the reason where a version failed to load, which
        leaves what answered before in place, or where a worker did not confirm in time.
        """
        self._live.require(name)
        failures = self._confirmed(name, self._orders.load(name))
        if name in failures:
            raise ModelNotReady(name, None, failures[name])

    def unload(self, name: str) -> None:
        """Stop answering for a model in every worker; return when none answers any more.

        Requests in flight end as they would have. Raises ModelNotFound, ModelNotReady as `load` does.
        """
        self._live.require(name)
        self._confirmed(name, self._orders.unload(name))

    def _confirmed(self, name: str, serial: int) -> dict[str, str]:
        failures = self._orders.wait(serial, self._patience)
        if failures is None:
            raise ModelNotReady(name, None, f"not every worker confirmed within {self._patience:g} seconds")
        return failures
