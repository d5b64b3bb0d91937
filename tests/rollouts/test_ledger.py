"""The ledger over real segments: each unit and each outcome counts once, within its window."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlapi.rollouts import prediction_id
from mlapi.rollouts.document import Metric, Rollout
from mlapi.rollouts.ledger import Ledger
from mlapi.rollouts.losses import loss
from mlapi.rollouts.prediction_id import Prediction

SECRET = bytes(range(32))
START = 1_800_000_000_000
LATER = START + 10_000_000
BUCKET = 2**64 // 1_000_000
CLICKS = Metric("clicks", "binary", 0.01, window_s=60.0)


class Book:
    """A rollout's folder that workers write, and its ledger."""

    def __init__(self, folder: Path, rollout: Rollout, metric: Metric) -> None:
        self.rollout, self.folder, self.metric = replace(rollout, metric=metric), folder / "rollout", metric
        for kind in ("exposures", "outcomes"):
            (self.folder / kind).mkdir(parents=True)
        classes = {"control": ("a", "b"), "candidate": ("b", "a")}
        self.ledger = Ledger(folder / "ledger.sqlite", self.folder, SECRET, classes)

    def id(self, hashed: int, arm: str, at: int = START) -> str:
        tag = prediction_id.tag_of(self.rollout.id)
        return prediction_id.sign(Prediction(at, tag, 0, arm, arm, "key", hashed), SECRET)

    def expose(self, hashed: int, arm: str, *, at: int = START, worker: str = "w-1", **more: Any) -> str:
        name = self.id(hashed, arm, at)
        row = {"p": name, "t": at, "g": 1, "s": 0, "w": 500_000, "a": arm, "f": 0, "u": "key", "k": f"{hashed:016x}",
               "l": 1.0, "e": 0, "n": 1, **more}  # fmt: skip
        self.write(f"exposures/{worker}-00000001.open", row)
        return name

    def tell(
        self, name: str, value: Any = None, *, at: int = START + 1000, label: Any = None, worker: str = "w-1",
    ) -> None:
        self.write(f"outcomes/{worker}-00000001.open", {"p": name, "t": at, "v": value, "l": label})

    def write(self, path: str, row: Any) -> None:
        with (self.folder / path).open("a") as file:
            file.write(json.dumps(row) + "\n")

    def settled(self, now: int = LATER) -> dict[str, list[float]]:
        self.ledger.read(self.rollout)
        found = self.ledger.settled(self.rollout, self.metric, now)
        (moments,) = found.moments.values() or [None]
        return {} if moments is None else {"control": list(moments.control), "candidate": list(moments.candidate)}


@pytest.fixture
def book(tmp_path: Path, running: Callable[..., Rollout]) -> Callable[..., Book]:
    return lambda metric=CLICKS: Book(tmp_path, running(500_000), metric)


def test_a_unit_counts_once_and_an_outcome_once_however_often_both_come(book: Callable[..., Book]) -> None:
    kept = book()
    first = kept.expose(1, "candidate")
    kept.expose(1, "candidate", at=START + 5000, worker="w-2")
    kept.expose(2, "control")
    for _ in range(3):
        kept.tell(first, 1)
    kept.tell(first, 1, worker="w-2")
    kept.tell(kept.id(1, "candidate", START + 5000), 1)
    assert kept.settled() == {"control": [1, 0, 0], "candidate": [1, 1, 1]}
    assert kept.settled() == {"control": [1, 0, 0], "candidate": [1, 1, 1]}


def test_the_first_value_stands_and_another_one_is_counted_as_a_conflict(book: Callable[..., Book]) -> None:
    kept = book()
    name = kept.expose(1, "candidate")
    kept.tell(name, 0)
    kept.tell(name, 1)
    assert kept.settled()["candidate"] == [1, 0, 0]
    assert kept.ledger.settled(kept.rollout, CLICKS, LATER).conflicts == 1


def test_a_unit_counts_when_its_window_has_passed_with_what_came_within_it(book: Callable[..., Book]) -> None:
    kept = book()
    kept.tell(kept.expose(1, "candidate"), 1, at=START + 59_000)
    kept.tell(kept.expose(2, "candidate"), 1, at=START + 61_000)
    assert kept.settled(START + 61_000) == {}
    assert kept.settled(START + 62_000)["candidate"] == [2, 1, 1]


def test_an_outcome_may_come_before_its_exposure_was_noted(book: Callable[..., Book]) -> None:
    """The lane notes them after the answer, and hosts have clocks of their own; its signature says what was first."""
    kept = book()
    kept.tell(kept.expose(1, "candidate"), 1, at=START - 1)
    assert kept.settled()["candidate"] == [1, 1, 1]


def test_a_unit_belongs_where_it_was_first_seen_in_whatever_order_that_is_read(book: Callable[..., Book]) -> None:
    kept = book()
    kept.expose(1, "candidate", at=START + 9000)
    assert kept.settled()["candidate"] == [1, 0, 0]
    kept.expose(1, "control", at=START, worker="a-late-one")
    assert kept.settled() == {"control": [1, 0, 0], "candidate": [0, 0, 0]}


