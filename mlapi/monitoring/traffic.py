"""HTTP requests: how many of which kind, with which status, and how long they took."""

import threading
from collections import Counter
from collections.abc import Mapping

from mlapi.monitoring.durations import Durations
from mlapi.registry.worker_files import Rows, Section

REQUESTS, DURATIONS, REFUSALS = "http", "http: durations", "http: refusals"
SECTIONS = {REQUESTS: Section(), DURATIONS: Section(), REFUSALS: Section()}
"""Counts by method, route and status; durations by route; refusals by status."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"})
OTHER = "other"
"""The method of requests whose own is none that HTTP knows, so that callers cannot make up ever more of them."""


class Traffic:
    """Counts requests, from any thread."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin at zero, as another process."""
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str, int], int] = {}
        self._refusals: Counter[tuple[int]] = Counter()
        self._durations: dict[str, Durations] = {}
        self.changes = 0

    def answered(self, method: str, route: str, status: int, *took: int) -> None:
        """Count requests that were answered alike, each after so many nanoseconds; `route` is the path's template."""
        key = method if method in METHODS else OTHER, route, status
        with self._lock:
            self._requests[key] = self._requests.get(key, 0) + len(took)
            durations = self._durations.get(route)
            if durations is None:
                durations = self._durations[route] = Durations()
            durations.add_all(took)
            self.changes += 1

    def refused(self, status: int) -> None:
        """Count an answer that the server gave itself, before or instead of the application."""
        with self._lock:
            self._refusals[status,] += 1
            self.changes += 1

    def sections(self) -> Mapping[str, Rows]:
        """Return what this process has counted; see SECTIONS."""
        with self._lock:
            return {
                REQUESTS: [(key, [count]) for key, count in self._requests.items()],
                DURATIONS: [((route,), one.row()) for route, one in self._durations.items()],
                REFUSALS: [(key, [count]) for key, count in self._refusals.items()],
            }
