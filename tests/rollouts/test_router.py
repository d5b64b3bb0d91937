"""Routing: who gets which version, with a rollout, after it, without one, and when the registry is gone."""

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlapi.errors import InvalidRequest, VersionNotFound
from mlapi.inference.values import Target
from mlapi.registry.live import LiveRegistry
from mlapi.registry.store import Store
from mlapi.rollouts import prediction_id, transitions
from mlapi.rollouts.caller import Caller
from mlapi.rollouts.division import Division, arm_of
from mlapi.rollouts.document import Rollout
from mlapi.rollouts.router import STALE_SECONDS, Router, untreated
from mlapi.rollouts.transitions import Reason

SECRET = bytes(32)
IRIS = Target("iris")
Running = Callable[..., Rollout]


@pytest.fixture(scope="module")
def live(registry: Path) -> LiveRegistry:
    live = LiveRegistry(Store(registry))
    live.refresh()
    return live


class Asked:
    """What a request says, and a clock."""

    def __init__(self) -> None:
        self.words: dict[str, bytes] = {}
        self.now = 1000.0

    def caller(self) -> Caller:
        return Caller(self.words)


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def router(live: LiveRegistry, asked: Asked) -> Router:
    return Router(live, lambda: 1_700_000_000_000_000_000, lambda: asked.now)


def follow(router: Router, rollout: Rollout, secret: bytes | None = SECRET) -> Division:
    division = Division.of(rollout, secret)
    router.follow({rollout.model: division})
    router.heard({rollout.model})
    return division


def test_a_model_without_a_rollout_is_untouched(router: Router, live: LiveRegistry) -> None:
    assert router.treat(IRIS, Caller()) is None
    assert router.route(IRIS) is live.get(IRIS)
    assert untreated(IRIS, Caller()) is None


def test_both_versions_of_a_rollout_are_in_memory_before_they_are_asked(
    registry: Path, tmp_path: Path, running: Running,
) -> None:
    store = Store(shutil.copytree(registry, tmp_path / "registry"))
    for label in store.labels("iris"):
        store.unlabel("iris", label)
    own = LiveRegistry(store)
    own.refresh()
    rollout = running(500_000)
    arms = [Target("iris", version) for version in (rollout.control, rollout.candidate)]
    assert None in [own.ready(arm) for arm in arms], "else this would test nothing"
    follow(Router(own), rollout)
    until = time.monotonic() + 10.0
    while None in [own.ready(arm) for arm in arms] and time.monotonic() < until:
        pass
    assert None not in [own.ready(arm) for arm in arms]


def test_a_key_gets_the_arm_of_its_bucket_every_time(router: Router, asked: Asked, running: Running) -> None:
    rollout = running(500_000, keys=("header:A", "field:b"))
    division = follow(router, rollout)
    arms = set()
    for number in range(50):
        asked.words = {"field:b": f"user-{number}".encode()}
        first, second = router.treat(IRIS, asked.caller()), router.treat(IRIS, asked.caller())
        assert first is not None
        assert second is not None
        wanted = arm_of(rollout, division.hasher.hash(f"user-{number}".encode()))
        assert (first.assignment.arm, second.assignment.arm, first.assignment.unit) == (wanted, wanted, "key")
        assert (first.candidate is None) == (wanted == "control")
        arms.add(wanted)
    assert arms == {"control", "candidate"}


def test_the_first_source_that_is_sent_counts(router: Router, asked: Asked, running: Running) -> None:
    division = follow(router, running(500_000, keys=("header:A", "field:b")))
    asked.words = {"header:A": b"first", "field:b": b"second"}
    treatment = router.treat(IRIS, asked.caller())
    assert treatment is not None
    assert treatment.assignment.hashed == division.hasher.hash(b"first")


