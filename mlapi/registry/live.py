"""The live registry: which versions answer now, followed from disk without a lock on the way to them.

A snapshot is immutable and swapped whole; readers take one reference. A version answers only once it
is verified, parsed, proven on its golden rows and therefore warm. What answers by default or by a label
is loaded beside the requests; any other version is known from its folder alone until it is asked for.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from mlapi.errors import ModelNotFound, ModelNotReady, RegistryError
from mlapi.inference.values import Target
from mlapi.registry.arrivals import Arrivals
from mlapi.registry.catalogue import Catalogue
from mlapi.registry.handover import Handover
from mlapi.registry.loading import LARGEST_ARTIFACT, LoadedModel
from mlapi.registry.residents import Key, give_back
from mlapi.registry.status import ModelStatus, VersionStatus
from mlapi.registry.store import Store, nearest
from mlapi.registry.supply import Supply
from mlapi.registry.survey import Shelf, Survey

RESCAN_SECONDS = 10.0
EAGER_MODELS = 64
"""As many models, at most, have their default loaded at the start; in a larger registry the labelled ones have."""

LOADING, UNREAD = "it is being loaded", "the registry cannot be read; what is loaded answers"

log = logging.getLogger("mlapi.registry")


class LiveRegistry:
    """Follows a store; gives the loaded model that a target means.

    `preload` reads and parses, and never predicts: for the process that forks the workers, since a
    thread pool of OpenMP does not survive a fork (scikit-learn FAQ, "Why do I sometimes get a
    crash/freeze with n_jobs > 1"). `start` proves, warms and follows: in each worker, after the fork.
    """

    def __init__(
        self, store: Store, poll_seconds: float = 0.5, largest: int = LARGEST_ARTIFACT, room: int | None = None,
        *, plans: bool = True,
    ) -> None:
        self._store = store
        self._survey = Survey(store)
        self._poll_seconds = poll_seconds
        self._catalogue = Catalogue(room)
        self._supply = Supply(store, largest, plans=plans)
        self._arrivals, self.residents = Arrivals(self._arrive), self._catalogue.residents
        self._warm, self._unsettled = set[str](), set[str]()
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._handover = Handover(store, plans=plans)
        self._started_in: int | None = None
        self._there: set[Key] = set()
        self.hand_over: Callable[[Key], object] | None = None
        self.left: Callable[[Key], object] = lambda _: None
        self.divided: Callable[[str], Iterable[int]] = lambda _: ()

    # -- for requests -------------------------------------------------------------------------

    def ready(self, target: Target) -> LoadedModel | None:
        """Return the model that `target` means if it is in memory: look-ups in dictionaries, and never a wait."""
        return self._catalogue.find(target)

    def get(self, target: Target) -> LoadedModel:
        """Return the model that `target` means, loaded now where it is not in memory.

        Raises ModelNotFound, VersionNotFound or LabelNotFound for what the registry has not, and
        ModelNotReady with the reason for what it has but cannot serve, or not within ten seconds.
        """
        found = self.ready(target)
        if found is not None:
            return found
        model = self.model(target.model)
        if target.version is None and target.label is None:
            return self._default(model)
        version = target.version if target.label is None else model.labelled(target.label)
        status = model.require(version or 0)
        self.residents.asked((model.name, status.version))
        status = self._wanted(model, status)
        if status.loaded is None:
            raise ModelNotReady(model.name, version, status.reason)
        return status.loaded

    def expect(self, name: str, version: int) -> None:
        """Begin to load a version that requests will soon ask for, and count it as asked for; no wait, no error."""
        key, status = (name, version), self._catalogue.snapshot.status((name, version))
        if status is not None and status.state != "UNAVAILABLE":
            self.residents.asked(key)
            if status.loaded is None:
                self._arrivals.begin(key)

    def _default(self, model: ModelStatus) -> LoadedModel:
        self._warm.add(model.name)
        for status in reversed(list(model.versions.values())):
            found = self._wanted(model, status).loaded
            if found is not None:
                return found
        newest = list(self.model(model.name).versions.values())[-1]
        raise ModelNotReady(model.name, None, f"version {newest.version}: {newest.reason}")

    def _wanted(self, model: ModelStatus, status: VersionStatus) -> VersionStatus:
        """Return the status of a version once it is loaded, or refused."""
        if status.loaded is not None or status.state == "UNAVAILABLE":
            return status
        found = self._arrivals.wait((model.name, status.version))
        if found is None:
            raise ModelNotReady(model.name, status.version, LOADING)
        return found

    def model(self, name: str) -> ModelStatus:
        """Return the status of a model; ModelNotFound where the registry has no version of it."""
        found = self._catalogue.snapshot.models.get(name)
        if found is None:
            self._store.seen.require()
            raise ModelNotFound(name, nearest(name, self._catalogue.snapshot.models))
        return found

    def models(self) -> tuple[ModelStatus, ...]:
        """Return the status of every model, by name."""
        return tuple(self._catalogue.snapshot.models.values())

    @property
    def token(self) -> int:
        """A number that is another one after every change of what is served: for what is derived from it."""
        return self._catalogue.swaps

    def is_ready(self) -> bool:
        """Tell whether this process has loaded what it must before it answers. Refused versions do not count."""
        return self._started_in == os.getpid()

    def require(self, name: str) -> None:
        """Raise ModelNotFound where the disk has no version of a model, also one that is not followed yet."""
        self._store.require(name)

    # -- for the processes --------------------------------------------------------------------

    def preload(self) -> None:
        """Verify and parse what answers by default, a label or a rollout, proving none; `start` takes it from here.

        Again, it keeps what it has read and still is so: for a server that replaces its workers.
        """
        head, shelves = self._store.head(), self._survey.look()
        self._store.head()  # as in _refresh
        self._unsettled |= self._catalogue.take(head, shelves)
        with self._supply.collecting() as parse:
            for name, shelf in shelves.items():
                for version in (*(shelf.labels or {}).values(), *self.divided(name)):
                    parse((name, version))
                if len(shelves) <= EAGER_MODELS:
                    any(parse((name, version)) for version in reversed(shelf.versions))
        give_back()  # what came before, and what reading took besides

    def preloaded(self) -> tuple[LoadedModel, ...]:
        """Return what `preload` has read and `start` has not yet taken, by name and version."""
        return self._supply.parsed()

    def shelves(self) -> Mapping[str, Shelf]:
        """Return what the disk held when it was last looked at, by model."""
        return self._catalogue.shelves

    def start(self) -> None:
        """Load, prove and warm what must answer at once, then follow the registry in a thread; once a process."""
        if self._started_in == os.getpid():
            return
        with self._lock:
            if self._started_in == os.getpid():
                return
            try:
                self._refresh(whole=False)
            except (OSError, RegistryError) as error:
                log.warning(UNREAD, extra={"error": str(error)})
                self._settle()
            self._started_in = os.getpid()
            states = [status.state for model in self.models() for status in model.versions.values()]
            counts = {"loaded": len(self.residents), "refused": states.count("UNAVAILABLE")}
            log.info("registry ready", extra={"versions": len(states), **counts})
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

        Loaded again is what answers by default or by a label, what is in memory, and what was refused;
        files of other versions are only looked at. Only a version that must load (`Store.needed`) fails its
        model. One that fails to load again keeps answering as it did, with the reason in its status.
        """
        names = set(again)
        with self._lock:
            self._catalogue.unload(unloaded)
            self._refresh(whole=bool(names), settle=False)
            failures = {name: reason for name in names if (reason := self._reload(name))}
            self._settle()
        return failures

    def _reload(self, name: str) -> str:
        shelf, model = self._catalogue.shelves.get(name), self._catalogue.snapshot.models.get(name)
        if shelf is None or model is None:
            return ""
        refused = [status.version for status in model.versions.values() if status.state == "UNAVAILABLE"]
        needed = self._store.needed(name)
        due = {*self.residents.of(name), *refused, *needed}
        failed = []
        for version in shelf.versions:
            held = model.versions[version].loaded
            status = self._load((name, version), held) if version in due else self._supply.inspected((name, version))
            failed += [f"version {version}: {status.reason}"] if status.reason and version in needed else []
            if status.loaded is None and held is not None:  # it answers as it did
                status = replace(model.versions[version], reason=status.reason)
            if version in due or status.reason:
                self._put((name, version), status)
        self._warm.add(name)
        self._unsettled.add(name)
        return "; ".join(failed)

    def _follow(self, stop: threading.Event) -> None:
        quiet_for, reachable = 0.0, True
        while not stop.wait(self._poll_seconds):
            quiet_for += self._poll_seconds
            try:
                whole, known = quiet_for >= RESCAN_SECONDS, self._catalogue.snapshot.head
                if self._store.head() != known or whole or self._store.seen.comebacks != self._catalogue.comebacks:
                    with self._lock:
                        self._refresh(whole=whole)
                    quiet_for = 0.0
                reachable = True
            except Exception as error:
                if reachable:  # once, not twice a second
                    is_odd = not isinstance(error, OSError | RegistryError)
                    log.warning(UNREAD, extra={"error": str(error)}, exc_info=is_odd)
                reachable = False
            self._catalogue.make_room(self._supply.size)
            self._let_go()

    def _refresh(self, *, whole: bool = True, settle: bool = True) -> None:
        """Take out what is gone and note what is new, then bring in what must answer at once."""
        head, shelves = self._store.head(), self._survey.look(whole=whole)
        changed = self._catalogue.changed(self._store.fingerprint, self._store.seen.comebacks)
        self._store.head()  # a disk that went meanwhile looks as if all was deleted
        self._supply.unparse(changed)
        self._unsettled |= self._catalogue.take(head, shelves, changed)
        self._let_go()
        if len(shelves) <= EAGER_MODELS:
            self._warm |= shelves.keys()
        if settle:
            self._settle()
        self._let_go()

    def _let_go(self) -> None:
        """Tell who may keep something of a version that it has left memory, and give its bytes back."""
        there = set(self.residents.all())
        gone, self._there = self._there - there, there
        for key in gone:
            self.left(key)
        if gone:
            give_back()

    def _settle(self) -> None:
        """Load what answers by a label or by default, each until one does; what fails is tried at the next change."""
        for name in list(self._unsettled):
            while (version := self._catalogue.missing(name, default=name in self._warm)) is not None:
                self._catalogue.put(name, VersionStatus(version, "LOADING", LOADING))
                if self._is_handed_over((name, version)):
                    break
                self._arrivals.now((name, version))
            else:
                self._unsettled.discard(name)
        self._supply.forget_but(self.residents.all())

    def _is_handed_over(self, key: Key) -> bool:
        ask = self.hand_over
        return ask is not None and self._started_in == os.getpid() and self._handover.waits(key, ask)

    def _arrive(self, key: Key) -> VersionStatus:
        status = self._load(key)
        self._put(key, status)
        return status

    def _put(self, key: Key, status: VersionStatus) -> None:
        self._catalogue.put(key[0], status, 0 if status.loaded is None else self._supply.size(key, status.loaded))
        if status.loaded is not None and not self._supply.is_shared(key, status.loaded):
            give_back()  # what reading it took besides, and what left for it

    def _load(self, key: Key, held: LoadedModel | None = None) -> VersionStatus:
        status = self._supply.load(key, held)
        if status.loaded is not None and self._started_in == os.getpid():  # at the start one line tells of all
            log.info("version ready", extra={"model": key[0], "version": key[1]})
        return status
