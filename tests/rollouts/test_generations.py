"""Rollouts on disk: one winner a generation, one rollout a model, nothing half written."""

import contextlib
import itertools
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mlapi.errors import RegistryError, RolloutConflict, RolloutNotFound, RolloutNotWritten
from mlapi.registry.store import Store
from mlapi.rollouts import document, transitions
from mlapi.rollouts.document import Rollout, Step
from mlapi.rollouts.generations import MOST_TRIES, Generations
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.transitions import Reason

SECRET = bytes(32)
PLAN = Plan(steps=(Step(10_000), Step(500_000)))
WRITERS = 2 * MOST_TRIES


@pytest.fixture
def generations(registry_copy: Path) -> Generations:
    return Generations(Store(registry_copy))


def begin(generations: Generations, why: Reason, model: str = "iris") -> Rollout:
    return generations.begin(model, lambda serial: transitions.start(model, serial, (1, 2), PLAN, why), SECRET)


def test_a_rollout_that_was_begun_is_found_by_model_and_by_id(generations: Generations, why: Reason) -> None:
    head = generations.store.head()
    first = begin(generations, why)
    assert generations.store.head() != head
    assert generations.current("iris") == generations.latest("iris", first.id) == generations.find(first.id) == first
    assert generations.current("homes") is None
    assert generations.all("iris") == (first,)
    assert generations.store.versions("iris") == (1, 2)


def test_each_change_is_a_file_more_and_the_old_ones_stay(generations: Generations, why: Reason) -> None:
    rollout = begin(generations, why)
    for change in (transitions.pause, transitions.resume, transitions.advance, transitions.abort):
        rollout = generations.change(rollout, lambda now, change=change: change(now, why))
    files = sorted(path.name for path in generations.folder("iris", rollout.id).glob("gen-*"))
    assert files == [f"gen-{number:08d}.json" for number in range(1, 6)]
    assert generations.latest("iris", rollout.id) == rollout
    assert [change.generation for change in rollout.history] == [1, 2, 3, 4, 5]


def test_racing_writers_each_get_a_generation_of_their_own(generations: Generations, why: Reason) -> None:
    """A try is lost to a writer that won, so that one who calls again needs fewer tries than there are writers."""
    rollout = begin(generations, why)

    def note(number: int) -> int:
        reason = replace(why, why=f"writer {number}")
        flip = {"running": transitions.pause, "paused": transitions.resume}
        for _ in range(WRITERS // MOST_TRIES):
            with contextlib.suppress(RolloutConflict):
                return generations.change(rollout, lambda now: flip[now.state](now, reason)).generation
        pytest.fail(f"writer {number} lost more tries than there were others to lose them to")

    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(note, range(WRITERS)))
    assert sorted(got) == list(range(2, WRITERS + 2))
    last = generations.latest("iris", rollout.id)
    assert {change.why for change in last.history[1:]} == {f"writer {number}" for number in range(WRITERS)}


def test_a_writer_that_always_loses_is_told_to_try_again(generations: Generations, why: Reason) -> None:
    rollout = begin(generations, why)
    verbs = itertools.cycle([transitions.pause, transitions.resume])
    tries = []

    def overtaken(now: Rollout) -> Rollout:
        tries.append(now.generation)
        generations.change(rollout, lambda before: next(verbs)(before, replace(why, why="faster")))
        return transitions.abort(now, why)

    with pytest.raises(RolloutConflict, match="is being changed by others all the time; try again"):
        generations.change(rollout, overtaken)
    assert tries == list(range(1, MOST_TRIES + 1))
    assert {change.why for change in generations.latest("iris", rollout.id).history[1:]} == {"faster"}


def test_a_change_that_is_refused_writes_nothing(generations: Generations, why: Reason) -> None:
    rollout = begin(generations, why)
    with pytest.raises(RolloutConflict):
        generations.change(rollout, lambda now: transitions.resume(now, why))
    assert generations.latest("iris", rollout.id) == rollout


def test_a_second_rollout_of_the_model_is_refused_while_the_first_is_active(
    generations: Generations, why: Reason,
) -> None:
    first = begin(generations, why)
    with pytest.raises(RolloutConflict, match=f"has the rollout '{first.id}' already: it is running"):
        begin(generations, why)
    generations.change(first, lambda now: transitions.abort(now, why))
    second = begin(generations, why)
    assert (second.serial, second.salt != first.salt) == (2, True)
    assert generations.current("iris") == second


def test_of_writers_that_race_to_begin_one_wins(generations: Generations, why: Reason) -> None:
    def attempt(_: int) -> bool:
        try:
            begin(generations, why)
        except RolloutConflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_the_last_rollout_holds_until_it_is_released(generations: Generations, why: Reason) -> None:
    ended = generations.change(begin(generations, why), lambda now: transitions.abort(now, why))
    assert generations.current("iris") == ended
    generations.change(ended, lambda now: transitions.release(now, why))
    assert generations.current("iris") is None


def test_a_version_in_use_is_told(generations: Generations, why: Reason) -> None:
    generations.require_unused("iris", 1)
    rollout = begin(generations, why)
    for version in (1, 2):
        with pytest.raises(RolloutConflict, match="end it first"):
            generations.require_unused("iris", version)
    ended = generations.change(rollout, lambda now: transitions.abort(now, why))
    generations.require_unused("iris", 2)
    with pytest.raises(RolloutConflict, match="release it first"):
        generations.require_unused("iris", 1)
    generations.change(ended, lambda now: transitions.release(now, why))
    generations.require_unused("iris", 1)


def test_the_secret_is_readable_by_its_owner_alone(generations: Generations, why: Reason) -> None:
    rollout = begin(generations, why)
    path = generations.folder("iris", rollout.id) / "secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert generations.secret(rollout) == SECRET
    path.unlink()
    assert generations.secret(rollout) is None


@pytest.mark.parametrize("name", ["ro_unknown", "ro_../../x", "x", "", "ro_UPPER"])
def test_an_unknown_rollout_is_not_found(generations: Generations, name: str) -> None:
    with pytest.raises(RolloutNotFound):
        generations.latest("iris", name)
    with pytest.raises(RolloutNotFound):
        generations.find(name)


def test_a_rollout_that_is_only_being_made_is_left_out(generations: Generations) -> None:
    (generations.store.folder("iris") / "rollouts" / "ro_halfmade").mkdir(parents=True)
    assert generations.all("iris") == ()


def test_a_damaged_or_misplaced_generation_is_an_error_and_no_other_is_taken(
    generations: Generations, why: Reason,
) -> None:
    rollout = begin(generations, why)
    folder = generations.folder("iris", rollout.id)
    (folder / "gen-00000002.json").write_bytes(document.dumps(rollout))
    with pytest.raises(RegistryError, match="another rollout or generation"):
        generations.latest("iris", rollout.id)
    (folder / "gen-00000003.json").write_bytes(b"{}")
    with pytest.raises(RegistryError, match="damaged"):
        generations.current("iris")


def test_a_registry_that_cannot_be_written_says_so(
    generations: Generations, why: Reason, monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> bool:
        raise OSError(30, "Read-only file system")

    rollout = begin(generations, why)
    monkeypatch.setattr("mlapi.registry.durable.create", refuse)
    with pytest.raises(RolloutNotWritten, match="changing the rollout of 'iris' failed: Read-only file system"):
        generations.change(rollout, lambda now: transitions.pause(now, why))
    with pytest.raises(RolloutNotWritten, match="starting a rollout of 'homes' failed"):
        begin(generations, why, "homes")
    assert generations.latest("iris", rollout.id) == rollout
    assert generations.current("homes") is None
