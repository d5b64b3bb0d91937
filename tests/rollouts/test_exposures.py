"""The exposure log: a line an event, in files of this process, and never in a request's way."""

import contextlib
import json
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlapi.inference.values import InferenceEvent
from mlapi.registry.segments import Segments, discard_old
from mlapi.registry.store import Store
from mlapi.rollouts import exposures
from mlapi.rollouts.document import Rollout
from mlapi.rollouts.exposures import ExposureLog
from mlapi.rollouts.generations import Generations
from tests.server.conftest import until

Event = Callable[..., InferenceEvent]


@pytest.fixture
def log(tmp_path: Path, running: Callable[..., Rollout]) -> ExposureLog:
    """Return a log of one rollout, `ro_test` of iris."""
    rollout = running(500_000)
    (tmp_path / "iris" / "rollouts" / "ro_test").mkdir(parents=True)
    return ExposureLog(Generations(Store(tmp_path)), {"ro_test": rollout}.get, lambda: 1_800_000_000_123_456_789)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("iris/rollouts/*/exposures/*"))
            for line in path.read_text().splitlines()]  # fmt: skip


def ends_of_lines(folder: Path) -> int:
    """Return how many lines are whole; the last may be on its way."""
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("iris/rollouts/*/exposures/*"))


def test_a_line_has_what_the_page_says(log: ExposureLog, event: Event, tmp_path: Path) -> None:
    outputs = {"predict": np.array([["a"]], dtype=object), "predict_proba": np.array([[0.25, 0.75]])}
    log.observe(event(arm="candidate", unit="key", hashed=255, outputs=outputs, fell_back=True, step=1, ppm=10_000))
    log.flush()
    assert lines(tmp_path) == [{
        "p": None, "t": 1_800_000_000_123, "g": 1, "s": 1, "w": 10_000, "a": "candidate", "f": 1, "u": "key",
        "k": "00000000000000ff", "l": 2.0, "e": 1, "n": 1, "y": "a", "q": [0.25, 0.75],
    }]  # fmt: skip


@pytest.mark.parametrize(("outputs", "answer"), [
    ({"predict": np.array([[1.5]])}, {"y": 1.5}), ({"predict": np.array([[3]])}, {"y": 3}),
    ({"predict": np.array([[np.nan]])}, {}), ({"predict": np.array([[1.0, 2.0]])}, {}),
    ({"predict_proba": np.full((1, 101), 1 / 101)}, {}), (None, {}),
    ({"predict": np.array([['"\\\n\u20ac']], dtype=object)}, {"y": '"\\\n\u20ac'}),
    ({"predict": np.array([["\ud800"]], dtype=object)}, {"y": "\ud800"}),
    ({"predict": np.array([[b"a"]], dtype=object)}, {}), ({"predict": np.array([[True]])}, {"y": True}),
    ({"predict": np.array([[1e-300]])}, {"y": 1e-300}), ({"predict": np.array([[2**64 - 1]], "u8")}, {"y": 2**64 - 1}),
    ({"predict_proba": np.array([[np.nan, 1.0]])}, {"q": [None, 1.0]}),
])  # fmt: skip
def test_an_answer_is_kept_where_a_label_can_be_told_of_it(
    log: ExposureLog, event: Event, tmp_path: Path, outputs: Any, answer: dict[str, Any],
) -> None:
    log.observe(event(outputs=outputs))
    log.flush()
    (line,) = lines(tmp_path)
    assert {name: line[name] for name in ("y", "q") if name in line} == answer


def test_a_registry_that_is_gone_is_not_begun_anew(log: ExposureLog, event: Event, tmp_path: Path) -> None:
    """It may be the folder on which a disk is mounted again in a moment."""
    (tmp_path / "iris").rename(tmp_path / "away")
    log.observe(event())
    log.write()
    assert not (tmp_path / "iris").exists()
    (tmp_path / "away").rename(tmp_path / "iris")
    log.observe(event())
    log.write()
    assert (len(lines(tmp_path)), log.dropped) == (1, 1)


def test_what_comes_after_somebody_removed_the_files_is_in_files_again(
    log: ExposureLog, event: Event, tmp_path: Path,
) -> None:
    """As where a registry is deleted and restored."""
    for _ in range(2):
        log.observe(event())
        log.write()
        assert len(lines(tmp_path)) == 1
        shutil.rmtree(tmp_path / "iris" / "rollouts" / "ro_test" / "exposures")


