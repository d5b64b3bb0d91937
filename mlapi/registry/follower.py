"""The one who obeys: carries the standing orders of a server into the live registry of this process."""

import logging
import os
import threading
from collections.abc import Callable

from mlapi.errors import RegistryError
from mlapi.registry.live import LiveRegistry
from mlapi.registry.orders import Orders, Standing
from mlapi.registry.residents import Key

POLL_SECONDS = 0.05

log = logging.getLogger("mlapi.registry")


class Follower:
    """Looks for orders twenty times a second, and confirms what it has done."""

    def __init__(self, orders: Orders, live: LiveRegistry) -> None:
        self._orders, self._live = orders, live
        self._done = Standing()
        self._failures: dict[str, str] = {}
        self._lock = threading.Lock()
        self._started_in: int | None = None
        self._ended = threading.Event()

    def start(self) -> None:
        """Obey what stands, confirm it, and follow in a thread; once a process, after the fork.

        An order given while this process is still loading waits for it: it says that it is there first.
        """
        if self._started_in == os.getpid():
            return
        with self._lock:
            if self._started_in == os.getpid():
                return
            try:
                self._orders.obeyed(Standing().serial, {})
                standing = self._orders.standing()
                self._live.obey(standing.unloaded)
                self._orders.obeyed(standing.serial, {})
                self._done = standing
            except (OSError, RegistryError) as error:  # a process without its registry still answers
                log.warning("orders cannot be obeyed yet", extra={"error": str(error)})
            threading.Thread(target=self._follow, name="mlapi-orders", daemon=True).start()
            self._started_in = os.getpid()

    def stop(self) -> None:
        """End following; orders stand until another process starts."""
        self._ended.set()

    def share(self, replace_workers: Callable[[], None]) -> None:
        """Have large versions read once for all workers, by the process that forks them.

        `replace_workers` is called once a version, in the worker that sees it first: the process that forks
        then calls `LiveRegistry.preload` and replaces the workers by new ones.
        """
        def ask(key: Key) -> None:
            if self._orders.is_first(*key):
                log.info("new workers will share it", extra={"model": key[0], "version": key[1]})
                replace_workers()

        self._live.hand_over = ask

    def _follow(self) -> None:
        reachable = True
        while not self._ended.wait(POLL_SECONDS):
            try:
                self._obey(self._orders.standing())
                reachable = True
            except (OSError, RegistryError) as error:  # not confirmed, and tried again
                if reachable:
                    log.warning("orders cannot be obeyed", extra={"error": str(error)})
                reachable = False

    def _obey(self, standing: Standing) -> None:
        """Do what is new; what failed is told until that model is loaded again, since orders may overtake."""
        if standing.serial == self._done.serial:
            return
        again = [name for name, serial in standing.loads.items() if serial > self._done.loads.get(name, 0)]
        failures = self._live.obey(standing.unloaded, again)
        self._failures = {name: why for name, why in self._failures.items() if name not in again} | failures
        self._orders.obeyed(standing.serial, self._failures)
        self._done = standing
