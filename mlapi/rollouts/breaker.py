"""The local breaker: a worker that sees a candidate fail again and again asks it no more, at once.

No statistics and no disk: five failures among its last twenty requests to the candidate. A failure is
one where the control answered the same request, so that input which breaks both counts for nothing.
What the whole server decides, slower and with proof, is the guardrails' matter.
"""

import threading
from collections import deque
from collections.abc import Callable

from mlapi.errors import GivenUp
from mlapi.inference.values import Assignment, InferenceEvent
from mlapi.rollouts.document import CANDIDATE

WINDOW = 20
FAILURES = 5

Trip = Callable[[str, int], None]


class Breaker:
    """Watches the candidates' answers; an observer of the data plane.

    `trip` is called once a rollout, with its id and the number of failures, by whoever tells of the last of them.
    """

    def __init__(self, trip: Trip) -> None:
        self._trip = trip
        self._lock = threading.Lock()
        self._last: dict[str, deque[bool]] = {}
        self._tripped: set[str] = set()

    def observe(self, event: InferenceEvent) -> None:
        """Note whether the candidate failed, where it was assigned; of one that hangs nobody knows whether both do."""
        if isinstance(event.error, GivenUp):
            return
        for assignment in event.assignments:
            if assignment.arm == CANDIDATE:
                self._note(assignment)

    def _note(self, assignment: Assignment) -> None:
        last = self._last.get(assignment.rollout)
        if last is None:
            last = self._last.setdefault(assignment.rollout, deque(maxlen=WINDOW))
        last.append(assignment.fell_back)
        if not assignment.fell_back:  # failures have not become more
            return
        with self._lock:
            failures = sum(tuple(last))
            if failures < FAILURES or assignment.rollout in self._tripped:
                return
            self._tripped.add(assignment.rollout)
        self._trip(assignment.rollout, failures)
