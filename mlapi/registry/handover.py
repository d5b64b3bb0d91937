"""Large versions, which come with new workers that share them rather than as a copy in each worker."""

import time
from collections.abc import Callable

from mlapi.errors import VersionRefused
from mlapi.registry import loading
from mlapi.registry.residents import Key
from mlapi.registry.store import Store

LARGE = 64 * 2**20
"""Bytes of a worker's own from which on a version is worth new workers; mapped arrays of a plan are shared anyway."""

HANDED_OVER_SECONDS = 60.0


class Handover:
    """Asks for new workers, once a large version; `plans`: versions that have a plan answer by it."""

    def __init__(self, store: Store, *, plans: bool) -> None:
        self._store, self._plans = store, plans
        self._asked: dict[Key, float] = {}

    def waits(self, key: Key, ask: Callable[[Key], object]) -> bool:
        """Tell whether a version comes with new workers; one that has not come after a minute is loaded here."""
        try:
            if loading.expected_bytes(self._store, self._store.manifest(*key), plans=self._plans) < LARGE:
                return False
        except VersionRefused:
            return False
        if key not in self._asked:
            self._asked[key] = time.monotonic()
            ask(key)
        return time.monotonic() - self._asked[key] < HANDED_OVER_SECONDS
