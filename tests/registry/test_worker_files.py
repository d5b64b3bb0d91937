"""Counters of many processes: added up exactly, whoever of them has ended, and whatever was in the way."""

import json
import operator
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlapi.registry import durable
from mlapi.registry.worker_files import BEAT_SECONDS, ENDED, FRESH_SECONDS, Rows, Section, WorkerFiles

SECTIONS = {
    "count": Section(), "last": Section(max), "now": Section(lasting=False), "first": Section(min, lasting=False),
}  # fmt: skip


class Tally:
    """A source that counts by key."""

    def __init__(self) -> None:
        self.changes, self.count, self.stamp = 0, dict[str, int](), 0

    def begin(self) -> None:
        self.__init__()  # type: ignore[misc]

    def add(self, key: str, number: int = 1) -> None:
        self.count[key] = self.count.get(key, 0) + number
        self.stamp, self.changes = number, self.changes + 1

    def sections(self) -> Mapping[str, Rows]:
        count = [((key, 1), [number, 10 * number]) for key, number in self.count.items()]
        return {"count": count, "last": [((), [self.stamp])], "now": [((), [1])], "first": [((), [self.stamp])]}


class Worker:
    """One process; `now` is its monotonic clock."""

    def __init__(self, folder: Path) -> None:
        self.now, self.tally = 100.0, Tally()
        self.files = WorkerFiles(folder, SECTIONS, durable.swap, lambda: self.now)
        self.files.add(self.tally)

    def ends(self) -> None:
        """Leave the file as that of a process that is no more, and count on as another."""
        path = self.files._folder / self.files.name
        gone = f"counters-{gone_pid()}-{self.files.name.rpartition('-')[2]}"
        path.rename(path.with_name(gone))
        self.files._begin()


def gone_pid() -> int:
    """Return the number of a process that was."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def counted(worker: Worker) -> dict[str, float]:
    return {str(key[0]): numbers[0] for key, numbers in worker.files.totals().of("count").items()}


@pytest.fixture
def workers(tmp_path: Path) -> list[Worker]:
    return [Worker(tmp_path) for _ in range(3)]


def test_rows_are_joined_number_by_number_as_their_section_says(workers: list[Worker]) -> None:
    for number, worker in enumerate(workers, 1):
        worker.tally.add("a", number)
        worker.files.flush()
    workers[0].tally.add("b", 7)
    totals = workers[0].files.totals()
    assert totals.workers == 3
    assert totals.of("count") == {("a", 1): [6, 60], ("b", 1): [7, 70]}
    assert (totals.of("last"), totals.of("first"), totals.of("now")) == ({(): [7]}, {(): [2]}, {(): [3]})
    assert totals.of("nothing") == {}


def test_whoever_asks_writes_what_it_tells_first_so_that_the_next_never_tells_less(workers: list[Worker]) -> None:
    workers[0].tally.add("a")
    assert counted(workers[0]) == counted(workers[1]) == {"a": 1}


def test_what_holds_now_counts_only_while_its_worker_writes(workers: list[Worker]) -> None:
    for worker in workers:
        worker.tally.add("a")
        worker.files.flush()
    workers[0].now += FRESH_SECONDS
    totals = workers[0].files.totals()
    assert (totals.workers, totals.of("now"), totals.of("count")["a", 1]) == (1, {(): [1]}, [3, 30])


def test_without_news_a_worker_writes_a_beat_now_and_then(workers: list[Worker]) -> None:
    worker = workers[0]
    worker.files.flush()
    path = worker.files._folder / worker.files.name
    first = path.stat().st_ino
    worker.files.flush()
    assert path.stat().st_ino == first
    worker.now += BEAT_SECONDS
    worker.files.flush()
    assert json.loads(path.read_bytes())["at"] == 100 + BEAT_SECONDS


def test_files_of_processes_that_have_ended_become_one_and_nothing_is_lost(
    workers: list[Worker], tmp_path: Path,
) -> None:
    asked = workers[0]
    for number in range(20):
        workers[1].tally.add("a", number)
        workers[1].files.flush()
        workers[1].ends()
        assert counted(asked)["a"] == sum(range(number + 1))
        if number % 3 == 0:
            asked.files.gather()
    asked.files.gather()
    assert counted(asked) == {"a": sum(range(20))}
    assert sorted(path.name for path in tmp_path.glob("*.json")) == sorted([asked.files.name, ENDED])
    totals = asked.files.totals()
    assert (totals.of("last"), totals.of("now")) == ({(): [19]}, {(): [1]})


def test_a_process_killed_while_it_gathers_loses_and_doubles_nothing(
    workers: list[Worker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = workers[0]
    for worker in workers[1:]:
        worker.tally.add("a", 5)
        worker.files.flush()
        worker.ends()
    monkeypatch.setattr(durable, "discard", lambda _: os.kill(gone_pid(), 0))  # ends here, having removed nothing
    with pytest.raises(ProcessLookupError):
        asked.files.gather()
    assert len(list(tmp_path.glob("counters-*.json"))) == 2
    assert counted(asked) == {"a": 10}
    monkeypatch.undo()
    asked.files.gather()
    assert counted(asked) == {"a": 10}
    assert [path.name for path in tmp_path.glob("counters-*.json")] == [asked.files.name]


def test_only_one_gathers_at_a_time(workers: list[Worker], tmp_path: Path) -> None:
    workers[1].tally.add("a", 5)
    workers[1].files.flush()
    workers[1].ends()
    with durable.claimed(tmp_path / "ended-counters.lock") as is_mine:
        assert is_mine
        workers[0].files.gather()
    assert not (tmp_path / ENDED).exists()


def test_a_sum_that_changes_while_it_is_read_is_read_again(
    workers: list[Worker], monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The files of the ended go between the reading of the sum and that of the files."""
    asked = workers[0]
    workers[1].tally.add("a", 5)
    workers[1].files.flush()
    workers[1].ends()
    asked.files.flush()
    look, others = WorkerFiles._paths, [workers[2].files.gather]

    def meanwhile(files: WorkerFiles) -> list[Path]:
        if files is asked.files and others:
            others.pop()()
        return look(files)

    monkeypatch.setattr(WorkerFiles, "_paths", meanwhile)
    assert counted(asked) == {"a": 5}
    assert not others


