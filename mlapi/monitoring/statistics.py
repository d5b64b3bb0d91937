"""Inference statistics per model version, summed over the workers of a server, dead ones included.

Each worker keeps cumulative counters and writes them, whole, to a file of its own at most twice a
second; the sum over the files is the server's. A worker that is killed leaves its file behind, so
what it had counted stays counted but for its last half second. (Triton, "Statistics extension".)
"""

import json
import logging
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path

from mlapi.inference.values import InferenceEvent

PHASES = ("compute_input", "compute_infer", "compute_output")
SUCCESS, FAIL = "success", "fail"
FLUSH_SECONDS = 0.5
MOST_BATCH_SIZES = 256
"""Batch sizes of a version that are counted one by one; a caller chooses them, so that there must be an end."""
FILE = "statistics-"
MILLISECOND = 1_000_000

log = logging.getLogger("mlapi.statistics")


@dataclass(frozen=True, slots=True)
class Duration:
    """How often something happened, and nanoseconds it took in all."""

    count: int
    ns: int


@dataclass(frozen=True, slots=True)
class VersionStatistics:
    """The counters of one version; `last_inference` is milliseconds since the epoch, 0 for never."""

    name: str
    version: int
    last_inference: int
    inference_count: int
    execution_count: int
    durations: dict[str, Duration]
    batches: dict[int, dict[str, Duration]]


@dataclass(slots=True)
class _Counts:
    """What requests of one size asked of one version: how many, their rows, and nanoseconds by phase."""

    count: int = 0
    rows: int = 0
    executions: int = 0
    input_ns: int = 0
    predict_ns: int = 0
    output_ns: int = 0
    last_ms: int = 0

    def add(self, other: "_Counts") -> None:
        """Add what another process, or another size, has counted."""
        for name in ("count", "rows", "executions", "input_ns", "predict_ns", "output_ns"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.last_ms = max(self.last_ms, other.last_ms)

    def phases(self) -> dict[str, Duration]:
        """Return the time of each phase."""
        times = (self.input_ns, self.predict_ns, self.output_ns)
        return {phase: Duration(self.count, ns) for phase, ns in zip(PHASES, times, strict=True)}


class Statistics:
    """Counts inferences; an observer of the data plane.

    `folder` is shared by the workers of one server; `write` puts bytes in place of a file at once.
    `clock` gives nanoseconds since the epoch.
    """

    def __init__(
        self, folder: Path, write: Callable[[Path, bytes], None], clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._folder, self._write, self._clock = folder, write, clock
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._started_in: int | None = None
        self._ended = threading.Event()
        self._begin()
        # A forked worker begins at zero: what its parent counted is in the parent's file.
        again = weakref.WeakMethod(self._begin)
        os.register_at_fork(after_in_child=lambda: (begin := again()) and begin())

    def observe(self, event: InferenceEvent) -> None:
        """Count inferences, answered or failed; those whose version is unknown are not counted."""
        if event.version is None:
            return
        with self._lock:
            if event.error is None:
                self._succeeded(event, event.version, self._clock() // MILLISECOND)
            else:
                count, ns = self._failed.get((event.target.model, event.version), (0, 0))
                failed = count + event.requests, ns + event.requests * event.total_ns
                self._failed[event.target.model, event.version] = failed
            self._unwritten = True

    def flush(self) -> None:
        """Write the counters of this process where the other workers read them; requests do not wait for it."""
        with self._writing:
            with self._lock:
                if not self._unwritten:
                    return
                rows = self._rows()
                self._unwritten = False
            try:
                self._write(self._folder / f"{FILE}{self._own}.json", json.dumps(rows).encode())
            except OSError:
                self._unwritten = True
                raise

    def start(self) -> None:
        """Write what this process counts twice a second from now on; once a process, after the fork."""
        if self._started_in == os.getpid():
            return
        self._started_in = os.getpid()
        threading.Thread(target=self._keep_writing, name="mlapi-statistics", daemon=True).start()

    def stop(self) -> None:
        """Write no more."""
        self._ended.set()

    def _keep_writing(self) -> None:
        while not self._ended.wait(FLUSH_SECONDS):
            try:
                self.flush()
            except OSError as error:  # a full disk: counted on, and written when there is room again
                log.warning("the counters cannot be written", extra={"error": str(error)})

    def total(self, name: str, version: int) -> VersionStatistics:
        """Return the counters of a version over all workers; zeros where it was never asked."""
        self.flush()
        sizes: dict[int, _Counts] = {}
        failed = Duration(0, 0)
        for file in self._folder.glob(f"{FILE}*.json"):
            for model, number, size, *counts in json.loads(file.read_bytes()):
                if (model, number) != (name, version):
                    continue
                if size == FAIL:
                    failed = Duration(failed.count + counts[0], failed.ns + counts[1])
                else:
                    sizes.setdefault(size, _Counts()).add(_Counts(*counts))
        return _statistics(name, version, sizes, failed)

    def _succeeded(self, event: InferenceEvent, version: int, now_ms: int) -> None:
        counts = self._counts.get((event.target.model, version, event.rows))
        if counts is None:
            counts = self._new(event.target.model, version, event.rows)
        requests = event.requests
        counts.count += requests
        counts.rows += requests * event.rows
        counts.executions += event.executions
        counts.input_ns += requests * event.input_ns
        counts.predict_ns += requests * event.predict_ns
        counts.output_ns += requests * event.output_ns
        counts.last_ms = now_ms

    def _new(self, model: str, version: int, rows: int) -> "_Counts":
        """Return where requests of so many rows are counted; past the most sizes, all others together (0)."""
        sizes = sum(1 for name, number, size in self._counts if (name, number) == (model, version) and size)
        return self._counts.setdefault((model, version, rows if sizes < MOST_BATCH_SIZES else 0), _Counts())

    def _rows(self) -> list[list[object]]:
        """What this process has counted, as it stands in its file: model, version and batch size, then the counts."""
        succeeded = [[*key, *astuple(counts)] for key, counts in self._counts.items()]
        return [*succeeded, *([*key, FAIL, *counts] for key, counts in self._failed.items())]

    def _begin(self) -> None:
        self._counts: dict[tuple[str, int, int], _Counts] = {}
        self._failed: dict[tuple[str, int], tuple[int, int]] = {}
        self._unwritten = False
        self._own = f"{os.getpid()}-{secrets.token_hex(4)}"  # a pid alone may be given again


def _statistics(name: str, version: int, sizes: dict[int, _Counts], failed: Duration) -> VersionStatistics:
    whole = _Counts()
    for counts in sizes.values():
        whole.add(counts)
    phases = whole.phases()
    success = Duration(whole.count, sum(one.ns for one in phases.values()))
    return VersionStatistics(
        name, version, whole.last_ms, whole.rows, whole.executions, {SUCCESS: success, FAIL: failed, **phases},
        {size: sizes[size].phases() for size in sorted(sizes) if size},
    )
