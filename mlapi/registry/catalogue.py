"""The catalogue of one process: the snapshot that requests read, and every change of it.

A change builds a new snapshot and swaps it in whole, behind a lock that no reader takes and that is
never held while a file is read or a model loaded.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from mlapi.inference.values import Target
from mlapi.registry.loading import LoadedModel
from mlapi.registry.residents import Key, Residents
from mlapi.registry.snapshot import Snapshot
from mlapi.registry.status import UNLOADED, ModelStatus, VersionStatus
from mlapi.registry.survey import Shelf

log = logging.getLogger("mlapi.registry")


class Catalogue:
    """What is known, what of it is in memory, and what answers; `room` is the bytes that models may take."""

    def __init__(self, room: int | None = None) -> None:
        self.snapshot = Snapshot()
        self.swaps = 0
        self.shelves: Mapping[str, Shelf] = {}
        self.residents = Residents(room)
        self.refused: dict[Key, VersionStatus] = {}
        self._unloaded: frozenset[str] = frozenset()
        self.comebacks = 0
        self._touched: set[str] = set()
        self._gate = threading.Lock()

    def find(self, target: Target) -> LoadedModel | None:
        """Return the model that `target` means if it is in memory; one asked for by its number is used now."""
        found = self.snapshot.loaded(target)
        if target.version is not None and found is not None:
            self.residents.asked((target.model, target.version))
        return found

    def unload(self, names: frozenset[str]) -> None:
        """Let these models, and no others, answer no more from the next `take` on."""
        with self._gate:
            self._touched |= self._unloaded ^ names
            self._unloaded = names

    def changed(self, fingerprint: Callable[[str, int], tuple[object, ...]], comebacks: int) -> list[Key]:
        """Return the versions whose files are not those that were looked at.

        The refused ones, which may have been mended; and those in memory, where the registry was gone and is back:
        it may be another one.
        """
        looked = dict(self.refused)
        if comebacks != self.comebacks:
            held = {key: self.snapshot.status(key) for key in self.residents.all()}
            looked |= {key: status for key, status in held.items() if status is not None}
        found = [key for key, status in looked.items() if status.fingerprint != fingerprint(*key)]
        self.comebacks = comebacks
        return found

    def take(self, head: bytes, shelves: Mapping[str, Shelf], mended: Iterable[Key] = ()) -> set[str]:
        """Take up what the disk holds, and that refused versions were mended; return the models that changed."""
        with self._gate:
            before, again = self.snapshot.models, set(mended)
            self._touched |= {name for name, _ in again}
            models = {name: self._model(name, shelf, again) for name, shelf in shelves.items()}
            self.shelves, self._touched = shelves, set()
            self._swap(head, models)
            self.refused = {key: held for key, held in self.refused.items() if self.snapshot.status(key) is held}
        return {name for name, model in models.items() if model is not before.get(name)}

    def put(self, name: str, status: VersionStatus, size: int = 0) -> None:
        """Take up the status of a version that is still there; in memory it takes `size` bytes of this process."""
        with self._gate:
            key, model = (name, status.version), self.snapshot.models.get(name)
            if model is None or status.version not in model.versions or name in self._unloaded:
                return
            versions = {**model.versions, status.version: status}
            if status.loaded is not None:
                self.residents.came(key, size)
            labels = self._labels(name, self.shelves[name], versions)
            self._swap(self.snapshot.head, {**self.snapshot.models, name: ModelStatus(name, versions, labels)})
            self.refused.pop(key, None)
            if status.state == "UNAVAILABLE":
                self.refused[key] = status
            self._make_room(key)

    def make_room(self, size: Callable[[Key, LoadedModel], int]) -> None:
        """Let versions leave that nobody needs any more, or that others need the room of; `size` weighs each again."""
        with self._gate:
            for key in self.residents.all():
                status = self.snapshot.status(key)
                if status is not None and status.loaded is not None:
                    self.residents.came(key, size(key, status.loaded))
            self._make_room()

    def missing(self, name: str, *, default: bool) -> int | None:
        """Return a version that answers by a label, or by `default`, and is neither in memory nor refused."""
        shelf, model = self.shelves.get(name), self.snapshot.models.get(name)
        if shelf is None or model is None or name in self._unloaded:
            return None
        wanted = [model.versions[version] for version in (shelf.labels or {}).values() if version in model.versions]
        if default:
            newest_first = reversed(list(model.versions.values()))
            wanted += list(islice((status for status in newest_first if status.state != "UNAVAILABLE"), 1))
        return next((s.version for s in wanted if s.loaded is None and s.state != "UNAVAILABLE"), None)

    def _model(self, name: str, shelf: Shelf, mended: set[Key]) -> ModelStatus:
        known = self.snapshot.models.get(name)
        if known is not None and shelf is self.shelves.get(name) and name not in self._touched:
            return known
        before = {} if known is None else known.versions
        versions = {}
        for version in shelf.versions:
            status = before.get(version)
            if name in self._unloaded:
                status = VersionStatus(version, "UNAVAILABLE", UNLOADED)
            elif status is None or status.reason == UNLOADED or (name, version) in mended:
                status = VersionStatus(version, "READY")
            versions[version] = status
        return ModelStatus(name, versions, self._labels(name, shelf, versions))

    def _labels(self, name: str, shelf: Shelf, versions: Mapping[int, VersionStatus]) -> Mapping[str, int]:
        """Labels as on disk, but one whose version is not in memory, or refused, stays where it pointed."""
        known = self.snapshot.models.get(name)
        before = {} if known is None else known.labels
        if shelf.labels is None:
            return {label: held for label, held in before.items() if held in versions}
        labels = {}
        for label, wanted in shelf.labels.items():
            held = before.get(label, wanted)
            not_here = wanted in versions and versions[wanted].loaded is None
            labels[label] = held if not_here and held in versions else wanted
        return labels

    def _swap(self, head: bytes, models: Mapping[str, ModelStatus]) -> None:
        before = self.snapshot
        self.snapshot = before.changed(head, models)
        self.swaps += models.keys() != before.models.keys() or any(m is not before.models[n] for n, m in models.items())
        for name, held in before.default.items():
            if self.snapshot.default.get(name) is not held:
                self.residents.superseded((name, held.manifest.version))
        for key in self.residents.all():
            status = self.snapshot.status(key)
            if status is None or status.loaded is None:
                self.residents.gone(key)

    def _make_room(self, newest: Key | None = None) -> None:
        leaving = dict(self.residents.leaving(self.snapshot.is_pinned, newest))
        if leaving:
            self.snapshot = self.snapshot.without(leaving)
            self.swaps += 1
        for (name, version), why in leaving.items():
            self.residents.gone((name, version))
            log.info("version left memory", extra={"model": name, "version": version, "reason": why})