def test_counts_that_could_not_be_written_are_told_and_written_when_there_is_room(tmp_path: Path) -> None:
    refusals = [OSError("full"), OSError("full")]

    def write(path: Path, data: bytes) -> None:
        if refusals:
            raise refusals.pop()
        durable.swap(path, data)

    tally, files = Tally(), WorkerFiles(tmp_path, SECTIONS, write)
    files.add(tally)
    tally.add("a")
    with pytest.raises(OSError, match="full"):
        files.flush()
    assert files.totals().of("count") == {}  # rather nothing than what the next might not have
    assert files.totals().of("count") == {("a", 1): [1, 10]}


@pytest.mark.parametrize("damage", [
    b"", b"{", b"[]", b"null", b'{"of": []}', b"\xff", b'{"of": [], "at": "x", "rows": []}',
    b'{"of": [], "at": 1, "rows": [["count", "a"]]}', b'{"of": [], "at": 1, "rows": [["unknown", ["a"], [1]]]}',
    b'{"of": [], "at": 1, "rows": [7]}', b'{"of": [], "at": 1, "rows": {}}',
])  # fmt: skip
@pytest.mark.parametrize("name", [ENDED, "counters-1-aaaaaaaa.json", "counters-x.json", f"counters-{10**30}-a.json"])
def test_a_damaged_file_counts_for_nothing(workers: list[Worker], tmp_path: Path, name: str, damage: bytes) -> None:
    (tmp_path / name).write_bytes(damage)
    workers[0].tally.add("a")
    assert counted(workers[0]) == {"a": 1}
    workers[0].files.gather()
    assert counted(workers[0]) == {"a": 1}


def test_a_worker_that_has_ended_holds_nothing_any_more_however_lately_it_wrote(workers: list[Worker]) -> None:
    for worker in workers[:2]:
        worker.tally.add("a")
        worker.files.flush()
    workers[1].ends()
    totals = workers[0].files.totals()
    assert (totals.workers, totals.of("now"), totals.of("count")["a", 1]) == (1, {(): [1]}, [2, 20])


def test_a_folder_that_somebody_tidied_away_is_made_again(workers: list[Worker], tmp_path: Path) -> None:
    workers[0].tally.add("a")
    workers[0].files.flush()
    shutil.rmtree(tmp_path)
    workers[0].tally.add("a")
    assert counted(workers[0]) == {"a": 2}


def test_a_write_that_fails_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "rename", lambda *_: (tmp_path / "nothing").stat())
    with pytest.raises(FileNotFoundError):
        durable.swap(tmp_path / "file", b"data")
    assert list(tmp_path.iterdir()) == []


def test_what_is_counted_while_the_file_is_written_is_in_the_next_one(tmp_path: Path) -> None:
    tally = Tally()

    def write(path: Path, data: bytes) -> None:
        durable.swap(path, data)
        if tally.changes == 1:
            tally.add("a")

    files = WorkerFiles(tmp_path, SECTIONS, write)
    files.add(tally)
    tally.add("a")
    files.flush()
    assert files.totals().of("count") == {("a", 1): [2, 20]}


FORK = """
import os, pathlib, sys
sys.path.insert(0, {folder!r})
from test_worker_files import Worker
parent = Worker(pathlib.Path(sys.argv[1]))
parent.tally.add("parent", 3)
parent.files.flush()
if pid := os.fork():
    os.waitpid(pid, 0)
    print(sorted(parent.files.totals().of("count").items()))
else:
    parent.tally.add("child", 2)
    parent.files.flush()
    os._exit(0)
"""


def test_a_forked_process_begins_at_zero_under_a_name_of_its_own(tmp_path: Path) -> None:
    code = FORK.format(folder=str(Path(__file__).parent))
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )
    assert run.stdout == "[(('child', 1), [2, 20]), (('parent', 1), [3, 30])]\n"


def test_sections_are_sums_that_last_unless_they_say_otherwise() -> None:
    assert Section()[:2] == (operator.add, True)