def test_requests_without_a_key_are_drawn_one_by_one(router: Router, running: Running) -> None:
    """Of 2,000 at one half, fewer than 880 or more than 1,120 would be a draw in ten million."""
    follow(router, running(500_000))
    treatments = [router.treat(IRIS, Caller()) for _ in range(2000)]
    candidates = sum(one is not None and one.assignment.arm == "candidate" for one in treatments)
    assert 880 < candidates < 1120
    assert {one.assignment.unit for one in treatments if one is not None} == {"request"}


@pytest.mark.parametrize("target", [Target("iris", 1), Target("iris", None, "stable"), Target("homes")])
def test_a_version_a_label_and_another_model_are_never_divided(
    router: Router, live: LiveRegistry, running: Running, target: Target,
) -> None:
    follow(router, running(999_999))
    assert router.treat(target, Caller()) is None
    assert router.route(target) is live.get(target)


@pytest.mark.parametrize(("variant", "version"), [("control", 1), ("candidate", 2)])
def test_a_caller_may_pin_a_variant_and_belongs_to_no_arm(
    router: Router, asked: Asked, running: Running, variant: str, version: int,
) -> None:
    follow(router, running(10_000))
    asked.words = {"header:X-Mlapi-Variant": variant.encode()}
    treatment = router.treat(IRIS, asked.caller())
    assert treatment is not None
    assert (treatment.assignment.arm, treatment.assignment.served) == ("pinned", variant)
    assert treatment.control().manifest.version == version
    assert treatment.assigned() == treatment.assignment


def test_a_variant_that_is_none_is_refused(router: Router, asked: Asked, running: Running) -> None:
    follow(router, running())
    asked.words = {"header:X-Mlapi-Variant": b"blue"}
    with pytest.raises(InvalidRequest, match="X-Mlapi-Variant is 'blue'; expected control or candidate"):
        router.treat(IRIS, asked.caller())


def test_the_prediction_id_says_what_was_decided(router: Router, asked: Asked, running: Running) -> None:
    rollout = running(999_999)
    follow(router, rollout)
    asked.words = {"header:X-User-Id": b"u42"}
    treatment = router.treat(IRIS, asked.caller())
    assert treatment is not None
    assert treatment.assignment.prediction_id is not None
    said = prediction_id.read(treatment.assignment.prediction_id, rollout.id, SECRET)
    assert (said.at_ms, said.arm, said.unit, said.step) == (1_700_000_000_000, "candidate", "key", 0)
    follow(router, rollout, None)
    without = router.treat(IRIS, asked.caller())
    assert without is not None
    assert without.assignment.prediction_id is None


def test_the_lane_gets_the_model_that_a_rollout_decides_and_the_one_it_left_afterwards(
    router: Router, asked: Asked, live: LiveRegistry, running: Running, why: Reason,
) -> None:
    assert router.ready(IRIS)(Caller()) == (live.get(IRIS), None)
    rollout = running(500_000, keys=("header:A",))
    follow(router, rollout)
    versions = {"control": 1, "candidate": 2}
    seen = set()
    for number in range(50):
        asked.words = {"header:A": b"%d" % number}
        ready, treatment = router.ready(IRIS)(asked.caller()), router.treat(IRIS, asked.caller())
        assert ready is not None
        assert ready.assignment is not None
        assert treatment is not None
        assert ready.assignment.arm == treatment.assignment.arm
        assert ready.loaded is live.get(Target("iris", versions[ready.assignment.arm]))
        seen.add(ready.assignment.arm)
    assert seen == {"control", "candidate"}
    assert router.ready(Target("iris", 1))(Caller()) == (live.get(Target("iris", 1)), None)
    follow(router, transitions.abort(rollout, why))
    assert router.ready(IRIS)(Caller()) == (live.get(Target("iris", 1)), None)


def test_the_lane_gives_a_pinned_variant_and_leaves_to_the_long_road_what_is_none(
    router: Router, live: LiveRegistry, running: Running,
) -> None:
    follow(router, running(1))
    for variant, version in (("control", 1), ("candidate", 2)):
        ready = router.ready(IRIS)(Caller({"header:X-Mlapi-Variant": variant.encode()}))
        assert ready is not None
        assert ready.assignment is not None
        assert (ready.assignment.arm, ready.assignment.served) == ("pinned", variant)
        assert ready.loaded is live.get(Target("iris", version))
    with pytest.raises(InvalidRequest):
        router.ready(IRIS)(Caller({"header:X-Mlapi-Variant": b"blue"}))


