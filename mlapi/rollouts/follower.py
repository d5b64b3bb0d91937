"""How every worker follows the rollouts on disk, says how far it is, and writes down what it counted.

One thread a process, started after the fork. It reads the registry's HEAD twice a second and the
rollouts when that changed, every ten seconds in any case; it keeps one small file in each rollout's
folder, which holds its counters and the generation it follows.
"""

import json
import logging
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from mlapi.errors import MlapiError, RegistryError, RolloutConflict
from mlapi.registry import durable
from mlapi.rollouts import transitions
from mlapi.rollouts.counters import Counters
from mlapi.rollouts.division import Division
from mlapi.rollouts.document import Rollout
from mlapi.rollouts.generations import WORKERS, Generations
from mlapi.rollouts.moments import moment
from mlapi.rollouts.recall import Recall
from mlapi.rollouts.router import Router
from mlapi.rollouts.transitions import Reason

POLL_SECONDS = 0.5
RESCAN_SECONDS = 10.0
WRITE_SECONDS = 1.0
BEAT_SECONDS = 2.0

log = logging.getLogger("mlapi.rollouts")


@dataclass(slots=True)
class _Written:
    """What was last written of a rollout, and when (monotonic seconds)."""

    generation: int = 0
    changes: int = -1
    at: float = 0.0
    beat: int = 0


