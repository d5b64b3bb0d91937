"""The shadow: draws, a bounded queue, a candidate that fails, hangs or takes other inputs; real models and files."""

import json
import queue
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression

from mlapi.inference.values import InferenceEvent, Target
from mlapi.registry import lines as lines_module
from mlapi.registry.lines import Lines
from mlapi.registry.live import LiveRegistry
from mlapi.registry.publishing import publish
from mlapi.registry.store import Store
from mlapi.rollouts import transitions
from mlapi.rollouts.desk import Desk
from mlapi.rollouts.document import Rollout, Shadow
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.pairs import comparison_of, picture
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.shadowing import MOST_VALUES, MOST_WAITING, Shadower

ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [6.0, 8.0]])
Event = Callable[..., InferenceEvent]


class Fussy(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Refuses rows above ten, which its sample has none of."""

    def fit(self, rows: Any, _: Any) -> "Fussy":
        self.n_features_in_ = rows.shape[1]
        return self

    def predict(self, rows: Any) -> Any:
        if (np.asarray(rows) > 10).any():
            raise RuntimeError("secretly broken")
        return np.asarray(rows)[:, 0]


class Worker:
    """One process without its threads: a registry whose rollout is a shadow, and what it writes."""

    def __init__(self, registry: Path, candidate: Any, columns: int = 2, **shadow: Any) -> None:
        wide = np.hstack([ROWS] * (columns // 2))
        publish(LinearRegression().fit(ROWS, ROWS[:, 0]), "m", sample=ROWS, registry=registry)
        publish(candidate.fit(wide, 2 * ROWS[:, 0]), "m", sample=wide, registry=registry)
        self.generations = Generations(Store(registry))
        plan = Plan(shadow=Shadow(**{"ppm": 1_000_000, "core_share": 1.0, **shadow}))
        self.rollout: Rollout = Desk(self.generations, lambda *_: None).start("m", 2, 1, plan, ("test", ""))
        self.live = LiveRegistry(Store(registry))
        self.live.refresh()
        self.lines, self.time = Lines(), iter(range(1000))
        self.shadower = Shadower(
            self.live, {self.rollout.id: self.rollout}.get, self.generations.folder, self.lines,
            busy=lambda: float(next(self.time)),
        )

    def event(self, make: Event, rows: Any = ((1.0, 2.0),), **more: Any) -> InferenceEvent:
        loaded = self.live.get(Target("m", 1))
        inputs: Mapping[str, Any] = {loaded.signature.input_names[0]: np.array(rows)}
        given = {"rollout": self.rollout.id, "ppm": 0, "arm": "control", "version": 1, "inputs": inputs,
                 "outputs": loaded.predict(inputs, loaded.outputs(())), **more}  # fmt: skip
        return make(**given)

    def compared(self) -> dict[str, Any]:
        self.lines.flush()
        return json.loads(json.dumps(picture(self.rollout, comparison_of(self.generations, self.rollout))))


def test_a_pair_has_both_answers_and_the_report_counts_them(tmp_path: Path, event: Event) -> None:
    worker = Worker(tmp_path, LinearRegression())
    for _ in range(3):
        worker.shadower.observe(worker.event(event))
        assert worker.shadower.ask_next() == 0
    found = worker.compared()
    assert (found["pairs"], found["errors"], found["dropped"]) == (3, 0, 0)
    assert found["disagreement"]["share"] == 1.0
    assert found["mean_difference"] == pytest.approx(1.0)
    assert found["worst"][0]["control"] == [pytest.approx(1.0)]
    [file] = (worker.generations.folder("m", worker.rollout.id) / "pairs").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_of_requests_that_were_answered_together_each_is_copied_with_its_own_rows(tmp_path: Path, event: Event) -> None:
    worker = Worker(tmp_path, LinearRegression())
    whole = worker.event(event, rows=[[1.0, 2.0], [3.0, 4.0], [2.0, 1.0]])
    told = whole.assignments[0]
    worker.shadower.observe(replace(whole, requests=3, assignments=[told, replace(told, arm="pinned"), told]))
    for _ in range(2):
        worker.shadower.ask_next()
    with pytest.raises(queue.Empty):
        worker.shadower.ask_next(timeout=0.001)
    found = worker.compared()
    pairs = sorted((row["control"][0], row["candidate"][0]) for row in found["worst"])
    assert pairs == [(pytest.approx(1.0), pytest.approx(2.0)), (pytest.approx(2.0), pytest.approx(4.0))]


@pytest.mark.parametrize("changes", [
    {"arm": "pinned"}, {"rollout": "ro_other"}, {"error": RuntimeError("no")}, {"outputs": None}, {"inputs": None},
])  # fmt: skip
def test_what_is_no_answer_of_the_control_is_not_copied(tmp_path: Path, event: Event, changes: dict[str, Any]) -> None:
    worker = Worker(tmp_path, LinearRegression())
    worker.shadower.observe(worker.event(event, **changes))
    with pytest.raises(queue.Empty):
        worker.shadower.ask_next(timeout=0.001)


def test_an_ended_shadow_asks_nobody(tmp_path: Path, event: Event, why: transitions.Reason) -> None:
    worker = Worker(tmp_path, LinearRegression())
    ended = transitions.abort(worker.rollout, why)
    shadower = Shadower(worker.live, lambda _: ended, worker.generations.folder, worker.lines)
    shadower.observe(worker.event(event))
    with pytest.raises(queue.Empty):
        shadower.ask_next(timeout=0.001)


def test_the_draw_keeps_to_the_rate_and_to_the_key(tmp_path: Path, event: Event) -> None:
    worker = Worker(tmp_path, LinearRegression(), ppm=300_000)
    known = worker.event(event)
    (told,) = known.assignments
    hashes = np.random.default_rng(1).integers(0, 2**64, 900, dtype=np.uint64)
    drawn = []
    for hashed in hashes.tolist():
        for _ in range(2):
            worker.shadower.observe(replace(known, assignments=(replace(told, hashed=hashed),)))
    while True:
        try:
            drawn.append(worker.shadower._queue.get_nowait().assignment.hashed)
        except queue.Empty:
            break
    assert 200 < len(set(drawn)) < 340
    assert len(drawn) == 2 * len(set(drawn))


def test_a_full_queue_drops_counts_and_never_waits(tmp_path: Path, event: Event) -> None:
    worker = Worker(tmp_path, LinearRegression())
    known = worker.event(event)
    for _ in range(MOST_WAITING + 25):
        worker.shadower.observe(known)
    assert worker.compared()["dropped"] == 25
    worker.shadower.observe(worker.event(event, rows=np.ones((MOST_VALUES, 2))))
    assert worker.compared()["dropped"] == 26


def test_a_candidate_that_raises_is_an_error_of_the_pair_alone(tmp_path: Path, event: Event) -> None:
    worker = Worker(tmp_path, Fussy())
    worker.shadower.observe(worker.event(event, rows=((11.0, 2.0),)))
    worker.shadower.observe(worker.event(event))
    worker.shadower.ask_next()
    worker.shadower.ask_next()
    found = worker.compared()
    assert (found["pairs"], found["errors"], found["disagreement"]["of"]) == (2, 1, 1)
    assert "Error" in found["error_examples"][0] or "Failed" in found["error_examples"][0]


def test_a_candidate_of_other_columns_takes_no_input_of_the_control(tmp_path: Path, event: Event) -> None:
    worker = Worker(tmp_path, LinearRegression(), columns=4)
    worker.shadower.observe(worker.event(event))
    worker.shadower.ask_next()
    found = worker.compared()
    assert found["errors"] == 1
    assert found["error_examples"][0].startswith("SignatureMismatch")


def test_it_rests_so_long_that_it_keeps_to_its_share(tmp_path: Path, event: Event) -> None:
    worker = Worker(tmp_path, LinearRegression(), core_share=0.25)
    worker.shadower.observe(worker.event(event))
    assert worker.shadower.ask_next() == pytest.approx(3.0)  # a second busy by its clock


def test_with_the_request_log_on_the_worst_disagreements_show_their_inputs(tmp_path: Path, event: Event) -> None:
    worker = Worker(tmp_path, LinearRegression())
    shadower = Shadower(worker.live, lambda _: worker.rollout, worker.generations.folder, worker.lines, inputs=True)
    shadower.observe(worker.event(event))
    shadower.ask_next()
    [values] = worker.compared()["worst"][0]["inputs"].values()
    assert values == [1.0, 2.0]


def test_lines_beyond_the_room_or_on_a_folder_that_cannot_be_written_are_counted(tmp_path: Path) -> None:
    lines = Lines(waiting=40, most=60)
    assert [lines.add(tmp_path / "a", {"text": "x" * 20}) for _ in range(2)] == [True, False]
    lines.flush()
    assert lines.add(tmp_path / "a", {"text": "x" * 20})
    lines.flush()
    found = [line for _, line in lines_module.read(tmp_path / "a")]
    assert [line for line in found if "dropped" in line] == [{"dropped": 1}, {"dropped": 2}]
    (tmp_path / "file").touch()
    assert lines.add(tmp_path / "file" / "b", {})
    lines.flush()


def test_lines_that_were_cut_short_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "host-1-ab-0.jsonl").write_text('{"p": 1}\n[]\n{"p": ')
    assert list(lines_module.read(tmp_path)) == [("host-1-ab", {"p": 1})]