def test_the_lane_asks_no_candidate_that_is_to_be_avoided_and_waits_for_none(
    router: Router, live: LiveRegistry, running: Running,
) -> None:
    rollout = running(999_999)
    follow(router, replace(rollout, candidate=9))
    assert router.ready(IRIS)(Caller()) is None
    follow(router, rollout)
    router.avoid(rollout.id)
    ready = router.ready(IRIS)(Caller())
    assert ready is not None
    assert ready.assignment is not None
    assert (ready.assignment.arm, ready.assignment.served, ready.assignment.fell_back) == ("candidate", "control", True)
    assert ready.loaded is live.get(Target("iris", 1))


def test_who_is_asked_for_twice_by_one_request_is_drawn_once(router: Router, running: Running) -> None:
    """A request of the lane that takes the long road after all stays in its arm."""
    follow(router, running(500_000))
    for _ in range(50):
        caller = Caller()
        ready, treatment = router.ready(IRIS)(caller), router.treat(IRIS, Caller(drawn=caller.drawn))
        assert ready is not None
        assert ready.assignment is not None
        assert treatment is not None
        assert (ready.assignment.arm, ready.assignment.hashed) == (treatment.assignment.arm, caller.drawn)


def test_after_its_end_a_rollout_decides_who_answers_everybody(router: Router, running: Running, why: Reason) -> None:
    for end, version in ((transitions.promote, 2), (transitions.abort, 1), (transitions.roll_back, 1)):
        follow(router, end(running(), why))
        assert router.treat(IRIS, Caller()) is None
        assert router.route(IRIS).manifest.version == version


def test_a_version_that_was_left_and_deleted_gives_way_to_the_newest(
    router: Router, running: Running, why: Reason,
) -> None:
    follow(router, replace(transitions.abort(running(), why), control=9))
    assert router.route(IRIS).manifest.version == 2
    with pytest.raises(VersionNotFound):
        router.route(Target("iris", 9))


def test_a_candidate_that_is_not_there_leaves_the_control_to_answer(router: Router, running: Running) -> None:
    follow(router, replace(running(999_999), candidate=9))
    treatment = router.treat(IRIS, Caller())
    assert treatment is not None
    assert (treatment.assignment.arm, treatment.candidate) == ("candidate", None)
    assert treatment.control().manifest.version == 1
    assert (treatment.assigned().served, treatment.assigned().fell_back) == ("control", True)


def test_a_candidate_to_avoid_is_not_asked(router: Router, running: Running) -> None:
    rollout = running(999_999)
    follow(router, rollout)
    router.avoid(rollout.id)
    treatment = router.treat(IRIS, Caller())
    assert treatment is not None
    assert (treatment.assignment.arm, treatment.candidate) == ("candidate", None)


def test_after_thirty_seconds_without_the_registry_only_the_control_answers_until_it_is_heard_of(
    router: Router, asked: Asked, running: Running, caplog: pytest.LogCaptureFixture,
) -> None:
    follow(router, running(999_999))
    asked.now += STALE_SECONDS
    treatment = router.treat(IRIS, asked.caller())
    assert treatment is not None
    assert treatment.assignment.arm == "candidate"
    asked.now += 1
    for _ in range(3):
        treatment = router.treat(IRIS, asked.caller())
        assert treatment is not None
        assert (treatment.assignment.arm, treatment.assignment.ppm, treatment.candidate) == ("control", 0, None)
    assert router.is_stale("iris")
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        "the registry is not heard of; only the control answers",
    ]
    router.heard({"iris"})
    treatment = router.treat(IRIS, asked.caller())
    assert treatment is not None
    assert treatment.assignment.arm == "candidate"