class RolloutFollower:
    """Keeps a router in step with the registry; `wall` and `monotonic` are its clocks, in seconds.

    `heard` is when the registry was last read, or this process began, on the monotonic clock; None before that.
    `recall` keeps what was read for processes that begin while the registry is gone.
    """

    def __init__(  # noqa: PLR0913 (what it is built of)
        self, generations: Generations, router: Router, counters: Counters,
        wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic, *,
        recall: Recall | None = None,
    ) -> None:
        self._generations, self._router, self._counters, self._recall = generations, router, counters, recall
        self._wall, self._monotonic = wall, monotonic
        self._head: bytes | None = None
        self._scanned = 0.0
        self._damaged: frozenset[str] = frozenset()
        self._reachable, self._writable = True, True
        self.heard: float | None = None
        self._written: dict[str, _Written] = {}
        self._trips: dict[str, int] = {}
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._started_in: int | None = None
        self._ended = threading.Event()

    def start(self) -> None:
        """Read what is there and follow it in a thread; once a process, after the fork."""
        if self._started_in == os.getpid():
            return
        with self._lock:
            if self._started_in == os.getpid():
                return
            self._written, self._started_in, self.heard = {}, os.getpid(), self._monotonic()
            self._remember()
        self.tick()
        threading.Thread(target=self._follow, name="mlapi-rollouts", daemon=True).start()

    def stop(self) -> None:
        """End following; what is known stays in force."""
        self._ended.set()
        self._wake.set()

    def trip(self, rollout_id: str, failures: int) -> None:
        """Ask this candidate no more, and roll it back as soon as the thread gets to it; touches no disk."""
        self._router.avoid(rollout_id)
        self._trips[rollout_id] = failures
        self._wake.set()

    def tick(self) -> None:
        """Roll back what tripped, read what changed, write what was counted; once."""
        with self._lock:
            self._roll_back()
            self._read()
            self.write()

    def write(self) -> None:
        """Write the counters and the generation of every rollout that divides traffic, where they are due."""
        try:
            for division in list(self._router.divisions.values()):
                self._write(division.rollout)
            self._writable = True
        except OSError as error:
            if self._writable:
                log.warning("rollout counters cannot be written", extra={"error": str(error)})
            self._writable = False

    def flush(self) -> None:
        """Write what was counted since, due or not: when the process ends."""
        for written in self._written.values():
            written.at = 0.0
        self.write()

    def _follow(self) -> None:
        jitter = random.Random()  # noqa: S311 (so that workers do not read at once; the module's own is not ours)
        while not self._ended.is_set():
            self._wake.wait(POLL_SECONDS * jitter.uniform(0.8, 1.2))
            self._wake.clear()
            try:
                self.tick()
            except Exception:
                log.exception("following the rollouts failed")

    def _roll_back(self) -> None:
        for division in list(self._router.divisions.values()):
            failures = self._trips.get(division.rollout.id)
            if failures is None:
                continue
            why = f"{failures} of the last requests to the candidate failed in one worker"
            reason = Reason("breaker", why, moment(self._wall()), {"failures": float(failures)})
            try:
                self._generations.change(division.rollout, lambda now: transitions.roll_back(now, reason))  # noqa: B023 (called at once)
                log.error("rolled back", extra={"rollout": division.rollout.id, "reason": why})
            except RolloutConflict:
                pass  # it has ended already
            except (MlapiError, OSError) as error:
                if self._writable:  # once, not twice a second
                    name = division.rollout.id
                    log.warning("a rollback cannot be written", extra={"rollout": name, "error": str(error)})
                self._writable = False
                continue
            del self._trips[division.rollout.id]

    def _read(self) -> None:
        try:
            head = self._generations.store.head()
            if head != self._head or self._monotonic() - self._scanned > RESCAN_SECONDS:
                self._refresh()
                self._head, self._scanned = head, self._monotonic()
            self._reachable, self.heard = True, self._monotonic()
        except (OSError, RegistryError) as error:
            if self._reachable:
                log.warning("rollouts cannot be read; what is known holds for 30 s", extra={"error": str(error)})
            self._reachable = False
            return
        self._router.heard(frozenset(self._router.divisions) - self._damaged)

    def _remember(self) -> None:
        """Take up what others knew; until the registry is heard of only the controls answer."""
        head, rollouts = (b"", ()) if self._recall is None else self._recall.read()
        seen = self._generations.store.seen
        seen.known = seen.known or head
        self._router.follow({rollout.model: Division.of(rollout, None) for rollout in rollouts})
        self._router.unheard(frozenset(rollout.model for rollout in rollouts))

    def _refresh(self) -> None:
        before, divisions, damaged = self._router.divisions, {}, set()
        for model in self._generations.store.folders():
            try:
                current = self._generations.current(model)
            except RegistryError as error:
                damaged.add(model)
                if model not in self._damaged:
                    log.warning("a rollout cannot be read", extra={"model": model, "error": str(error)})
                if model in before:
                    divisions[model] = before[model]
                continue
            if current is not None:
                divisions[model] = self._division(current, before.get(model))
        self._generations.store.head()  # a disk that went meanwhile looks as if all was deleted
        self._damaged = frozenset(damaged)
        self._router.heard(divisions.keys() - damaged)
        self._router.follow(divisions)
        rollouts = [division.rollout for division in divisions.values()]
        slow = {rollout.id: one.limit for rollout in rollouts for one in rollout.guardrails if one.name == "slow"}
        self._counters.limit({name: limit for name, limit in slow.items() if limit is not None})
        self._counters.forget(frozenset(rollout.id for rollout in rollouts))
        if self._recall is not None:
            self._recall.keep(self._generations.store.seen.known, rollouts)

    def _division(self, rollout: Rollout, before: Division | None) -> Division:
        if before is not None and before.rollout == rollout and before.secret is not None:
            return before
        secret = self._generations.secret(rollout) if rollout.is_active else None
        if secret is None and rollout.is_active and (before is None or before.rollout.id != rollout.id):
            log.warning("the secret cannot be read; answers carry no prediction id", extra={"rollout": rollout.id})
        if before is None or before.rollout.generation != rollout.generation or before.rollout.id != rollout.id:
            log.info("following a rollout", extra={
                "model": rollout.model, "rollout": rollout.id, "generation": rollout.generation, "state": rollout.place,
            })  # fmt: skip
        return Division.of(rollout, secret)

    def _write(self, rollout: Rollout) -> None:
        written, now = self._written.setdefault(rollout.id, _Written()), self._monotonic()
        changes = self._counters.changes(rollout.id)
        is_new = changes != written.changes and now - written.at >= WRITE_SECONDS
        is_due = rollout.is_active and now - written.at >= BEAT_SECONDS
        if rollout.generation == written.generation and not is_new and not is_due:
            return
        folder = self._generations.folder(rollout.model, rollout.id) / WORKERS
        snapshot = self._counters.snapshot(rollout.id)
        document = {
            "name": self._counters.name, "generation": rollout.generation, "at": self._wall(), "beat": written.beat + 1,
            "stale": self._router.is_stale(rollout.model), **snapshot,
        }  # fmt: skip
        durable.swap(folder / f"{self._counters.name}.json", json.dumps(document).encode())
        self._written[rollout.id] = _Written(rollout.generation, snapshot["changes"], now, written.beat + 1)
