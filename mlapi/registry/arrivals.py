"""Versions on their way into memory: each is loaded once, however many wait for it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future

from mlapi.registry.residents import Key
from mlapi.registry.status import VersionStatus

PATIENCE_SECONDS = 10.0
"""How long a request waits for a version; the loading goes on after it."""

AT_ONCE = 2
MOST = 16
"""Loads that requests have under way or in line; beyond them a request is told to come back."""


class Arrivals:
    """Calls `arrive` for a version that somebody wants; it must not raise."""

    def __init__(self, arrive: Callable[[Key], VersionStatus], patience: float = PATIENCE_SECONDS) -> None:
        self._arrive = arrive
        self._patience = patience
        self._pending: dict[Key, Future[VersionStatus]] = {}
        self._lock = threading.Lock()
        self._lanes = threading.Semaphore(AT_ONCE)

    def wait(self, key: Key) -> VersionStatus | None:
        """Return the status of a version once it has arrived; None where that takes too long, or the line is full.

        The load has a thread of its own, so that it ends whoever stops waiting.
        """
        pending = self.begin(key)
        try:
            return None if pending is None else pending.result(self._patience)
        except TimeoutError:
            return None

    def begin(self, key: Key) -> "Future[VersionStatus] | None":
        """Return the status to come of a version; None where the line is full."""
        with self._lock:
            pending = self._pending.get(key)
            if pending is None:
                if len(self._pending) >= MOST:
                    return None
                pending = self._pending[key] = Future()
                threading.Thread(target=self._in_line, args=(key, pending), name="mlapi-load", daemon=True).start()
            return pending

    def now(self, key: Key) -> VersionStatus:
        """Return the status of a version, loaded in this thread unless that is under way elsewhere."""
        with self._lock:
            pending = self._pending.get(key)
            mine = pending is None
            pending = self._pending.setdefault(key, Future())
        if mine:
            self._bring(key, pending)
        return pending.result()

    def _in_line(self, key: Key, pending: Future[VersionStatus]) -> None:
        with self._lanes:
            self._bring(key, pending)

    def _bring(self, key: Key, pending: Future[VersionStatus]) -> None:
        try:
            status = self._arrive(key)
        except BaseException as error:  # noqa: BLE001 (whoever waits is told)
            self._leave(key)
            pending.set_exception(error)
        else:
            self._leave(key)  # first: who is told may ask again at once
            pending.set_result(status)

    def _leave(self, key: Key) -> None:
        with self._lock:
            del self._pending[key]
