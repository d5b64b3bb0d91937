"""The loaded registry: which versions answer now, followed from disk without a lock on the way to them.

A snapshot is immutable and swapped whole; readers take one reference. A version enters it as READY
only verified, parsed, proven on its golden rows and therefore warm, so a reader never waits for a load.
"""

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from mlapi.errors import ModelNotFound, ModelNotReady, NotFound, RegistryError, VersionRefused
from mlapi.inference.values import Target
from mlapi.registry import loading
from mlapi.registry.loading import LARGEST_ARTIFACT, LoadedModel
from mlapi.registry.status import ModelStatus, VersionStatus
from mlapi.registry.store import Store, nearest

RESCAN_SECONDS = 10.0
UNLOADED = "unloaded"
_NOT_YET = "it is being loaded"

log = logging.getLogger("mlapi.registry")


@dataclass(frozen=True, slots=True)
class _Snapshot:
    head: bytes = b""
    models: Mapping[str, ModelStatus] = field(default_factory=dict)
    default: Mapping[str, LoadedModel] = field(default_factory=dict)


class LiveRegistry:
    """Follows a store; gives the loaded model that a target means.

    `preload` reads and parses, and never predicts: for the process that forks the workers, since a
    thread pool of OpenMP does not survive a fork (scikit-learn FAQ, "Why do I sometimes get a
    crash/freeze with n_jobs > 1"). `start` proves, warms and follows: in each worker, after the fork.
    """

    def __init__(
        self, store: Store, poll_seconds: float = 0.5, largest: int = LARGEST_ARTIFACT, *, plans: bool = True,
    ) -> None:
        self._store = store
        self._poll_seconds = poll_seconds
        self._largest = largest
        self._plans = plans
        self._snapshot = _Snapshot()
        self._swaps = 0
        self._unproven: dict[tuple[str, int], LoadedModel] = {}
        self._unloaded: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._started_in: int | None = None
        self._stop = threading.Event()

    # -- for requests -------------------------------------------------------------------------

    def get(self, target: Target) -> LoadedModel:
        """Return the model that `target` means; a look-up in dictionaries.

        Raises ModelNotFound, VersionNotFound or LabelNotFound for what the registry has not, and
        ModelNotReady with the reason for what it has but cannot serve.
        """
        version = target.version
        if version is None and target.label is None:
            loaded = self._snapshot.default.get(target.model)
            if loaded is not None:
                return loaded
        model = self.model(target.model)
        if target.label is not None:
            version = model.labelled(target.label)
        if version is None:
            raise ModelNotReady(target.model, None, self._why_not(model))
        return self._ready(model, version)

    def ready(self, target: Target) -> LoadedModel | None:
        """Return the model that `target` means if it is loaded, else None; a look-up in dictionaries."""
        if target.version is None and target.label is None:
            return self._snapshot.default.get(target.model)
        try:
            return self.get(target)
        except (NotFound, ModelNotReady):
            return None

    def model(self, name: str) -> ModelStatus:
        """Return the status of a model; ModelNotFound where the registry has no version of it."""
        found = self._snapshot.models.get(name)
        if found is None:
            raise ModelNotFound(name, nearest(name, self._snapshot.models))
        return found

    def models(self) -> tuple[ModelStatus, ...]:
        """Return the status of every model, by name."""
        return tuple(self._snapshot.models.values())

    @property
    def token(self) -> int:
        """A number that is another one after every change of what is served: for what is derived from it."""
        return self._swaps

    def is_ready(self) -> bool:
        """Tell whether every version that can be loaded is: none is waiting. Refused ones do not count."""
        loading_now = any(s.state == "LOADING" for m in self.models() for s in m.versions.values())
        return self._started_in == os.getpid() and not loading_now

    def require(self, name: str) -> None:
        """Raise ModelNotFound where the disk has no version of a model, also one that is not followed yet."""
        if name not in self._store.models():
            raise ModelNotFound(name, nearest(name, self._snapshot.models))

    # -- for the processes --------------------------------------------------------------------

    def preload(self) -> None:
        """Verify and parse every version, proving none; `start` takes them from here."""
        for name in self._store.models():
            for version in self._store.versions(name):
                try:
                    loaded = loading.load(self._store, name, version, self._largest, plans=self._plans)
                    self._unproven[name, version] = loaded
                except VersionRefused:
                    continue  # start() meets it again and reports it

    def preloaded(self) -> tuple[LoadedModel, ...]:
        """Return what `preload` has read and `start` has not yet taken."""
        return tuple(self._unproven.values())

    def start(self) -> None:
        """Load, prove and warm what is there, then follow the registry in a thread; once a process."""
        if self._started_in == os.getpid():
            return
        with self._lock:
            if self._started_in == os.getpid():
                return
            self._refresh()
            self._started_in = os.getpid()
            states = [status.state for model in self.models() for status in model.versions.values()]
            log.info("registry ready", extra={"versions": len(states), "refused": states.count("UNAVAILABLE")})
        self._stop = threading.Event()
        threading.Thread(target=self._follow, args=(self._stop,), name="mlapi-registry", daemon=True).start()

    def stop(self) -> None:
        """End following; what is loaded keeps answering."""
        self._stop.set()

    def refresh(self) -> None:
        """Bring the snapshot up to date with the disk now."""
        with self._lock:
            self._refresh()

    def obey(self, unloaded: frozenset[str], again: Iterable[str] = ()) -> dict[str, str]:
        """Stop answering for `unloaded` models and load `again` those named; return what failed, by model.

        Only a version that must load (`Store.needed`) fails its model. A version that fails to load again
        keeps answering as it did, with the reason in its status.
        """
        with self._lock:
            self._unloaded = unloaded
            failures = {name: reason for name in again if (reason := self._reload(name))}
            self._refresh()
        return failures

    def _reload(self, name: str) -> str:
        model = self._snapshot.models.get(name, ModelStatus(name, {}, {}))
        versions = dict(model.versions)
        failed, needed = [], self._store.needed(name)
        for version in self._store.versions(name):
            status = self._load(name, version)
            failed += [f"version {version}: {status.reason}"] if status.reason and version in needed else []
            answering = versions[version].loaded if version in versions and status.loaded is None else None
            versions[version] = status if answering is None else replace(versions[version], reason=status.reason)
        self._swap(self._snapshot.head, {**self._snapshot.models, name: replace(model, versions=versions)})
        return "; ".join(failed)

    def _follow(self, stop: threading.Event) -> None:
        quiet_for = 0.0
        reachable = True
        while not stop.wait(self._poll_seconds):
            quiet_for += self._poll_seconds
            try:
                if self._store.head() != self._snapshot.head or quiet_for >= RESCAN_SECONDS:
                    self.refresh()
                    quiet_for = 0.0
                reachable = True
            except (OSError, RegistryError) as error:
                if reachable:  # once, not twice a second
                    log.warning("the registry cannot be read; what is loaded answers", extra={"error": str(error)})
                reachable = False

    def _refresh(self) -> None:
        """Take out what is gone, then bring in what is new, one version after the other."""
        head = self._store.head()
        scanned = [self._scan(name) for name in self._store.models()]
        self._swap(head, {model.name: model for model in scanned if model.versions})  # it may just have lost its last
        for name, version in list(self._waiting()):
            status = self._load(name, version)
            model = self._snapshot.models[name]
            versions = {**model.versions, version: status}
            labels = self._labels(name, versions)
            self._swap(head, {**self._snapshot.models, name: ModelStatus(name, versions, labels)})

    def _scan(self, name: str) -> ModelStatus:
        if name in self._unloaded:
            unloaded = {n: VersionStatus(n, "UNAVAILABLE", UNLOADED) for n in self._store.versions(name)}
            return ModelStatus(name, unloaded, self._labels(name, unloaded))
        known = self._snapshot.models.get(name, ModelStatus(name, {}, {})).versions
        versions = {}
        for version in self._store.versions(name):
            status = known.get(version, VersionStatus(version, "LOADING", _NOT_YET))
            if status.state == "UNAVAILABLE" and status.fingerprint != self._store.fingerprint(name, version):
                status = replace(status, state="LOADING", reason=_NOT_YET)  # its files were mended
            versions[version] = status
        return ModelStatus(name, versions, self._labels(name, versions))

    def _labels(self, name: str, versions: Mapping[int, VersionStatus]) -> dict[str, int]:
        """Labels as on disk, but one whose version is not ready, or refused here, stays where it pointed."""
        before = self._snapshot.models.get(name, ModelStatus(name, {}, {})).labels
        try:
            on_disk = self._store.labels(name)
        except RegistryError as error:
            log.warning("labels not followed", extra={"model": name, "reason": str(error)})
            return {label: held for label, held in before.items() if held in versions}
        labels = {}
        for label, wanted in on_disk.items():
            held = before.get(label, wanted)
            not_here = wanted in versions and versions[wanted].state != "READY"
            labels[label] = held if not_here and held in versions else wanted
        return labels

    def _waiting(self) -> Iterator[tuple[str, int]]:
        for model in self._snapshot.models.values():
            for status in model.versions.values():
                if status.state == "LOADING":
                    yield model.name, status.version

    def _load(self, name: str, version: int) -> VersionStatus:
        fingerprint = self._store.fingerprint(name, version)
        try:
            loaded = self._unproven.pop((name, version), None)
            loaded = loaded or loading.load(self._store, name, version, self._largest, plans=self._plans)
            loaded.prove()
        except VersionRefused as error:
            log.warning("version refused", extra={"model": name, "version": version, "reason": error.reason})
            return VersionStatus(version, "UNAVAILABLE", error.reason, None, fingerprint)
        if self._started_in == os.getpid():  # at the start one line tells of all
            log.info("version ready", extra={"model": name, "version": version})
        return VersionStatus(version, "READY", "", loaded, fingerprint)

    def _swap(self, head: bytes, models: Mapping[str, ModelStatus]) -> None:
        default = {}
        for model in models.values():
            ready = [status.loaded for status in model.versions.values() if status.loaded is not None]
            if ready:
                default[model.name] = ready[-1]
        self._snapshot = _Snapshot(head, models, default)
        self._swaps += 1

    @staticmethod
    def _ready(model: ModelStatus, version: int) -> LoadedModel:
        status = model.require(version)
        if status.loaded is None:
            raise ModelNotReady(model.name, version, status.reason)
        return status.loaded

    @staticmethod
    def _why_not(model: ModelStatus) -> str:
        newest = list(model.versions.values())[-1]
        return f"version {newest.version}: {newest.reason}"
