"""A replay: what a version cannot answer and why, what it answers otherwise, how long it takes; real models."""

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression

from mlapi.errors import VersionNotFound, VersionRefused
from mlapi.registry import loading
from mlapi.registry.loading import LoadedModel
from mlapi.registry.publishing import publish
from mlapi.registry.store import Store
from mlapi.rollouts import replay as module
from mlapi.rollouts.gate import Limits, broken
from mlapi.rollouts.replay import Replayed, replay
from mlapi.rollouts.replay_picture import picture
from mlapi.rollouts.request_line import LoggedRequest

SIZES = pd.DataFrame({"size": np.arange(10.0), "rooms": np.arange(10.0) % 3})
Answer = Callable[..., LoggedRequest]


class Odd(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Answers its sample; sizes beyond 100 raise, and beyond 50 are no number."""

    def fit(self, rows: Any, _: Any) -> "Odd":
        self.n_features_in_, self.feature_names_in_ = rows.shape[1], np.array(rows.columns, dtype=object)
        return self

    def predict(self, rows: Any) -> Any:
        sizes = np.asarray(rows["size"])
        if (sizes > 100).any():
            raise RuntimeError("secretly broken")
        return np.where(sizes > 50, np.nan, sizes)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a registry: 1 and 2 differ by a tenth of the size, 3 takes one column more, 4 is odd."""
    root = tmp_path_factory.mktemp("replayed")
    for factor in (1.0, 1.1):
        publish(LinearRegression().fit(SIZES, factor * SIZES["size"]), "m", sample=SIZES, registry=root)
    wide = SIZES.assign(extra=1.0)
    publish(LinearRegression().fit(wide, wide["size"]), "m", sample=wide, registry=root)
    publish(Odd().fit(SIZES, SIZES["size"]), "m", sample=SIZES, registry=root)
    return Store(root)


@pytest.fixture
def load(store: Store) -> Callable[[int], LoadedModel]:
    return lambda version: loading.verify(store, "m", version)


def asked(*sizes: float, version: int = 1, at_ms: int = 1_800_000_000_000) -> LoggedRequest:
    """Return a request about `sizes` that was answered with them."""
    inputs = {"size": np.array(sizes), "rooms": np.ones(len(sizes))}
    return LoggedRequest(at_ms, version, len(sizes), 5_000_000, inputs, {"predict": np.array(sizes).reshape(-1, 1)})


def played(requests: Sequence[LoggedRequest], version: int, load: Any, **more: Any) -> Replayed:
    return replay(requests, version, load, model="m", **more)


def test_the_version_that_answered_answers_as_it_did(load: Any) -> None:
    found = played([asked(1.0, 2.0), asked(3.0, at_ms=1_800_000_001_000)], 1, load, tolerance=1e-9)
    assert (found.requests, found.rows, found.errors, found.not_finite) == (2, 3, 0, 0)
    assert (found.comparison.disagreement.count, found.comparison.disagreement.of, found.worst) == (0, 2, ())
    assert (found.first_ms, found.last_ms, found.answered_by) == (1_800_000_000_000, 1_800_000_001_000, {1: 2})
    assert found.times.here == 2
    assert broken(found, Limits(0.0, 0.0, None)) == ()


def test_another_version_differs_and_the_worst_rows_come_first(load: Any) -> None:
    found = played([asked(10.0, 40.0), asked(20.0)], 2, load)
    assert found.comparison.disagreement.share == 1.0
    assert found.comparison.mean_difference == pytest.approx((2.5 + 2.0) / 2)
    first, second = found.worst
    assert (first.row, first.rows, first.answered_by, first.control) == (1, 2, 1, (40.0,))
    assert (first.candidate[0], first.difference) == (pytest.approx(44.0), pytest.approx(4.0))
    assert first.inputs == {"size": 40.0, "rooms": 1.0}
    assert second.inputs["size"] == 20.0
    [fault] = broken(found, Limits(max_disagreement=0.5, max_slower=None))
    assert fault == "100.00% of the answers disagree; at most 50.00% may (--max-disagreement)"


def test_a_column_that_callers_do_not_send_is_one_reason_however_many_requests(load: Any) -> None:
    found = played([asked(1.0), asked(2.0, 3.0)], 3, load)
    assert (found.errors, found.reasons) == (2, {"SignatureMismatch: input 'extra' is missing": 2})
    assert found.comparison.disagreement.of == 0
    assert broken(found, Limits(max_errors=1.0)) == ()
    [fault] = broken(found, Limits(max_errors=0.4))
    assert fault.startswith("2 of 2 requests failed (100.00%), 2 of them without an answer; at most 40.00% may")
    [fault] = broken(found, Limits(max_errors=1.0, max_disagreement=1.0))
    assert "no two answers could be compared" in fault


def test_reasons_are_the_same_for_requests_that_differ_in_their_rows(load: Any) -> None:
    def lacking(rows: int) -> LoggedRequest:
        whole = asked(*map(float, range(rows)))
        return replace(whole, inputs={**whole.inputs, "rooms": np.array([1.0] * (rows - 1) + [np.nan])})

    found = played([lacking(1), lacking(2)], 1, load)
    [(reason, count)] = found.reasons.items()
    assert count == 2
    assert reason == "SignatureMismatch: a row, column 'rooms': is missing, and this model takes no missing value there"
    inputs = [{"size": np.ones((rows, 2)), "rooms": np.ones(rows)} for rows in (1, 2)]
    wide = [replace(asked(*[1.0] * rows), inputs=each) for rows, each in enumerate(inputs, 1)]
    assert list(played(wide, 1, load).reasons.values()) == [2]


def test_what_a_model_raises_and_what_is_no_number_are_failures_and_end_nothing(load: Any) -> None:
    found = played([asked(1.0), asked(60.0), asked(1.0, 200.0), asked(2.0)], 4, load)
    assert (found.errors, found.not_finite, found.failed.count, found.failed.share) == (1, 1, 2, 0.5)
    [reason] = found.reasons
    assert "ModelFailed" in reason
    compared = found.comparison
    assert (compared.disagreement.count, compared.disagreement.of, compared.invalid) == (0, 2, 1)
    [fault] = broken(found, Limits(max_slower=None))
    assert fault.startswith("2 of 4 requests failed (50.00%), 1 of them without an answer")


def test_what_was_no_number_then_is_not_held_against_it(load: Any) -> None:
    was = replace(asked(60.0), outputs={"predict": np.array([[np.nan]])})
    assert played([was], 4, load).not_finite == 0
    assert played([replace(was, outputs={"predict": np.array([["a"]], dtype=object)})], 4, load).not_finite == 1


def test_a_version_may_be_compared_with_another_as_that_answers_now(load: Any) -> None:
    found = played([asked(10.0), asked(20.0)], 1, load, against=2)
    assert (found.against, found.comparison.mean_difference) == (2, pytest.approx(-1.5))
    assert played([asked(10.0)], 2, load, against=2).comparison.disagreement.count == 0
    unanswered = played([asked(10.0)], 1, load, against=3)
    assert (unanswered.errors, unanswered.comparison.invalid, unanswered.times.here) == (0, 1, 0)


def test_a_version_that_is_gone_lends_the_times_of_then(load: Any) -> None:
    def gone(version: int) -> LoadedModel:
        if version == 7:
            raise VersionNotFound("m", "7")
        if version == 8:
            raise VersionRefused("m", 8, "it is damaged")
        found: LoadedModel = load(version)
        return found

    found = played([asked(1.0, version=7), asked(1.0, version=8)], 1, gone)
    assert (found.times.here, found.times.control_ms, found.answered_by) == (0, (5.0, 5.0), {7: 1, 8: 1})
    with pytest.raises(VersionNotFound):
        played([asked(1.0)], 7, gone)
    with pytest.raises(VersionNotFound):
        played([asked(1.0)], 1, gone, against=7)


def test_times_are_of_predictions_alone_and_their_ratio_has_a_limit(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock by which the version that is asked first in each request takes 1 ms, and the other 3 ms."""
    ticks = itertools.accumulate(itertools.cycle([0, 0, 10**6, 0, 0, 3 * 10**6]))
    monkeypatch.setattr(module.time, "perf_counter_ns", lambda: next(ticks))
    few = played([asked(1.0)], 2, load)
    assert broken(few, Limits()) == (), "one answer is chance"
    found = replace(few, requests=30)
    assert (found.times.control_ms, found.times.candidate_ms) == ((1.0, 1.0), (3.0, 3.0))
    [fault] = broken(found, Limits())
    assert fault == "the median takes 3.00 times as long, 3 ms instead of 1; at most 2 times may be (--max-slower)"
    assert broken(found, Limits(max_slower=3.0)) == broken(found, Limits(max_slower=None)) == ()
    short = replace(found.times, control_ms=(0.01, 0.01), candidate_ms=(0.09, 0.09), ratio=(9.0, 9.0))
    assert broken(replace(found, times=short), Limits()) == ()
    assert played([asked(1.0), asked(1.0)], 2, load).times.ratio[0] == 1.0, "the next request asks the other one first"


def test_every_request_is_told_to_the_progress_bar(load: Any) -> None:
    seen: list[int] = []

    def watch(requests: Sequence[LoggedRequest]) -> Any:
        for request in requests:
            seen.append(request.rows)
            yield request

    played([asked(1.0), asked(1.0, 2.0)], 1, load, watch=watch)
    assert seen == [1, 2]


def test_the_document_is_json_and_has_all_of_it(load: Any) -> None:
    found = played([asked(10.0), asked(20.0)], 2, load, missing=(3, 1), tolerance=0.5)
    limits = Limits(0.1, 0.2, 3.0)
    told = json.loads(json.dumps(picture(found, limits, ("why",)), allow_nan=False))
    assert (told["version"], told["against"], told["passed"], told["faults"]) == ("2", "served", False, ["why"])
    assert told["limits"] == {"max_errors": 0.1, "max_disagreement": 0.2, "max_slower": 3.0}
    assert (told["dropped"], told["unreadable"], told["answered_by"]) == (3, 1, {"1": 2})
    assert told["worst"][0]["inputs"] == {"size": 20.0, "rooms": 1.0}
    assert told["first"] == "2027-01-15T08:00:00Z"


def test_a_replay_of_nothing_says_nothing(load: Any) -> None:
    found = played([], 1, load)
    assert (found.requests, found.failed.share, found.times.ratio) == (0, None, (None, None))
    assert broken(found, Limits()) == ()
