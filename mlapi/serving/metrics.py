"""The metrics of a server, for Prometheus: what all its workers counted, and what the answering one sees now.

Reads the run folder and memory only, never the registry's disk, which may be what is being reported as gone.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from mlapi import __version__
from mlapi.monitoring import process, statistics, traffic
from mlapi.monitoring.durations import BOUNDS_SECONDS, SECONDS
from mlapi.monitoring.statistics import VersionStatistics
from mlapi.registry.live import LiveRegistry
from mlapi.registry.worker_files import Key, Totals, WorkerFiles
from mlapi.rollouts import measured
from mlapi.rollouts.buckets import BUCKETS
from mlapi.rollouts.counters import BAD
from mlapi.rollouts.document import CANDIDATE, CONTROL, Rollout
from mlapi.rollouts.router import Router
from mlapi.serving import metric_families as families
from mlapi.serving.metric_families import FAMILIES, Family

Sample = tuple[Family, Key, float | Sequence[float]]
"""A metric, the values of its labels, and its own; of a histogram, the sum in nanoseconds and the buckets."""

LIMITS = [*map(str, BOUNDS_SECONDS), "+Inf"]
EXPOSURES, PAIRS, REQUESTS = "exposures", "pairs", "requests"
LOGS = (EXPOSURES, PAIRS, REQUESTS)
OBSERVERS, LOADED = "failed observations", "loaded bytes"
CONNECTIONS, WAITING, RUNNING = "connections", "waiting", "running"
"""How `process` names what it is told."""

SECTIONS = {**statistics.SECTIONS, **traffic.SECTIONS, **process.SECTIONS, **measured.SECTIONS}


class Metrics(Collector):
    """Collects them when they are asked for."""

    def __init__(
        self, files: WorkerFiles, live: LiveRegistry, router: Router,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files, self._live, self._router, self._monotonic = files, live, router, monotonic
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: to register must not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every family, also those without a sample."""
        found = {family.name: _empty(family) for family in FAMILIES}
        for family, labels, value in self._samples(self._files.totals()):
            _add(found[family.name], [str(label) for label in labels], value)
        yield from found.values()

    def _samples(self, totals: Totals) -> Iterator[Sample]:
        yield families.BUILD, (__version__,), 1
        yield families.WORKERS, (), totals.workers
        yield from _of_http(totals)
        yield from _of_process(totals)
        for one in statistics.of_versions(totals).values():
            yield from _of_version(one)
        for key, row in totals.of(statistics.DURATIONS).items():
            yield families.INFERENCE_DURATIONS, key, row
        yield from self._of_registry(totals)
        for division in self._router.divisions.values():
            yield from _of_rollout(division.rollout, totals)

    def _of_registry(self, totals: Totals) -> Iterator[Sample]:
        for model in self._live.models():
            for state, count in Counter(status.state for status in model.versions.values()).items():
                yield families.VERSIONS, (model.name, state), count
        for heard, in totals.of(measured.HEARD).values():
            yield families.SILENCE, (), max(0.0, self._monotonic() - heard)


def _of_http(totals: Totals) -> Iterator[Sample]:
    for key, [count] in totals.of(traffic.REQUESTS).items():
        yield families.HTTP_REQUESTS, key, count
    for key, row in totals.of(traffic.DURATIONS).items():
        yield families.HTTP_DURATIONS, key, row
    for key, [count] in totals.of(traffic.REFUSALS).items():
        yield families.REFUSALS, key, count


def _of_process(totals: Totals) -> Iterator[Sample]:
    counts, now = totals.of(process.COUNTS), totals.of(process.NOW)
    for log in LOGS:
        yield families.DROPPED, (log,), counts.get((log,), (0,))[0]
    yield families.OBSERVERS, (), counts.get((OBSERVERS,), (0,))[0]
    named = {
        LOADED: families.LOADED_BYTES, CONNECTIONS: families.CONNECTIONS, WAITING: families.WAITING,
        RUNNING: families.RUNNING,
    }  # fmt: skip
    for name, family in named.items():
        for number in now.get((name,), ()):  # of connections only mlapi's own server knows
            yield family, (), number


def _of_version(one: VersionStatistics) -> Iterator[Sample]:
    key, durations = (one.name, one.version), one.durations
    yield families.INFERENCES, (*key, "success"), durations[statistics.SUCCESS].count
    yield families.INFERENCES, (*key, "failure"), durations[statistics.FAIL].count
    yield families.ROWS, key, one.inference_count
    yield families.EXECUTIONS, key, one.execution_count
    for phase in statistics.PHASES:
        yield families.PHASES, (*key, phase), durations[phase].ns / SECONDS
    if one.last_inference:
        yield families.LAST, key, one.last_inference / 1000


def _of_rollout(rollout: Rollout, totals: Totals) -> Iterator[Sample]:
    key = rollout.model, rollout.id
    yield families.ROLLOUT, (*key, rollout.control, rollout.candidate, rollout.state), 1
    yield families.STEP, key, rollout.step
    yield families.SHARE, key, rollout.ppm / BUCKETS
    yield families.GENERATION, key, rollout.generation
    for stale in totals.of(measured.STALE).get((rollout.id,), ()):
        yield families.STALE, key, stale
    for arm in (CONTROL, CANDIDATE):
        requests, fell_back, *failed = totals.of(measured.BY_ARM).get((rollout.id, arm), (0, 0, *(0 for _ in BAD)))
        yield families.ARM_REQUESTS, (*key, arm), requests
        for kind, count in zip(BAD, failed, strict=True):
            yield families.ARM_FAILURES, (*key, arm, kind), count
    yield families.FALLBACKS, key, fell_back
    for section, family in ((measured.EVIDENCE, families.EVIDENCE), (measured.EFFECT, families.EFFECT)):
        for (rollout_id, name), [value] in totals.of(section).items():
            if rollout_id == rollout.id:
                yield family, (*key, name), value


def _empty(family: Family) -> Metric:
    kinds: dict[str, type[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]]
    kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
    return kinds[family.kind](family.name, family.tells, labels=family.labels)


def _add(metric: Metric, labels: list[str], value: float | Sequence[float]) -> None:
    if isinstance(metric, HistogramMetricFamily) and not isinstance(value, int | float):
        metric.add_metric(labels, list(zip(LIMITS, accumulate(value[1:]), strict=True)), value[0] / SECONDS)
    elif isinstance(metric, CounterMetricFamily | GaugeMetricFamily) and isinstance(value, int | float):
        metric.add_metric(labels, value)
