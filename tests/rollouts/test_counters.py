"""Counters: one bad event a key, everything under the arm that was assigned, sums over workers."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlapi.errors import InvalidRequest, ModelFailed
from mlapi.inference.values import InferenceEvent
from mlapi.rollouts import counters as counting
from mlapi.rollouts.counters import Arm, Counters, Stratum, Tally, merged

Event = Callable[..., InferenceEvent]
HALF: Stratum = (0, 500_000)


def summed(*workers: Counters) -> Tally:
    """What a reader makes of the files of these workers."""
    return merged([json.loads(json.dumps(one.snapshot("ro_test"))) for one in workers])


def candidate(tally: Tally, stratum: Stratum = HALF) -> Arm:
    return tally.strata[stratum]["candidate"]


@pytest.mark.parametrize("changes", [{"arm": "pinned"}, {"ppm": 0}])
def test_what_belongs_to_no_arm_is_not_counted(event: Event, changes: dict[str, Any]) -> None:
    counters = Counters()
    counters.observe(event(**changes))
    assert summed(counters).strata == {}
    assert counters.changes("ro_test") == 0


def test_an_event_outside_any_rollout_is_not_counted(event: Event) -> None:
    counters = Counters()
    plain = event()
    counters.observe(InferenceEvent(plain.target, 1, 1, 1, 1, 1, None, None))
    assert counters.changes("ro_test") == 0


@pytest.mark.parametrize(("changes", "bad"), [
    ({}, {}), ({"error": ModelFailed("x")}, {"errors": 1}), ({"fell_back": True}, {"errors": 1}),
    ({"error": InvalidRequest(["x"])}, {}), ({"predict_ns": 6_000_000}, {"slow": 1}),
    ({"outputs": {"predict": np.array([[math.nan]])}}, {"invalid": 1}),
    ({"outputs": {"predict": np.array([[math.inf]])}, "fell_back": True}, {"errors": 1}),
])  # fmt: skip
def test_each_kind_of_failure_is_told_apart(event: Event, changes: dict[str, Any], bad: dict[str, int]) -> None:
    counters = Counters()
    counters.limit({"ro_test": 5.0})
    counters.observe(event(**changes))
    arm = candidate(summed(counters))
    assert (dict(arm.bad), dict(arm.failed), arm.requests) == (bad, bad, 1)


def test_a_key_that_fails_again_and_again_is_one_bad_event(event: Event) -> None:
    first, second = Counters(), Counters()
    for _ in range(100):
        first.observe(event(unit="key", hashed=7, fell_back=True))
        second.observe(event(unit="key", hashed=7, fell_back=True))
    second.observe(event(unit="key", hashed=2**64 - 1, fell_back=True))
    arm = candidate(summed(first, second))
    assert (arm.requests, arm.fell_back, arm.failed["errors"], dict(arm.bad)) == (201, 201, 201, {})
    assert arm.bad_keys == {"errors": {7, 2**64 - 1}}
    assert arm.keys == {7, 2**64 - 1}


def test_a_key_counts_in_the_first_step_that_any_worker_saw_it_in(event: Event) -> None:
    first, second = Counters(), Counters()
    first.observe(event(arm="control", unit="key", hashed=7, step=0, ppm=10_000))
    second.observe(event(arm="candidate", unit="key", hashed=7, step=1, ppm=500_000))
    tally = summed(second, first)
    assert tally.strata[0, 10_000]["control"].keys == {7}
    assert tally.strata[1, 500_000]["candidate"].keys == set()


def test_scores_are_of_requests_and_of_the_first_of_each_key(event: Event) -> None:
    counters = Counters()
    classes, probabilities = np.array([["a"], ["b"]], dtype=object), np.array([[0.8, 0.2], [0.4, 0.6]])
    counters.observe(event(outputs={"predict": classes, "predict_proba": probabilities}))
    for _ in range(5):
        counters.observe(event(unit="key", outputs={"predict": np.array([[3.0]])}))
    counters.observe(event(outputs={"predict": np.array([["text"]], dtype=object)}))
    number, total, squares = candidate(summed(counters)).scores
    assert (number, total, squares) == (2, pytest.approx(3.4), pytest.approx(9.16))


def test_the_number_of_keys_that_are_followed_has_an_end(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST_KEYS", 10)
    monkeypatch.setattr(counting, "MOST_BAD_KEYS", 5)
    counters = Counters()
    for hashed in range(20):
        counters.observe(event(unit="key", hashed=hashed, fell_back=True))
    arm = candidate(summed(counters))
    assert (arm.keys, len(arm.bad_keys["errors"]), arm.requests) == (set(range(10)), 5, 20)


def test_latencies_fall_into_buckets_of_four_percent(event: Event) -> None:
    counters = Counters()
    for nanoseconds in (0, 1, 1000, 5_000_000):
        counters.observe(event(predict_ns=nanoseconds))
    buckets = candidate(summed(counters)).latency
    ends = sorted(counting.RATIO**bucket for bucket, count in buckets.items() for _ in range(count))
    assert ends[:2] == [1.0, 1.0]
    assert all(end / 1.0401 <= given <= end * 1.0001 for end, given in zip(ends[2:], (1000, 5_000_000), strict=True))


FORKED = """
import os
from mlapi.inference.values import Assignment, InferenceEvent, Target
from mlapi.rollouts.counters import Counters

told = Assignment("ro_test", 1, 0, 500_000, "candidate", "candidate", "key", 7, None)
counters = Counters()
counters.observe(InferenceEvent(Target("m"), 2, 1, 1, 20, 1, None, None, 1, [told]))
assert counters.changes("ro_test") == 1
name = counters.name
with counters._lock:  # as another thread may hold it; in the worker nobody is there to let it go
    if pid := os.fork():
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    begun_anew = counters.snapshot("ro_test") == {"changes": 0, "strata": []} and counters.name != name
    os._exit(not begun_anew)
"""


def test_a_forked_worker_begins_at_zero_under_another_name() -> None:
    assert subprocess.run([sys.executable, "-c", FORKED], timeout=60, check=False).returncode == 0


def test_rollouts_that_are_over_are_forgotten(event: Event) -> None:
    counters = Counters()
    counters.observe(event())
    counters.forget(frozenset({"ro_test"}))
    assert counters.changes("ro_test") == 1
    counters.forget(frozenset())
    assert counters.changes("ro_test") == 0
