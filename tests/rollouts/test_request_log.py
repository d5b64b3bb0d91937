"""The request log: a share of what was answered, whole, in bounded files, and never in a request's way."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlapi.inference.values import InferenceEvent, Target
from mlapi.registry import lines as lines_module
from mlapi.registry.lines import Lines
from mlapi.registry.segments import trim
from mlapi.registry.store import Store
from mlapi.rollouts import request_line, request_log
from mlapi.rollouts.request_log import LARGEST, RequestLog, discard_old, folder_of, newest

NOW = 1_800_000_000_123_456_789


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "m" / "1").mkdir(parents=True)
    return Store(tmp_path)


def logging_to(store: Store, share: float = 1.0, draws: Any = (0.0,)) -> RequestLog:
    """Return a log whose draws are given in turn and whose clock goes on by a millisecond a look."""
    moments, numbers = iter(range(NOW, NOW + 10**12, 10**6)), iter(list(draws) * 10_000)
    return RequestLog(store, share, lambda: next(moments), lambda: next(numbers))


def event(inputs: Any = ((1.0, 2.0),), outputs: Any = ((3.0,),), **more: Any) -> InferenceEvent:
    given = {"version": 4, "rows": 1, "input_ns": 5, "predict_ns": 2_000_000, "output_ns": 7, "error": None,
             "inputs": {"x": np.array(inputs)}, "outputs": {"predict": np.array(outputs)}, **more}  # fmt: skip
    return InferenceEvent(Target("m"), **given)


def test_a_request_is_logged_as_it_was_asked_and_answered(store: Store) -> None:
    log = logging_to(store)
    log.observe(event(alone_ns=500_000, predict_ns=9_000_000))
    log.flush()
    [line] = newest(store, "m", 10).lines
    assert json.loads(line) == {
        "t": 1_800_000_000_123, "v": 4, "n": 1, "l": 0.5,
        "x": {"x": ["FP64", [[1.0, 2.0]]]}, "y": {"predict": ["FP64", [[3.0]]]},
    }  # fmt: skip


def test_of_requests_that_were_answered_together_each_that_is_drawn_is_logged_with_its_own(store: Store) -> None:
    log = logging_to(store, 0.5, draws=[0.9, 0.1, 0.2])
    log.observe(event([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[10.0], [20.0], [30.0]], requests=3))
    log.flush()
    found = [json.loads(line) for line in newest(store, "m", 10).lines]
    assert [(line["n"], line["x"]["x"][1], line["y"]["predict"][1]) for line in found] == [
        (1, [[3.0, 4.0]], [[20.0]]), (1, [[5.0, 6.0]], [[30.0]]),
    ]  # fmt: skip


def test_the_share_decides_how_many(store: Store) -> None:
    log = logging_to(store, 0.25, draws=[0.0, 0.24999, 0.25, 0.99])
    for _ in range(40):
        log.observe(event())
    log.flush()
    assert (len(newest(store, "m", 100).lines), log.dropped("m")) == (20, 0)


@pytest.mark.parametrize("changes", [
    {"error": RuntimeError("no")}, {"inputs": None}, {"outputs": None}, {"version": None},
])  # fmt: skip
def test_what_was_not_answered_is_not_logged(store: Store, changes: dict[str, Any]) -> None:
    log = logging_to(store)
    log.observe(event() if not changes else _changed(changes))
    log.flush()
    assert (newest(store, "m", 10).lines, log.dropped("m")) == ((), 0)
    assert not folder_of(store, "m").exists()


def _changed(changes: dict[str, Any]) -> InferenceEvent:
    whole = event()
    for name, value in changes.items():
        setattr(whole, name, value)
    return whole


def test_files_are_their_owners_alone(store: Store) -> None:
    before = os.umask(0)
    try:
        log = logging_to(store)
        log.observe(event())
        log.flush()
    finally:
        os.umask(before)
    [file] = folder_of(store, "m").iterdir()
    assert (file.stat().st_mode & 0o777, file.suffix) == (0o600, ".jsonl")


@pytest.mark.parametrize("inputs", [
    np.ones((LARGEST // 8 + 1, 1)), np.array(["x" * (LARGEST + 1)], dtype=object),
    np.full((LARGEST // 12, 1), 1 / 3),
])  # fmt: skip
def test_a_request_that_is_too_large_is_dropped_and_counted(store: Store, inputs: Any) -> None:
    """The last of them is small as numbers and too large as text."""
    log = logging_to(store)
    log.observe(event(inputs))
    log.observe(event())
    log.flush()
    found = newest(store, "m", 10)
    assert (len(found.lines), found.dropped, log.dropped("m")) == (1, 1, 1)


def test_a_full_queue_drops_counts_and_never_waits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MOST_WAITING", 0)
    log = logging_to(store)
    log._lines = Lines(waiting=60, rolling=True)
    for _ in range(5):  # of 24 bytes each
        log.observe(event())
    log.flush()
    log.observe(event())
    log.flush()
    found = newest(store, "m", 10)
    assert (len(found.lines), found.dropped) == (3, 3)


def test_a_registry_that_cannot_be_written_costs_lines_and_no_answer(tmp_path: Path) -> None:
    (tmp_path / "m").touch()
    log = logging_to(Store(tmp_path))
    log.observe(event())
    log.flush()
    assert log.dropped("m") == 1


def test_an_array_that_no_signature_has_is_dropped_and_said_in_the_log(
    store: Store, caplog: pytest.LogCaptureFixture,
) -> None:
    log = logging_to(store)
    log.observe(event(np.array(["2026-11-26"], dtype="M8[D]")))
    log.flush()
    assert (newest(store, "m", 10).lines, log.dropped("m")) == ((), 1)
    assert "a request could not be logged" in caplog.text


def test_the_newest_are_found_oldest_first_over_all_writers(store: Store) -> None:
    first, second = logging_to(store), logging_to(store)
    for at, log in enumerate([first, second] * 4):
        log.observe(event(((float(at), 0.0),)))
    first.flush()
    second.flush()
    (folder_of(store, "m") / "host-1-ab-00000001.open").write_text('{"t":torn}\n{"dropped": 4}\n{"t":18000000001')
    found = newest(store, "m", 3)
    times = [request_line.loads(line).at_ms for line in found.lines]
    assert times == [1_800_000_000_125, 1_800_000_000_126, 1_800_000_000_126]
    assert found.dropped == 4
    assert len(newest(store, "m", 100, since_ms=1_800_000_000_125).lines) == 4
    assert newest(store, "m", 0).lines == ()
    assert newest(store, "other", 10).lines == ()


def test_the_folder_is_bounded_whoever_writes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "ROLLED_BYTES", 2_000)
    monkeypatch.setattr(request_log, "MOST_BYTES", 10_000)
    writers = [logging_to(store), logging_to(store)]
    for _ in range(40):
        for log in writers:
            for _ in range(10):
                log.observe(event())
            log._lines.flush()
    files = list(folder_of(store, "m").iterdir())
    assert 8_000 < sum(file.stat().st_size for file in files) < 10_000 + 2 * 2 * 2_000
    assert newest(store, "m", 1000).dropped == 0


def test_what_is_still_written_to_is_not_trimmed(tmp_path: Path) -> None:
    for name, age in (("a-1.open", 50), ("b-1.jsonl", 40), ("c-1.open", 5000), ("d-1.jsonl", 1)):
        (tmp_path / name).write_bytes(b"x" * 10)
        os.utime(tmp_path / name, (0, (tmp_path / name).stat().st_mtime - age))
    assert trim(tmp_path, 40) == 0
    assert trim(tmp_path, 30) == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-1.open", "b-1.jsonl", "d-1.jsonl"]
    assert trim(tmp_path, 0) == 20
    assert [path.name for path in tmp_path.iterdir()] == ["a-1.open"]


def test_old_requests_go_and_so_do_too_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(store, "m")
    folder.mkdir()
    for name, age in (("a-1.jsonl", 31 * 86400), ("b-1.jsonl", 86400), ("c-1.jsonl", 0)):
        (folder / name).write_bytes(b"x" * 10)
        os.utime(folder / name, (0, (folder / name).stat().st_mtime - age))
    assert discard_old(store) == 10
    monkeypatch.setattr(request_log, "MOST_BYTES", 10)
    assert discard_old(store) == 10
    assert [path.name for path in folder.iterdir()] == ["c-1.jsonl"]


def test_a_log_of_no_share_starts_no_thread_and_one_with_a_share_writes_by_itself(store: Store) -> None:
    before = set(threading.enumerate())
    logging_to(store, 0.0).start()
    assert set(threading.enumerate()) == before
    log = logging_to(store)
    log.start()
    [thread] = set(threading.enumerate()) - before
    log.observe(event())
    assert any(newest(store, "m", 1).lines for _ in range(100_000))
    log.stop()
    thread.join(30)
    assert not thread.is_alive()
