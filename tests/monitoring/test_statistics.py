"""Counters of one process: exact, bounded, and kept when they cannot be written."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlapi.errors import InvalidRequest
from mlapi.inference.values import InferenceEvent, Target
from mlapi.monitoring.statistics import MOST_BATCH_SIZES, Duration, Statistics

if TYPE_CHECKING:
    from collections.abc import Callable


def event(rows: int, version: int | None = 1, error: Exception | None = None) -> InferenceEvent:
    return InferenceEvent(Target("m"), version, rows, 10, 100, 1000, None, error)


@pytest.fixture
def written() -> dict[str, bytes]:
    return {}


@pytest.fixture
def counted(tmp_path: Path, written: dict[str, bytes]) -> Statistics:
    def write(path: Path, data: bytes) -> None:
        written[path.name] = data
        path.write_bytes(data)

    return Statistics(tmp_path, write, clock=lambda: 5_000_000)


def test_an_inference_adds_its_rows_and_the_time_of_each_phase(counted: Statistics) -> None:
    for rows in (64, 1):
        counted.observe(event(rows))
    total = counted.total("m", 1)
    assert (total.inference_count, total.execution_count, total.last_inference) == (65, 2, 5)
    assert total.durations["success"] == Duration(2, 2220)
    assert total.batches[64]["compute_infer"] == Duration(1, 100)


def test_a_failure_counts_as_one_and_an_unknown_version_as_none(counted: Statistics) -> None:
    counted.observe(event(0, error=InvalidRequest(["no"])))
    counted.observe(event(0, version=None, error=InvalidRequest(["no"])))
    total = counted.total("m", 1)
    assert (total.durations["fail"].count, total.inference_count, total.batches) == (1, 0, {})


def test_batch_sizes_that_a_caller_makes_up_do_not_grow_without_end(
    counted: Statistics, written: dict[str, bytes],
) -> None:
    for rows in range(1, 3 * MOST_BATCH_SIZES):
        counted.observe(event(rows))
    total = counted.total("m", 1)
    assert total.execution_count == 3 * MOST_BATCH_SIZES - 1
    assert len(total.batches) == MOST_BATCH_SIZES
    (data,) = written.values()
    assert len(json.loads(data)) < 10 * MOST_BATCH_SIZES


def test_counts_that_could_not_be_written_are_written_the_next_time(tmp_path: Path) -> None:
    refusals = [OSError("full")]

    def write(path: Path, data: bytes) -> None:
        if refusals:
            raise refusals.pop()
        path.write_bytes(data)

    counted = Statistics(tmp_path, write)
    counted.observe(event(3))
    with pytest.raises(OSError, match="full"):
        counted.flush()
    assert counted.total("m", 1).inference_count == 3


def test_a_request_is_counted_while_the_counters_are_being_written(tmp_path: Path) -> None:
    """Writing holds no lock that counting takes: the write itself counts one more."""
    during: list[Callable[[], None]] = []

    def write(path: Path, data: bytes) -> None:
        path.write_bytes(data)
        if during:
            during.pop()()

    counted = Statistics(tmp_path, write)
    during.append(lambda: counted.observe(event(2)))
    counted.observe(event(1))
    counted.flush()
    assert counted.total("m", 1).inference_count == 3
