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
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
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

Key = tuple[str, int, str, int]
"""Model, version, what is counted, and the batch size it belongs to (0: all)."""


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
        self._begin()

    def observe(self, event: InferenceEvent) -> None:
        """Count one inference, answered or failed; one whose version is unknown is not counted."""
        if event.version is None:
            return
        with self._lock:
            self._own_process()
            if event.error is not None:
                self._add(event, FAIL, event.total_ns)
            else:
                self._succeeded(event, self._clock() // MILLISECOND)
            self._unwritten = True

    def flush(self) -> None:
        """Write the counters of this process where the other workers read them; requests do not wait for it."""
        with self._writing:
            with self._lock:
                self._own_process()
                if not self._unwritten:
                    return
                rows = [[*key, value] for key, value in self._counts.items()]
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

    def _keep_writing(self) -> None:
        while True:
            time.sleep(FLUSH_SECONDS)
            try:
                self.flush()
            except OSError as error:  # a full disk: counted on, and written when there is room again
                log.warning("the counters cannot be written", extra={"error": str(error)})

    def total(self, name: str, version: int) -> VersionStatistics:
        """Return the counters of a version over all workers; zeros where it was never asked."""
        self.flush()
        sums: Counter[tuple[str, int]] = Counter()
        last = 0
        for file in self._folder.glob(f"{FILE}*.json"):
            for model, number, what, batch, value in json.loads(file.read_bytes()):
                if (model, number) == (name, version):
                    if what == "last_inference":
                        last = max(last, value)
                    else:
                        sums[what, batch] += value
        return _statistics(name, version, last, sums)

    def _succeeded(self, event: InferenceEvent, now_ms: int) -> None:
        self._add(event, SUCCESS, event.total_ns)
        self._count(event, "inference_count", event.rows)
        self._count(event, "execution_count", 1)
        times = (event.input_ns, event.predict_ns, event.output_ns)
        sizes = self._sizes.setdefault((event.target.model, event.version or 0), set())
        if len(sizes) < MOST_BATCH_SIZES:
            sizes.add(event.rows)
        for phase, ns in zip(PHASES, times, strict=True):
            self._add(event, phase, ns)
            if event.rows in sizes:
                self._add(event, phase, ns, event.rows)
        self._counts[event.target.model, event.version or 0, "last_inference", 0] = now_ms

    def _add(self, event: InferenceEvent, what: str, ns: int, batch: int = 0) -> None:
        self._count(event, f"{what}.count", 1, batch)
        self._count(event, f"{what}.ns", ns, batch)

    def _count(self, event: InferenceEvent, what: str, value: int, batch: int = 0) -> None:
        self._counts[event.target.model, event.version or 0, what, batch] += value

    def _begin(self) -> None:
        self._counts: Counter[Key] = Counter()
        self._sizes: dict[tuple[str, int], set[int]] = {}
        self._unwritten, self._pid = False, os.getpid()
        self._own = f"{os.getpid()}-{secrets.token_hex(4)}"  # a pid alone may be given again

    def _own_process(self) -> None:
        """A forked worker begins at zero: what its parent counted is in the parent's file."""
        if self._pid != os.getpid():
            self._begin()


def _statistics(name: str, version: int, last: int, sums: Counter[tuple[str, int]]) -> VersionStatistics:
    def duration(what: str, batch: int = 0) -> Duration:
        return Duration(sums[f"{what}.count", batch], sums[f"{what}.ns", batch])

    batches = sorted({batch for _, batch in sums if batch})
    return VersionStatistics(
        name, version, last, sums["inference_count", 0], sums["execution_count", 0],
        {what: duration(what) for what in (SUCCESS, FAIL, *PHASES)},
        {batch: {phase: duration(phase, batch) for phase in PHASES} for batch in batches},
    )
