"""The controller: sums what all workers counted and makes at most one transition every five seconds.

Any worker may be it: the one that holds the lock of the rollout. A second one would do no harm, since a
transition is written only onto the very generation that was judged. Time is watched time, by the
monotonic clock of whoever watches, kept in a file for the next one: clocks that jump, and hours in which
nobody watched, count for nothing.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlapi.errors import MlapiError, RolloutConflict
from mlapi.registry import durable
from mlapi.rollouts import decision, trace, transitions
from mlapi.rollouts.bookkeeper import Bookkeeper
from mlapi.rollouts.counters import Tally, merged
from mlapi.rollouts.decision import Decision, Elapsed, Evidence
from mlapi.rollouts.document import CANDIDATE, CONTROL, RUNNING, Rollout
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.moments import moment
from mlapi.rollouts.progress import WATCHED, read_workers, watched
from mlapi.rollouts.router import Router
from mlapi.rollouts.success import Success
from mlapi.rollouts.trace import Point
from mlapi.rollouts.transitions import Reason

TICK_SECONDS = 5.0
FIRST_SECONDS = 1.0
"""When a process looks first: workers in which a candidate hangs may not live for five."""

LOCK = "controller.lock"
VERBS = {
    "advance": transitions.advance, "pause": transitions.pause, "roll_back": transitions.roll_back,
    "promote": transitions.promote,
}  # fmt: skip

log = logging.getLogger("mlapi.rollouts")


@dataclass(slots=True)
class _Watch:
    """A rollout that this process controls; moments are monotonic seconds."""

    lock: ExitStack
    seen: float
    beats: dict[str, int] = field(default_factory=dict)
    heard: float = 0.0


class Controller:
    """Controls the rollouts that this process follows and nobody else controls; `looks` is what it saw of each last."""

    def __init__(
        self, generations: Generations, router: Router, bookkeeper: Bookkeeper,
        wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._generations, self._router, self._wall, self._monotonic = generations, router, wall, monotonic
        self._bookkeeper = bookkeeper
        self._watches: dict[str, _Watch] = {}
        self.looks: dict[str, Point] = {}
        self._troubled: set[str] = set()
        self._started_in: int | None = None
        self._ended = threading.Event()

    def start(self) -> None:
        """Control in a thread from now on; once a process, after the fork."""
        if self._started_in == os.getpid():
            return
        self._started_in, self._watches = os.getpid(), {}
        threading.Thread(target=self._control, name="mlapi-controller", daemon=True).start()

    def stop(self) -> None:
        """Control no more."""
        self._ended.set()

    def tick(self) -> None:
        """Judge every active rollout once, and let go of those that have ended."""
        active = [division.rollout for division in self._router.divisions.values() if division.rollout.is_active]
        for rollout_id in set(self._watches) - {rollout.id for rollout in active}:
            self._watches.pop(rollout_id).lock.close()
            self.looks.pop(rollout_id, None)
            self._bookkeeper.forget(rollout_id)
        for rollout in active:
            try:
                self._judge(rollout)
                self._troubled.discard(rollout.id)
            except (MlapiError, OSError) as error:
                if rollout.id not in self._troubled:  # once, not every five seconds
                    log.warning("a rollout cannot be controlled", extra={"rollout": rollout.id, "error": str(error)})
                self._troubled.add(rollout.id)

    def _control(self) -> None:
        rest = FIRST_SECONDS
        while not self._ended.wait(rest):
            try:
                self.tick()
            except Exception:
                log.exception("controlling the rollouts failed")
            rest = TICK_SECONDS

    def _judge(self, followed: Rollout) -> None:
        folder = self._generations.folder(followed.model, followed.id)
        watch = self._watch(followed, folder)
        if watch is None:
            return
        rollout = self._generations.latest(followed.model, followed.id)
        if not rollout.is_active:
            return
        reports = read_workers(self._generations, rollout)
        tally = merged(reports)
        elapsed = self._elapsed(watch, rollout, folder, reports)
        evidence = decision.weigh(rollout, tally, len(reports))
        success = self._bookkeeper.success(rollout)
        self.looks[rollout.id] = point = _point(rollout, tally, evidence, success, moment(self._wall()))
        trace.add(folder, point)
        found = decision.decide(rollout, tally, evidence, elapsed, success)
        if found is not None:
            self._make(rollout, found, evidence)

    def _watch(self, rollout: Rollout, folder: Path) -> _Watch | None:
        if rollout.id not in self._watches:
            stack = ExitStack()
            if not stack.enter_context(durable.claimed(folder / LOCK)):
                stack.close()
                return None
            now = self._monotonic()
            self._watches[rollout.id] = _Watch(stack, now, heard=now)
            log.info("controlling a rollout", extra={"rollout": rollout.id})
        return self._watches[rollout.id]

    def _elapsed(self, watch: _Watch, rollout: Rollout, folder: Path, reports: list[dict[str, Any]]) -> Elapsed:
        now = self._monotonic()
        spent = min(max(0.0, now - watch.seen), 2 * TICK_SECONDS) if rollout.state == RUNNING else 0.0
        watch.seen = now
        beats = {report["name"]: report["beat"] for report in reports}
        if beats != watch.beats:
            watch.beats, watch.heard = beats, now
        before = watched(self._generations, rollout)
        elapsed = Elapsed(before.step + spent, before.total + spent, now - watch.heard)
        document = {"step": rollout.step, "step_s": elapsed.step, "total_s": elapsed.total}
        durable.swap(folder / WATCHED, json.dumps(document).encode())
        return elapsed

    def _make(self, judged: Rollout, found: Decision, evidence: Evidence) -> None:
        reason = Reason("controller", found.why, moment(self._wall()), evidence.plain())

        def onto(now: Rollout) -> Rollout:
            if now.generation != judged.generation:
                raise RolloutConflict("somebody else changed it meanwhile")
            return VERBS[found.verb](now, reason)

        try:
            after = self._generations.change(judged, onto)
        except RolloutConflict:  # judged again in five seconds
            return
        log.log(
            logging.INFO if found.verb == "advance" else logging.ERROR, "rollout changed",
            extra={"rollout": after.id, "state": after.place, "reason": found.why},
        )


def _point(rollout: Rollout, tally: Tally, evidence: Evidence, success: Success | None, at: str) -> Point:
    units = {arm: sum(decision.units_of(arms[arm]) for arms in tally.strata.values()) for arm in (CONTROL, CANDIDATE)}
    effect = {} if success is None else success.plain()
    return Point(at, rollout.step, rollout.ppm, units, evidence.plain(), effect)
