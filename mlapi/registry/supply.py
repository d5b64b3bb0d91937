"""The way of a version into memory: parsed before the fork or now, then proven; and what came of it."""

import logging
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from mlapi.errors import RegistryGone, VersionRefused
from mlapi.registry import loading
from mlapi.registry.loading import LoadedModel
from mlapi.registry.residents import Key
from mlapi.registry.status import VersionStatus
from mlapi.registry.store import Store

log = logging.getLogger("mlapi.registry")


class Supply:
    """Loads versions of a store, through their `plans` if so; files beyond `largest` bytes are refused."""

    def __init__(self, store: Store, largest: int, *, plans: bool = True) -> None:
        self._store = store
        self._largest = largest
        self._plans = plans
        self._parsed: dict[Key, LoadedModel] = {}
        self._parsed_in: int | None = None
        self._shared: dict[Key, LoadedModel] = {}

    @contextmanager
    def collecting(self) -> Iterator[Callable[[Key], bool]]:
        """Give a function that verifies and parses a version, and tells whether it could.

        In the end it is these versions that are kept for `load`, here and in processes that are forked from
        this one. One that was kept already is verified again and not parsed twice.
        """
        before, parsed = self._parsed, dict[Key, LoadedModel]()

        def parse(key: Key) -> bool:
            if key not in parsed:
                try:
                    parsed[key] = self._read(key, before.get(key))
                except VersionRefused:
                    return False  # load() meets it again and reports it
            return True

        yield parse
        self._parsed, self._parsed_in = parsed, os.getpid()

    def parsed(self) -> tuple[LoadedModel, ...]:
        """Return what is kept and was not loaded yet, by name and version."""
        return tuple(self._parsed[key] for key in sorted(self._parsed))

    def load(self, key: Key, held: LoadedModel | None = None) -> VersionStatus:
        """Return the status of a version after every check: files, manifest, parse, golden rows.

        `held` is the version as it is in memory: it stays where its files are verified and the same.
        """
        fingerprint = self._store.fingerprint(*key)
        about = {"model": key[0], "version": key[1]}
        try:
            loaded = self._parsed.pop(key, None)
            if loaded is not None and self._parsed_in != os.getpid():
                self._shared[key] = loaded
            loaded = loaded or self._read(key, held)
            loaded.prove()
        except VersionRefused as error:
            reason = self._reason(error)
            log.warning("version refused", extra={**about, "reason": reason})
            return VersionStatus(key[1], "UNAVAILABLE", reason, None, fingerprint)
        except (Exception, SystemExit) as error:
            log.exception("version refused", extra=about)
            reason = f"loading it failed ({type(error).__name__})"
            return VersionStatus(key[1], "UNAVAILABLE", reason, None, fingerprint)
        return VersionStatus(key[1], "READY", "", loaded, fingerprint)

    def _reason(self, error: VersionRefused) -> str:
        """Return why a version is refused: where all of the registry is gone, that is why."""
        try:
            self._store.head()
        except RegistryGone as gone:
            return str(gone)
        return error.reason

    def inspected(self, key: Key) -> VersionStatus:
        """Return the status of a version that is on disk only: refused where its manifest or a file's size is wrong.

        Nothing is read but manifests, so that looking at thousands takes seconds; the digests are for `load`.
        """
        fingerprint = self._store.fingerprint(*key)
        try:
            loading.inspect(self._store, *key, self._largest)
        except VersionRefused as error:
            return VersionStatus(key[1], "UNAVAILABLE", error.reason, None, fingerprint)
        return VersionStatus(key[1], "READY")

    def size(self, key: Key, loaded: LoadedModel) -> int:
        """Return about how many bytes a version takes that other processes do not share."""
        return size_of(loaded, shared=self.is_shared(key, loaded))

    def is_shared(self, key: Key, loaded: LoadedModel) -> bool:
        """Tell whether a version was parsed before the fork, so that its pages are also other processes'."""
        return self._shared.get(key) is loaded

    def unparse(self, keys: Collection[Key]) -> None:
        """Let go of what was parsed before of versions that are others now."""
        for key in keys:
            self._parsed.pop(key, None)

    def forget_but(self, keys: Collection[Key]) -> None:
        """Let go of all shared versions but these."""
        self._shared = {key: loaded for key, loaded in self._shared.items() if key in keys}

    def _read(self, key: Key, held: LoadedModel | None) -> LoadedModel:
        if held is not None and loading.check(self._store, *key, self._largest)[0] == held.manifest:
            return held
        return loading.load(self._store, *key, self._largest, plans=self._plans)


def size_of(loaded: LoadedModel, *, shared: bool = False) -> int:
    """Return about how many bytes of a process's own a version takes: by its plan, and by its estimator once loaded.

    Of a `shared` version that is only the estimator behind a plan, which is loaded after the fork.
    """
    planned = loaded.planned
    estimator = loading.bytes_of(loaded.manifest, plans=False)
    if planned is None:
        return 0 if shared else estimator
    plan = 0 if shared else loading.bytes_of(loaded.manifest, plans=True) + planned.derived_bytes
    return plan + (estimator if planned.is_native_loaded else 0)