def test_a_key_whose_version_changed_within_its_window_counts_for_neither(book: Callable[..., Book]) -> None:
    """The share rises from 50 % to 80 % five seconds later: bucket 600,000 moves, bucket 900,000 stays."""
    kept = book()
    second = replace(kept.rollout.plan[0], ppm=800_000)
    change = replace(kept.rollout.history[0], after="running:1", at="2027-01-15T08:00:05Z")
    kept.rollout = replace(kept.rollout, plan=(*kept.rollout.plan, second), history=(*kept.rollout.history, change))
    kept.expose(600_000 * BUCKET + BUCKET // 2, "control")
    kept.expose(900_000 * BUCKET + BUCKET // 2, "control")
    kept.expose(600_001 * BUCKET + BUCKET // 2, "control", at=START - 100_000)
    assert kept.settled()["control"] == [2, 0, 0]


def test_values_are_summed_and_cut_off(book: Callable[..., Book]) -> None:
    kept = book(Metric("revenue", "continuous", 1.0, window_s=60.0, cap=50.0))
    for at, value in ((0, 20.0), (1000, 25.0)):
        kept.tell(kept.expose(1, "candidate", at=START + at), value)
    kept.tell(kept.expose(2, "control"), 1e9)
    assert kept.settled() == {"control": [1, 50, 2500], "candidate": [1, 45, 2025]}


def test_labels_become_losses_whichever_file_is_read_first_and_units_without_one_are_left_out(
    book: Callable[..., Book],
) -> None:
    kept = book(Metric("error", "squared_error", 1.0, direction="down", window_s=60.0))
    early = kept.id(1, "candidate")
    kept.tell(early, label=5.0)
    assert kept.settled() == {}
    kept.write("exposures/w-9-00000001.jsonl", {
        "p": early, "t": START, "g": 1, "s": 0, "w": 500_000, "a": "candidate", "f": 0, "u": "key", "k": f"{1:016x}",
        "l": 1, "e": 0, "n": 1, "y": 2.0,
    })  # fmt: skip
    kept.expose(2, "candidate", y=3.0)
    assert kept.settled()["candidate"] == [1, 9, 81]
    assert kept.ledger.settled(kept.rollout, kept.metric, LATER).labelled[0].candidate == 1


def test_log_loss_takes_the_classes_of_the_version_that_answered(book: Callable[..., Book]) -> None:
    kept = book(Metric("loss", "log_loss", 0.1, direction="down", window_s=60.0))
    kept.tell(kept.expose(1, "candidate", y="b", q=[1.0, 0.0]), label="b")
    kept.tell(kept.expose(2, "candidate", y="b", q=[0.0, 1.0], f=1), label="b")
    kept.tell(kept.expose(3, "candidate", y="b", q=[1.0, 0.0]), label="neither")
    assert kept.settled()["candidate"] == [2, pytest.approx(0), pytest.approx(0)]


def test_forged_outcomes_and_torn_lines_are_left_out(book: Callable[..., Book]) -> None:
    kept = book()
    name = kept.expose(1, "candidate")
    kept.tell(name[:-2] + ("AA" if name[-2:] != "AA" else "BB"), 1)
    for text in ('{"p": "torn', "\n", "[]\n", '{"t": 1}\n'):
        with (kept.folder / "outcomes/w-3-00000001.open").open("a") as file:
            file.write(text)
    assert kept.settled()["candidate"] == [1, 0, 0]
    with (kept.folder / "exposures/w-1-00000001.open").open("a") as file:
        file.write('{"half": ')
    kept.expose(2, "candidate", worker="w-2")
    assert kept.settled()["candidate"] == [2, 0, 0]


def test_a_segment_that_is_renamed_is_not_read_again_and_another_controller_goes_on(
    book: Callable[..., Book], tmp_path: Path,
) -> None:
    kept = book()
    kept.expose(1, "candidate")
    kept.settled()
    (kept.folder / "exposures/w-1-00000001.open").rename(kept.folder / "exposures/w-1-00000001.jsonl")
    kept.ledger.close()
    kept.ledger = Ledger(tmp_path / "ledger.sqlite", kept.folder, SECRET, {})
    assert kept.settled()["candidate"] == [1, 0, 0]


@pytest.mark.parametrize(("kind", "answer", "probabilities", "label", "expected"), [
    ("accuracy", "a", None, "a", 1.0), ("accuracy", 1, None, 0, 0.0), ("squared_error", 2.0, None, 5, 9.0),
    ("squared_error", "x", None, 5, None), ("log_loss", "a", [0.5, 0.5], "a", 0.6931471805599453),
    ("log_loss", "a", None, "a", None), ("log_loss", "a", [1.0, 0.0], "b", 34.538776394910684),
])  # fmt: skip
def test_losses(kind: str, answer: Any, probabilities: Any, label: Any, expected: float | None) -> None:
    assert loss(kind, answer, probabilities, ("a", "b"), label) == expected
