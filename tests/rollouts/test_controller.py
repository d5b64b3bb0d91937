"""The controller over real files: it ramps, rolls back and pauses; two of them, and clocks that jump, do no harm."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mlapi.inference.values import InferenceEvent, Target
from mlapi.rollouts import progress, transitions
from mlapi.rollouts.bookkeeper import Bookkeeper
from mlapi.rollouts.controller import TICK_SECONDS, Controller
from mlapi.rollouts.document import Rollout, Step
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.transitions import Reason
from tests.rollouts.conftest import Clock, Worker

Event = Callable[..., InferenceEvent]
PLAN = Plan(steps=(Step(100_000, 60.0, 20), Step(500_000, 60.0, 20)))


class Host(Worker):
    """A worker with its controller, without threads."""

    def __init__(self, registry: Path, clock: Clock) -> None:
        super().__init__(registry, clock)
        self.clock = clock
        books = Bookkeeper(self.generations, registry, lambda: clock.wall, lambda: clock.monotonic)
        self.controller = Controller(
            self.generations, self.router, books, lambda: clock.wall, lambda: clock.monotonic,
        )

    def begin(self, plan: Plan = PLAN) -> Rollout:
        why = Reason("test", "because", "2026-11-24T00:00:00Z")
        return self.generations.begin(
            "iris", lambda serial: transitions.start("iris", serial, (1, 2), plan, why), bytes(32),
        )

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_SECONDS)):
            self.clock.forward(TICK_SECONDS)
            self.follower.tick()
            self.controller.tick()

    def now(self, rollout: Rollout) -> Rollout:
        return self.generations.latest("iris", rollout.id)

    def serve(self, rollout: Rollout, make: Event, count: int = 100, **changes: object) -> None:
        """Count requests in both arms in the proportion of the share."""
        now = self.now(rollout)
        candidates = round(count * now.ppm / 1e6)
        for at in range(count):
            arm = "candidate" if at < candidates else "control"
            more = changes if arm == "candidate" else {}
            self.counters.observe(make(arm=arm, rollout=rollout.id, step=now.step, ppm=now.ppm, **more))


@pytest.fixture
def host(registry_copy: Path, clock: Clock) -> Host:
    return Host(registry_copy, clock)


def test_a_rollout_ramps_by_itself_and_is_promoted(host: Host, event: Event) -> None:
    rollout = host.begin()
    host.pass_time(5)
    for _ in range(2):
        host.serve(rollout, event, 300)
        host.pass_time(80)
    ended = host.now(rollout)
    assert (ended.state, ended.ppm) == ("promoted", 1_000_000)
    assert [(change.after, change.by) for change in ended.history] == [
        ("running:0", "test"), ("running:1", "controller"), ("promoted", "controller"),
    ]  # fmt: skip
    assert ended.history[-1].evidence["p_srm"] == 1.0
    assert host.router.route(Target("iris")).manifest.version == 2


def test_without_traffic_it_waits_for_ever(host: Host) -> None:
    rollout = host.begin()
    host.pass_time(1000)
    assert host.now(rollout).place == "running:0"
    assert progress.of(host.generations, rollout, lambda: host.clock.wall).waiting_for == "20 requests to the candidate"


def test_a_candidate_that_fails_is_rolled_back_with_the_numbers(host: Host, event: Event) -> None:
    rollout = host.begin()
    host.pass_time(5)
    host.serve(rollout, event, 200, fell_back=True)
    host.pass_time(10)
    ended = host.now(rollout)
    assert (ended.state, ended.ppm, ended.history[-1].by) == ("rolled_back", 0, "controller")
    assert ended.history[-1].evidence["e_errors"] >= 100
    assert "errors are more than 25% more likely" in ended.history[-1].why


def test_counters_that_fall_silent_pause(host: Host, event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    rollout = host.begin()
    host.pass_time(5)
    host.serve(rollout, event, 300)
    monkeypatch.setattr(type(host.follower), "_write", lambda *_: None)
    host.pass_time(90)
    paused = host.now(rollout)
    assert (paused.state, "no worker has written its counters" in paused.history[-1].why) == ("paused", True)


def test_only_one_controls_and_another_takes_over_where_the_time_was_left(
    host: Host, registry_copy: Path, clock: Clock, event: Event,
) -> None:
    rollout = host.begin()
    host.pass_time(5)
    host.serve(rollout, event, 300)
    host.pass_time(40)
    other = Host(registry_copy, clock)
    other.pass_time(100)
    assert host.now(rollout).place == "running:0"
    for watch in host.controller._watches.values():
        watch.lock.close()
    other.serve(rollout, event, 10)
    other.pass_time(15)
    assert host.now(rollout).place == "running:0"
    assert progress.watched(host.generations, rollout).step == pytest.approx(50.0)
    other.pass_time(15)
    assert host.now(rollout).place == "running:1"


def test_a_transition_is_written_only_onto_the_generation_that_was_judged(
    host: Host, event: Event, monkeypatch: pytest.MonkeyPatch, why: Reason,
) -> None:
    rollout = host.begin()
    host.pass_time(5)
    host.serve(rollout, event, 300)
    host.pass_time(50)
    original = Generations.change

    def operator_first(self: Generations, judged: Rollout, change: object) -> Rollout:
        original(self, judged, lambda now: transitions.pause(now, why))
        return original(self, judged, change)

    with monkeypatch.context() as patched:
        patched.setattr(Generations, "change", operator_first)
        host.pass_time(5)
        assert host.now(rollout).generation in {1, 2}
        while host.now(rollout).generation == 1:
            host.pass_time(5)
    assert (host.now(rollout).state, host.now(rollout).generation) == ("paused", 2)


def test_a_registry_that_cannot_be_written_is_told_once_and_stops_no_other(
    host: Host, event: Event, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:
    rollout = host.begin()
    host.follower.tick()

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr("mlapi.registry.durable.claimed", refuse)
        host.pass_time(60)
    assert [record.message for record in caplog.records].count("a rollout cannot be controlled") == 1
    host.serve(rollout, event, 300)
    host.pass_time(80)
    assert host.now(rollout).place == "running:1"


def test_a_wall_clock_that_jumps_opens_no_gate(host: Host, event: Event) -> None:
    rollout = host.begin()
    host.pass_time(5)
    host.serve(rollout, event, 300)
    host.clock.wall += 1e7
    host.pass_time(20)
    host.clock.wall -= 3e7
    host.pass_time(20)
    assert host.now(rollout).place == "running:0"
    host.pass_time(30)
    assert host.now(rollout).place == "running:1"


def test_hours_that_nobody_watched_count_for_nothing(host: Host, event: Event) -> None:
    rollout = host.begin()
    host.pass_time(5)
    host.serve(rollout, event, 300)
    host.pass_time(10)
    host.clock.forward(36000)
    host.pass_time(5)
    assert host.now(rollout).place == "running:0"


def test_a_paused_rollout_is_watched_and_resumed_where_it_was(host: Host, event: Event, why: Reason) -> None:
    rollout = host.begin()
    host.pass_time(5)
    host.serve(rollout, event, 300)
    host.pass_time(30)
    host.generations.change(rollout, lambda now: transitions.pause(now, why))
    host.pass_time(300)
    assert host.now(rollout).place == "paused:0"
    host.generations.change(rollout, lambda now: transitions.resume(now, why))
    host.pass_time(20)
    assert host.now(rollout).place == "running:0"
    host.pass_time(30)
    assert host.now(rollout).place == "running:1"
