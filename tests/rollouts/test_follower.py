"""Following: what is on disk is what is routed, what is counted is on disk, and a trip rolls back."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlapi.inference.values import InferenceEvent, Target
from mlapi.registry.store import Store
from mlapi.rollouts import progress, transitions
from mlapi.rollouts.caller import Caller
from mlapi.rollouts.document import Rollout, Step
from mlapi.rollouts.follower import RESCAN_SECONDS, RolloutFollower
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.moments import moment
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.recall import Recall
from mlapi.rollouts.transitions import Reason
from tests.rollouts.conftest import Clock, Worker

IRIS = Target("iris")
Event = Callable[..., InferenceEvent]


@pytest.fixture
def worker(registry_copy: Path, clock: Clock) -> Worker:
    return Worker(registry_copy, clock)


def begin(generations: Generations, why: Reason, share: int = 999_999) -> Rollout:
    plan = Plan(steps=(Step(share),))
    return generations.begin("iris", lambda serial: transitions.start("iris", serial, (1, 2), plan, why), bytes(32))


def test_a_worker_follows_at_its_next_look(worker: Worker, why: Reason) -> None:
    worker.follower.tick()
    assert worker.router.treat(IRIS, Caller()) is None
    rollout = begin(worker.generations, why)
    worker.follower.tick()
    treatment = worker.router.treat(IRIS, Caller())
    assert treatment is not None
    assert (treatment.assignment.rollout, treatment.assignment.arm) == (rollout.id, "candidate")
    assert treatment.assignment.prediction_id is not None
    worker.generations.change(rollout, lambda now: transitions.abort(now, why))
    worker.follower.tick()
    assert worker.router.treat(IRIS, Caller()) is None
    assert worker.router.route(IRIS).manifest.version == 1


def test_nothing_is_read_again_while_the_registry_stands_still(
    worker: Worker, why: Reason, clock: Clock, monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin(worker.generations, why)
    worker.follower.tick()
    reads: list[str] = []

    def read(generations: Generations, model: str) -> None:
        if generations is worker.generations:  # an app of another test may follow its own
            reads.append(model)

    monkeypatch.setattr(Generations, "current", read)
    worker.follower.tick()
    assert reads == []
    clock.forward(RESCAN_SECONDS + 1)
    worker.follower.tick()
    assert "iris" in reads


def test_a_worker_says_how_far_it_is_and_what_it_counted(
    worker: Worker, registry_copy: Path, why: Reason, clock: Clock, event: Event,
) -> None:
    rollout = begin(worker.generations, why)
    worker.follower.tick()
    assert [(one["generation"], one["changes"]) for one in worker.files(rollout)] == [(1, 0)]
    other = Worker(registry_copy, clock)
    for _ in range(3):
        worker.counters.observe(event(rollout=rollout.id))
    other.counters.observe(event(rollout=rollout.id))
    other.follower.tick()
    clock.forward(1.5)
    worker.follower.tick()
    stands = progress.of(worker.generations, rollout, lambda: clock.wall)
    assert (stands.converged, len(stands.workers), stands.arms["candidate"].requests) == (True, 2, 4)
    changed = worker.generations.change(rollout, lambda now: transitions.pause(now, why))
    worker.follower.tick()
    stands = progress.of(worker.generations, changed, lambda: clock.wall)
    assert (stands.converged, sorted(one.lag for one in stands.workers)) == (False, [0, 1])
    other.follower.tick()
    assert progress.of(worker.generations, changed, lambda: clock.wall).converged


def test_a_process_that_begins_while_the_registry_is_gone_gives_all_requests_to_the_control(
    registry_copy: Path, why: Reason, clock: Clock, tmp_path: Path,
) -> None:
    """Its parent never heard of the rollout; another worker did, and left word in the run folder."""
    recall = Recall(tmp_path)
    first = Worker(registry_copy, clock, recall)
    begin(first.generations, why)
    first.follower.tick()
    registry_copy.rename(registry_copy.with_name("away"))
    late = Worker(registry_copy.with_name("away"), clock, recall)  # what is loaded there was read before
    late.generations = Generations(Store(registry_copy))
    late.follower = RolloutFollower(
        late.generations, late.router, late.counters, lambda: clock.wall, lambda: clock.monotonic, recall=recall,
    )
    late.follower.start()
    late.follower.stop()
    assert late.follower.heard == clock.monotonic
    assert late.router.is_stale("iris")
    treatment = late.router.treat(Target("iris"), Caller())
    assert treatment is not None
    assert (treatment.assignment.arm, treatment.control().manifest.version) == ("control", 1)
    registry_copy.with_name("away").rename(registry_copy)
    late.follower.tick()
    assert not late.router.is_stale("iris")


@pytest.mark.parametrize("kept", [b"", b"{}", b'{"head": 1}', b"\xff"])
def test_word_in_the_run_folder_that_cannot_be_read_is_none(tmp_path: Path, kept: bytes) -> None:
    (tmp_path / "rollouts.json").write_bytes(kept)
    assert Recall(tmp_path).read() == (b"", ())


def test_in_its_first_seconds_nobody_can_tell_that_all_have_heard_of_a_rollout(
    worker: Worker, why: Reason, clock: Clock,
) -> None:
    rollout = begin(worker.generations, replace(why, at=moment(clock.wall)))
    worker.follower.tick()
    for seconds, converged in ((0, False), (2, False), (1, True)):
        clock.forward(seconds)
        worker.follower.tick()
        assert progress.of(worker.generations, rollout, lambda: clock.wall).converged is converged


def test_the_counts_of_a_worker_that_died_stay_and_it_is_waited_for_no_longer(
    worker: Worker, registry_copy: Path, why: Reason, clock: Clock, event: Event,
) -> None:
    rollout = begin(worker.generations, why)
    worker.follower.tick()
    worker.counters.observe(event(rollout=rollout.id))
    worker.follower.flush()
    clock.forward(60)
    other = Worker(registry_copy, clock)
    other.follower.tick()
    stands = progress.of(other.generations, rollout, lambda: clock.wall)
    assert (stands.converged, len(stands.workers), stands.arms["candidate"].requests) == (True, 1, 1)


def test_a_candidate_that_fails_is_avoided_at_once_and_rolled_back(
    worker: Worker, why: Reason, event: Event, caplog: pytest.LogCaptureFixture,
) -> None:
    rollout = begin(worker.generations, why)
    worker.follower.tick()
    for _ in range(5):
        worker.breaker.observe(event(rollout=rollout.id, fell_back=True))
    treatment = worker.router.treat(IRIS, Caller())
    assert treatment is not None
    assert treatment.candidate is None
    worker.follower.tick()
    ended = worker.generations.latest("iris", rollout.id)
    assert (ended.state, ended.ppm, ended.history[-1].by) == ("rolled_back", 0, "breaker")
    assert ended.history[-1].evidence == {"failures": 5.0}
    assert worker.router.treat(IRIS, Caller()) is None
    assert "rolled back" in [record.message for record in caplog.records]


def test_a_trip_after_the_end_changes_nothing(worker: Worker, why: Reason) -> None:
    rollout = begin(worker.generations, why)
    worker.follower.tick()
    ended = worker.generations.change(rollout, lambda now: transitions.promote(now, why))
    worker.follower.trip(rollout.id, 5)
    worker.follower.tick()
    assert worker.generations.latest("iris", rollout.id) == ended


def test_a_rollback_that_cannot_be_written_is_tried_again(
    worker: Worker, why: Reason, monkeypatch: pytest.MonkeyPatch,
) -> None:
    rollout = begin(worker.generations, why)
    worker.follower.tick()
    worker.follower.trip(rollout.id, 5)
    with monkeypatch.context() as patched:
        patched.setattr("mlapi.registry.durable.create", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        worker.follower.tick()
    assert worker.generations.latest("iris", rollout.id).state == "running"
    worker.follower.tick()
    assert worker.generations.latest("iris", rollout.id).state == "rolled_back"


def test_a_registry_that_goes_leaves_the_last_word_for_thirty_seconds_and_then_the_control(
    worker: Worker, registry_copy: Path, why: Reason, clock: Clock, caplog: pytest.LogCaptureFixture,
) -> None:
    begin(worker.generations, why)
    worker.follower.tick()
    away = registry_copy.with_name("away")
    registry_copy.rename(away)
    clock.forward(29)
    worker.follower.tick()
    worker.follower.tick()
    treatment = worker.router.treat(IRIS, Caller())
    assert treatment is not None
    assert treatment.assignment.arm == "candidate"
    clock.forward(2)
    worker.follower.tick()
    treatment = worker.router.treat(IRIS, Caller())
    assert treatment is not None
    assert treatment.assignment.arm == "control"
    warned = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert warned.count("rollouts cannot be read; what is known holds for 30 s") == 1
    away.rename(registry_copy)
    worker.follower.tick()
    treatment = worker.router.treat(IRIS, Caller())
    assert treatment is not None
    assert treatment.assignment.arm == "candidate"


def test_a_damaged_generation_is_told_and_ends_with_the_control(
    worker: Worker, why: Reason, clock: Clock, caplog: pytest.LogCaptureFixture,
) -> None:
    rollout = begin(worker.generations, why)
    worker.follower.tick()
    (worker.generations.folder("iris", rollout.id) / "gen-00000002.json").write_bytes(b"{}")
    for _ in range(5):
        clock.forward(RESCAN_SECONDS + 0.1)
        worker.follower.tick()
    treatment = worker.router.treat(IRIS, Caller())
    assert treatment is not None
    assert treatment.assignment.arm == "control"
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        "a rollout cannot be read", "the registry is not heard of; only the control answers",
    ]  # fmt: skip


def test_clocks_that_jump_change_nothing(worker: Worker, why: Reason, clock: Clock) -> None:
    rollout = begin(worker.generations, why)
    worker.follower.tick()
    for jump in (1e7, -2e7, -1.6e9):
        clock.wall += jump
        clock.monotonic += 1
        worker.follower.tick()
        treatment = worker.router.treat(IRIS, Caller())
        assert treatment is not None
        assert treatment.assignment.arm == "candidate"
    assert worker.generations.latest("iris", rollout.id) == rollout


def test_counters_that_cannot_be_written_are_told_once_and_stop_nothing(
    worker: Worker, why: Reason, clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin(worker.generations, why)
    monkeypatch.setattr("mlapi.registry.durable.swap", lambda *_: (_ for _ in ()).throw(OSError(30, "read-only")))
    for _ in range(3):
        clock.forward(3)
        worker.follower.tick()
    assert worker.router.treat(IRIS, Caller()) is not None
    assert [record.message for record in caplog.records].count("rollout counters cannot be written") == 1


def test_without_the_secret_there_are_no_prediction_ids(
    worker: Worker, why: Reason, caplog: pytest.LogCaptureFixture,
) -> None:
    rollout = begin(worker.generations, why)
    (worker.generations.folder("iris", rollout.id) / "secret").unlink()
    worker.follower.tick()
    treatment = worker.router.treat(IRIS, Caller())
    assert treatment is not None
    assert treatment.assignment.prediction_id is None
    assert "the secret cannot be read; answers carry no prediction id" in [one.message for one in caplog.records]
