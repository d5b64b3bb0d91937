"""Inference statistics per model version, summed over the workers of a server (Triton, "Statistics extension")."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mlapi.inference.values import InferenceEvent
from mlapi.monitoring.durations import Durations
from mlapi.registry.worker_files import Key, Rows, Section, Totals

PHASES = ("compute_input", "compute_infer", "compute_output")
SUCCESS, FAIL = "success", "fail"
MOST_BATCH_SIZES = 256
"""Batch sizes of a version that are counted one by one; a caller chooses them, so that there must be an end."""

MILLISECOND = 1_000_000
SIZES, LAST, FAILED, DURATIONS = "inference", "inference: last", "inference: failed", "inference: durations"
OTHER_SIZES = 0


def _regroup(keys: Iterable[Key]) -> dict[Key, Key]:
    """Keep the batch sizes of many workers within the bounds of one: what is beyond them counts as others."""
    seen: Counter[Key] = Counter()
    beyond = {}
    for key in keys:
        seen[key[:2]] += key[2] != OTHER_SIZES
        if seen[key[:2]] > MOST_BATCH_SIZES:
            beyond[key] = (*key[:2], OTHER_SIZES)
    return beyond


SECTIONS = {SIZES: Section(regroup=_regroup), LAST: Section(max), FAILED: Section(), DURATIONS: Section()}
"""Counts by model, version and batch size; by model and version the moment of the last, failures, durations."""


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

    def add(self, event: InferenceEvent) -> None:
        """Count what was answered."""
        requests = event.requests
        self.count += requests
        self.rows += requests * event.rows
        self.executions += event.executions
        self.input_ns += requests * event.input_ns
        self.predict_ns += requests * event.predict_ns
        self.output_ns += requests * event.output_ns

    def row(self) -> list[int]:
        """Return the numbers; `dataclasses.astuple` takes ten times as long, in which requests would wait."""
        return [self.count, self.rows, self.executions, self.input_ns, self.predict_ns, self.output_ns]

    def phases(self) -> dict[str, Duration]:
        """Return the time of each phase."""
        times = (self.input_ns, self.predict_ns, self.output_ns)
        return {phase: Duration(self.count, ns) for phase, ns in zip(PHASES, times, strict=True)}


@dataclass(slots=True)
class _Version:
    """What was asked of one version, by batch size, and of all sizes how long it took and what failed."""

    sizes: dict[int, _Counts] = field(default_factory=dict)
    durations: Durations = field(default_factory=Durations)
    last_ms: int = 0
    failed: tuple[int, int] = (0, 0)

    def counts(self, rows: int) -> _Counts:
        """Return where requests of so many rows are counted; past the most sizes, all others together (0)."""
        found = self.sizes.get(rows)
        if found is None:
            size = rows if len(self.sizes) < MOST_BATCH_SIZES else OTHER_SIZES
            found = self.sizes.setdefault(size, _Counts())
        return found


class Statistics:
    """Counts inferences; an observer of the data plane. `clock` gives nanoseconds since the epoch."""

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """Begin at zero, as another process."""
        self._lock = threading.Lock()
        self._versions: dict[tuple[str, int], _Version] = {}
        self.changes = 0

    def observe(self, event: InferenceEvent) -> None:
        """Count inferences, answered or failed; those whose version is unknown are not counted."""
        if event.version is None:
            return
        key = event.target.model, event.version
        with self._lock:
            known = self._versions.get(key)
            if known is None:
                known = self._versions[key] = _Version()
            if event.error is None:
                known.counts(event.rows).add(event)
                known.durations.add(event.total_ns, event.requests)
                known.last_ms = self._clock() // MILLISECOND
            else:
                count, ns = known.failed
                known.failed = count + event.requests, ns + event.requests * event.total_ns
            self.changes += 1

    def sections(self) -> Mapping[str, Rows]:
        """Return what this process has counted; see SECTIONS."""
        with self._lock:
            versions = list(self._versions.items())
            return {
                SIZES: [((*key, size), one.row()) for key, known in versions for size, one in known.sizes.items()],
                LAST: [(key, [known.last_ms]) for key, known in versions],
                FAILED: [(key, known.failed) for key, known in versions],
                DURATIONS: [(key, known.durations.row()) for key, known in versions],
            }


def of_versions(totals: Totals) -> dict[tuple[str, int], VersionStatistics]:
    """Return the statistics of every version that was ever asked, by its model and number."""
    sizes: dict[Key, dict[int, _Counts]] = {}
    for (name, version, size), numbers in totals.of(SIZES).items():
        sizes.setdefault((name, version), {})[int(size)] = _Counts(*map(int, numbers))
    found = {}
    for key, [last_ms] in totals.of(LAST).items():
        failed, name, version = totals.of(FAILED)[key], str(key[0]), int(key[1])
        found[name, version] = _statistics(name, version, int(last_ms), sizes.get(key, {}), failed)
    return found


def never_asked(name: str, version: int) -> VersionStatistics:
    """Return the statistics of a version that nobody has asked."""
    return _statistics(name, version, 0, {}, (0, 0))


def _statistics(
    name: str, version: int, last_ms: int, sizes: Mapping[int, _Counts], failed: Sequence[float],
) -> VersionStatistics:
    whole = _Counts(*(sum(numbers) for numbers in zip(*(one.row() for one in sizes.values()), strict=True)))
    phases = whole.phases()
    success = Duration(whole.count, sum(one.ns for one in phases.values()))
    return VersionStatistics(
        name, version, last_ms, whole.rows, whole.executions,
        {SUCCESS: success, FAIL: Duration(int(failed[0]), int(failed[1])), **phases},
        {size: sizes[size].phases() for size in sorted(sizes) if size},
    )
