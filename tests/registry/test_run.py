"""The run of a server: told from its parent by the stack, held while it lives, removed once it has ended."""

import subprocess
import sys
from pathlib import Path

import pytest

from mlapi.registry import durable, run
from mlapi.registry.run import FOLDER, folder_of_run

PRINT = "import sys, pathlib; from mlapi.registry.run import folder_of_run as f; print(f(pathlib.Path(sys.argv[1])))"
FORK = """
import multiprocessing, pathlib, sys
from mlapi.registry.run import folder_of_run
shared = pathlib.Path(sys.argv[1])
print(folder_of_run(shared))
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(*sorted(set(map(str, pool.map(folder_of_run, [shared] * 8, chunksize=1)))), sep="\\n")
"""
"""Forks in a process of its own: this one has the threads of other tests."""


def other_run(shared: Path) -> Path:
    """Return the folder that another process gets, which has ended by then."""
    command = [sys.executable, "-c", PRINT, str(shared)]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def test_a_process_has_one_folder_and_another_run_has_another(tmp_path: Path) -> None:
    own = folder_of_run(tmp_path)
    assert own == folder_of_run(tmp_path)
    assert own.parent == tmp_path
    assert other_run(tmp_path) != other_run(tmp_path) != own


def test_a_forked_worker_shares_the_folder_of_the_process_that_forked_it(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FORK, str(tmp_path)], capture_output=True, text=True, check=True)
    own, forked = done.stdout.splitlines()
    assert own == forked
    assert Path(own).parent == tmp_path


def test_what_an_ended_run_left_is_removed_and_what_a_living_one_holds_is_not(tmp_path: Path) -> None:
    ended = other_run(tmp_path)
    (ended / "orders.json").write_text("{}")
    own = folder_of_run(tmp_path)
    (own / "orders.json").write_text("{}")
    assert not ended.exists()
    assert other_run(tmp_path).parent == tmp_path
    assert (own / "orders.json").exists()


def test_a_folder_that_is_not_a_runs_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / f"{FOLDER}unheld").mkdir()
    (tmp_path / "else").mkdir()
    folder_of_run(tmp_path)
    assert (tmp_path / f"{FOLDER}unheld").exists()
    assert (tmp_path / "else").exists()


def test_without_proc_the_folder_is_shared_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PROC", tmp_path / "none")
    assert folder_of_run(tmp_path / "shared") == tmp_path / "shared"


@pytest.mark.parametrize(("name", "forked"), [("gunicorn", True), ("systemd", False)])
def test_a_parent_whose_stack_is_hidden_is_known_by_its_name(
    name: str, forked: bool,
) -> None:
    own = run._Process(5, "gunicorn", 1, "7", "140")
    assert run._is_fork(own, run._Process(1, name, 0, "1", "0")) is forked


def test_without_a_folder_given_it_goes_with_the_process() -> None:
    made = folder_of_run(None)
    assert made.is_dir()
    command = [sys.executable, "-c", "from mlapi.registry.run import folder_of_run as f; print(f(None))"]
    assert not Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()).exists()
    durable.discard(made)
