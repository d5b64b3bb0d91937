"""What observers make of many requests that were answered at once: what they would make of each by itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlapi.inference.values import Assignment, InferenceEvent, Target
from mlapi.monitoring.statistics import SECTIONS, Statistics, of_versions
from mlapi.registry.store import Store
from mlapi.registry.worker_files import WorkerFiles
from mlapi.rollouts import exposures
from mlapi.rollouts.breaker import Breaker
from mlapi.rollouts.counters import Counters
from mlapi.rollouts.document import Rollout
from mlapi.rollouts.exposures import ExposureLog
from mlapi.rollouts.generations import Generations

COUNT = 40
CHANCES = np.linspace(0.01, 0.99, COUNT)
NUMBERS = np.linspace(-1e20, 3.5, COUNT)[:, None]
HOLES = np.where(np.arange(COUNT) % 7 == 3, np.nan, 1.0)[:, None]
OUTPUTS: list[dict[str, Any]] = [
    {"predict_proba": np.stack([CHANCES, 1 - CHANCES], axis=1)},
    {"predict": np.arange(COUNT)[:, None], "predict_proba": np.stack([CHANCES, 1 - CHANCES], axis=1)},
    {"predict": NUMBERS}, {"predict": NUMBERS.astype("f4")}, {"predict": NUMBERS > 0}, {"predict": HOLES},
    {"predict": HOLES, "other": NUMBERS}, {"predict": np.hstack([NUMBERS, NUMBERS])},
    {"predict": np.array([[f'class "{number}", \ud800'] for number in range(COUNT)], dtype=object)},
    {"predict": np.array([[b"raw"]] * COUNT, dtype=object), "other": HOLES},
    {"predict_proba": np.full((COUNT, 101), 1 / 101)}, {"embedding": np.ones((COUNT, 3)), "predict": HOLES},
]  # fmt: skip


def assignments() -> list[Assignment]:
    """Return some of either arm, some pinned, some of users who come again, some answered by the control instead."""
    made = []
    for number in range(COUNT):
        arm = ("control", "candidate", "candidate", "pinned")[number % 4]
        fell_back = number % 8 == 2
        served = "control" if fell_back or arm == "control" else "candidate"
        unit, told = "key" if number % 3 else "request", f"id-{number}" if number % 5 else None
        made.append(Assignment("ro_test", 3, 1, 250_000, arm, served, unit, number % 25, told, fell_back))
    return made


def event(outputs: dict[str, Any]) -> InferenceEvent:
    return InferenceEvent(
        Target("iris"), 2, 1, 10, 2_000_000, 7, outputs, None, 1, assignments(), {"x": np.arange(COUNT)[:, None]},
        1_500_000, COUNT,
    )


def each(whole: InferenceEvent) -> list[InferenceEvent]:
    return [whole.single(number) for number in range(whole.requests)]


def test_an_event_is_taken_apart() -> None:
    whole = event(OUTPUTS[1])
    events = each(whole)
    assert [one.executions for one in events] == [1] + [0] * (COUNT - 1)
    assert [one.assignments for one in events] == [[told] for told in whole.assignments]
    assert [one.inputs["x"].tolist() for one in events if one.inputs] == [[[number]] for number in range(COUNT)]
    assert {(one.requests, one.rows, one.model_ns, one.total_ns) for one in events} == {(1, 1, 1_500_000, 2_000_017)}
    assert events[3].single(0) is events[3]


@pytest.mark.parametrize("outputs", OUTPUTS, ids="-".join)
@pytest.mark.parametrize("slow_ms", [1.0, 9.0])
def test_counters(outputs: dict[str, Any], slow_ms: float) -> None:
    together, apart = Counters(), Counters()
    for one in (together, apart):
        one.limit({"ro_test": slow_ms})
    together.observe(event(outputs))
    for one in each(event(outputs)):
        apart.observe(one)
    assert together.snapshot("ro_test") == apart.snapshot("ro_test")
    assert together.changes("ro_test") == COUNT * 3 // 4


@pytest.mark.parametrize("outputs", OUTPUTS, ids="-".join)
def test_exposures(outputs: dict[str, Any]) -> None:
    whole = event(outputs)
    lines = exposures.lines_of(whole, 123)
    assert lines == [line for one in each(whole) for line in exposures.lines_of(one, 123)]
    assert len(lines) == COUNT * 3 // 4


def test_of_exposures_those_are_dropped_that_find_no_room(
    tmp_path: Path, running: Callable[..., Rollout], monkeypatch: pytest.MonkeyPatch,
) -> None:
    rollout = running()
    monkeypatch.setattr(exposures, "MOST_WAITING", 70)
    (tmp_path / "iris" / "rollouts" / "ro_test").mkdir(parents=True)
    log = ExposureLog(Generations(Store(tmp_path)), lambda _: rollout)
    for _ in range(4):
        log.observe(event(OUTPUTS[0]))
    log.write()
    written = [line for path in tmp_path.rglob("*.open") for line in path.read_text().splitlines()]
    assert (len(written), log.dropped) == (70, 4 * COUNT * 3 // 4 - 70)


def test_statistics(tmp_path: Path) -> None:
    totals = []
    for name, events in (("together", [event(OUTPUTS[0])]), ("apart", each(event(OUTPUTS[0])))):
        (tmp_path / name).mkdir()
        counted, files = Statistics(lambda: 5_000_000), WorkerFiles(tmp_path / name, SECTIONS)
        files.add(counted)
        for one in events:
            counted.observe(one)
        totals.append(of_versions(files.totals())["iris", 2])
    assert totals[0] == totals[1]
    assert totals[0].inference_count == COUNT


def test_breaker() -> None:
    tripped: list[tuple[str, int]] = []
    breaker = Breaker(lambda rollout, failures: tripped.append((rollout, failures)))
    breaker.observe(event(OUTPUTS[0]))
    assert tripped == [("ro_test", 5)]
