"""What the registry's folders hold, looked at again only where something changed.

A model's folder has a time that moves with every version, label and deletion, so that one look at a
registry costs a look at each model, however many versions it has.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from mlapi.errors import RegistryError
from mlapi.registry.store import Store

SETTLED_NS = 2 * 10**9
"""A folder that changed less than this before it was read may change again without its time moving: clocks of
file systems advance in steps, of two seconds at most."""

log = logging.getLogger("mlapi.registry")


@dataclass(frozen=True, slots=True)
class Shelf:
    """One model on disk: its versions ascending and its labels; None where these are damaged."""

    versions: tuple[int, ...]
    labels: Mapping[str, int] | None


class Survey:
    """Looks at a store. A shelf that did not change is the same object as before."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[str, tuple[Shelf, tuple[int, int], bool]] = {}

    def look(self, *, whole: bool = True) -> dict[str, Shelf]:
        """Return the shelf of every model that has a version, by name.

        `whole` reads every folder; otherwise only those whose time has moved, or may not be trusted yet.
        """
        self._seen = {name: self._one(name, whole=whole) for name in self._store.folders()}
        return {name: shelf for name, (shelf, _, _) in self._seen.items() if shelf.versions}

    def _one(self, name: str, *, whole: bool) -> tuple[Shelf, tuple[int, int], bool]:
        mark = self._store.mark(name)
        known = self._seen.get(name)
        if known is not None and not whole and known[2] and known[1] == mark:
            return known
        settled = mark[1] < time.time_ns() - SETTLED_NS  # before the folder is read
        shelf = Shelf(self._store.versions(name), self._labels(name))
        if known is not None and known[0] == shelf:
            shelf = known[0]
        return shelf, mark, settled

    def _labels(self, name: str) -> Mapping[str, int] | None:
        try:
            return self._store.labels(name)
        except RegistryError as error:
            log.warning("labels not followed", extra={"model": name, "reason": str(error)})
            return None
