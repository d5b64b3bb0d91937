"""Counters of inference: exact, bounded, and the same whatever was predicted together."""

import json
from pathlib import Path

import pytest

from mlapi.errors import InvalidRequest
from mlapi.inference.values import InferenceEvent, Target
from mlapi.monitoring.durations import BOUNDS_SECONDS
from mlapi.monitoring.statistics import (
    DURATIONS,
    MOST_BATCH_SIZES,
    SECTIONS,
    Duration,
    Statistics,
    VersionStatistics,
    never_asked,
    of_versions,
)
from mlapi.registry.worker_files import WorkerFiles


def event(rows: int, version: int | None = 1, error: Exception | None = None, requests: int = 1) -> InferenceEvent:
    return InferenceEvent(Target("m"), version, rows, 10, 100, 1000, None, error, requests=requests)


@pytest.fixture
def counted() -> Statistics:
    return Statistics(clock=lambda: 5_000_000)


@pytest.fixture
def files(tmp_path: Path, counted: Statistics) -> WorkerFiles:
    files = WorkerFiles(tmp_path, SECTIONS)
    files.add(counted)
    return files


def total(files: WorkerFiles) -> VersionStatistics:
    return of_versions(files.totals())["m", 1]


def test_an_inference_adds_its_rows_and_the_time_of_each_phase(counted: Statistics, files: WorkerFiles) -> None:
    for rows in (64, 1):
        counted.observe(event(rows))
    found = total(files)
    assert (found.inference_count, found.execution_count, found.last_inference) == (65, 2, 5)
    assert found.durations["success"] == Duration(2, 2220)
    assert found.batches[64]["compute_infer"] == Duration(1, 100)


def test_requests_that_were_predicted_together_count_each(counted: Statistics, files: WorkerFiles) -> None:
    counted.observe(event(2, requests=3))
    found = total(files)
    assert (found.inference_count, found.execution_count) == (6, 1)
    assert found.durations["success"] == Duration(3, 3330)
    assert files.totals().of(DURATIONS) == {("m", 1): [3330, 3, *(0 for _ in BOUNDS_SECONDS)]}


def test_a_failure_counts_as_one_and_an_unknown_version_as_none(counted: Statistics, files: WorkerFiles) -> None:
    counted.observe(event(0, error=InvalidRequest(["no"])))
    counted.observe(event(0, version=None, error=InvalidRequest(["no"])))
    found = total(files)
    assert (found.durations["fail"], found.inference_count, found.batches) == (Duration(1, 1110), 0, {})
    assert found.last_inference == 0


def test_batch_sizes_that_a_caller_makes_up_do_not_grow_without_end(counted: Statistics, files: WorkerFiles) -> None:
    for rows in range(1, 3 * MOST_BATCH_SIZES):
        counted.observe(event(rows))
    found = total(files)
    assert found.execution_count == 3 * MOST_BATCH_SIZES - 1
    assert found.inference_count == sum(range(1, 3 * MOST_BATCH_SIZES))
    assert len(found.batches) == MOST_BATCH_SIZES
    rows = {name: [*section] for name, section in counted.sections().items()}
    assert sum(map(len, rows.values())) == MOST_BATCH_SIZES + 4
    assert len(json.dumps(rows)) < 100 * MOST_BATCH_SIZES


def test_several_workers_are_added_up_and_the_last_of_them_was_the_last(tmp_path: Path) -> None:
    for moment in (7_000_000, 9_000_000, 8_000_000):
        one, files = Statistics(clock=lambda moment=moment: moment), WorkerFiles(tmp_path, SECTIONS)
        files.add(one)
        one.observe(event(1))
        one.observe(event(1, error=InvalidRequest(["no"])))
        files.flush()
    found = total(files)
    assert (found.inference_count, found.durations["fail"].count, found.last_inference) == (3, 3, 9)


def test_batch_sizes_of_many_workers_stay_within_the_bounds_of_one(tmp_path: Path) -> None:
    for worker in range(3):
        one, files = Statistics(), WorkerFiles(tmp_path, SECTIONS)
        files.add(one)
        for rows in range(1, MOST_BATCH_SIZES):
            one.observe(event(1000 * worker + rows))
        files.flush()
    found = total(files)
    assert len(found.batches) == MOST_BATCH_SIZES
    assert found.execution_count == 3 * (MOST_BATCH_SIZES - 1)
    assert found.durations["success"].count == found.execution_count


def test_a_version_that_nobody_asked_has_zeros_in_all_places() -> None:
    zeros = never_asked("m", 1)
    assert (zeros.inference_count, zeros.last_inference, zeros.batches) == (0, 0, {})
    assert set(zeros.durations.values()) == {Duration(0, 0)}
