"""The request threads of a worker: a bounded queue before them, and an eye on those that do not come back.

Python's own executor waits for its threads when the process ends; a thread that hangs in a model would keep
the process for ever. These threads are daemons, and each job is known with the time it has run.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mlapi.rollouts.caller import Ticket


@dataclass(slots=True, eq=False)
class Job:
    """Something to run in a thread for a connection; `done` is called there with what it returned."""

    connection: Any
    run: Callable[[], Any]
    done: Callable[["Job", Any], None]
    ticket: Ticket = field(default_factory=Ticket)
    submitted: float = field(default_factory=time.monotonic)
    abandoned: bool = False
    """Its caller was answered without it; what it still returns is thrown away."""


class Threads:
    """`count` threads with room for `most_waiting` jobs before them."""

    def __init__(self, count: int, most_waiting: int) -> None:
        self._count, self._most = count, count + most_waiting
        self._ready: deque[Job] = deque()
        self._tokens: queue.SimpleQueue[None] = queue.SimpleQueue()  # as many as are ready, for threads to wait for
        self._pending: set[Job] = set()
        self._running: set[Job] = set()
        for number in range(count):
            threading.Thread(target=self._work, name=f"mlapi-request-{number}", daemon=True).start()

    def submit(self, job: Job) -> Job | None:
        """Take a job; return the one that is refused, if there is one.

        That is this one where no thread will ever come to it, or where there is no room and nobody has left: else it
        takes the place of one whose caller has.
        """
        if len(self._hung()) >= self._count:
            return job
        left = None
        if len(self._pending) >= self._most:
            left = self._left()
            if left is None:
                return job
        self._pending.add(job)
        self._ready.append(job)
        if left is not None and self._is_taken_out(left):
            return left
        self._tokens.put(None)
        return None

    def forget(self, job: Job) -> None:
        """Note on the loop's side that a job is done."""
        self._pending.discard(job)

    @property
    def is_idle(self) -> bool:
        """Whether no job waits or runs."""
        return not self._pending and not self._running

    @property
    def waiting(self) -> int:
        """How many jobs wait for a thread."""
        return len(self._ready)

    @property
    def running(self) -> int:
        """How many jobs a thread works on."""
        return len(self._running)

    def late(self, now: float, deadline: float) -> list[Job]:
        """Return the jobs that are not answered `deadline` seconds after they were submitted."""
        return [job for job in self._pending if not job.abandoned and now - job.submitted > deadline]

    def is_stuck(self, now: float, deadline: float) -> bool:
        """Tell whether this process should be replaced: every thread, or one for long, runs for nobody."""
        held = self._hung()
        return len(held) >= self._count or any(now - job.submitted > 2 * deadline for job in held)

    @property
    def hung(self) -> bool:
        """Whether a thread runs for nobody."""
        return bool(self._hung())

    def _left(self) -> Job | None:
        """Return the first job that waits for a thread, and whose caller has left or says no more."""
        return next((job for job in tuple(self._ready) if job.connection.has_ended and not job.abandoned), None)

    def _is_taken_out(self, job: Job) -> bool:
        """Take out a job that waits, whose token is then another's; False where a thread was faster."""
        try:
            self._ready.remove(job)
        except ValueError:
            return False
        self._pending.discard(job)
        return True

    def _hung(self) -> list[Job]:
        return [job for job in tuple(self._running) if job.abandoned]

    def _work(self) -> None:
        while True:
            self._tokens.get()
            job = self._ready.popleft()
            if job.abandoned:  # it waited too long
                job.done(job, None)
                continue
            self._running.add(job)
            outcome = job.run()
            self._running.discard(job)
            job.done(job, outcome)