def test_pinned_requests_and_those_of_no_rollout_leave_none(log: ExposureLog, event: Event, tmp_path: Path) -> None:
    log.observe(event(arm="pinned"))
    log.flush()
    assert lines(tmp_path) == []
    log.observe(event(rollout="ro_gone"))
    log.flush()
    assert (lines(tmp_path), log.dropped) == ([], 1)


def test_a_full_queue_drops_counts_and_says_so(
    log: ExposureLog, event: Event, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(exposures, "MOST_WAITING", 3)
    for _ in range(3):
        for _ in range(5):
            log.observe(event())
        log.write()
    assert log.dropped == 6
    assert [(one.getMessage(), one.__dict__["dropped"]) for one in caplog.records] == [
        ("exposures were dropped", 2), ("exposures were dropped", 6),
    ]  # fmt: skip


def test_what_a_failed_write_left_is_written_without_another_request(
    log: ExposureLog, event: Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures, append = iter([OSError(28, "full")]), Segments.append

    def failing_once(one: Segments, lines: bytes, *, sync: bool = True) -> None:
        for error in failures:
            raise error
        append(one, lines, sync=sync)

    monkeypatch.setattr(Segments, "append", failing_once)
    log.start()
    for number in range(2 * exposures.AT_ONCE):
        log.observe(event(hashed=number))
    assert until(lambda: ends_of_lines(tmp_path) == exposures.AT_ONCE)
    log.stop()
    assert log.dropped == exposures.AT_ONCE


def test_a_disk_that_fails_is_told_of_once_a_rollout_and_what_is_left_in_the_end_is_counted_once(
    log: ExposureLog, event: Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(Segments, "append", failing)
    for number in range(5 * exposures.AT_ONCE):
        log.observe(event(hashed=number))
    for _ in range(3):
        log.write()
    said = [one.getMessage() for one in caplog.records]
    assert said.count("exposures cannot be written") == 1
    log.flush()
    log.flush()
    assert (log.dropped, lines(tmp_path)) == (5 * exposures.AT_ONCE, [])


def test_on_a_full_disk_a_few_lines_are_lost_and_the_others_wait_for_room(
    log: ExposureLog, event: Event, tmp_path: Path,
) -> None:
    written = exposures.AT_ONCE
    for number in range(4 * written):
        log.observe(event(hashed=number))
    with no_file_over(64 * 500):
        log.write()
        log.write()
    log.flush()
    (path,) = tmp_path.glob("iris/rollouts/*/exposures/*")
    found = [line for line in path.read_text().splitlines() if line.endswith("}")]
    keys = [int(json.loads(line)["k"], 16) for line in found]
    assert keys[:written] + keys[-written:] == [*range(written), *range(3 * written, 4 * written)]
    assert log.dropped == 2 * written


@contextlib.contextmanager
def no_file_over(size: int) -> Iterator[None]:
    """A write beyond so many bytes of a file fails, as on a full disk after as many as there is room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_segment_that_is_full_is_sealed_and_the_next_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlapi.registry.segments.LARGEST", 5)
    kept = Segments(tmp_path / "folder", "w")
    for _ in range(3):
        kept.append(b"123456\n")
    kept.seal()
    kept.seal()
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == [
        f"w-0000000{number}.jsonl" for number in (1, 2, 3)
    ]  # fmt: skip


def test_a_segment_that_is_old_is_sealed(tmp_path: Path) -> None:
    now = [0.0]
    kept = Segments(tmp_path, "w", lambda: now[0])
    kept.append(b"1\n")
    now[0] = 601.0
    kept.append(b"2\n")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".jsonl", ".open"]


def test_old_segments_go_and_young_ones_and_other_files_stay(tmp_path: Path) -> None:
    for name, age in (("a-1.jsonl", 100), ("b-1.open", 100), ("c-1.jsonl", 1), ("other", 100)):
        (tmp_path / name).write_text("x" * 10)
        os.utime(tmp_path / name, (0, (tmp_path / name).stat().st_mtime - age))
    assert discard_old(tmp_path, 50) == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c-1.jsonl", "other"]
