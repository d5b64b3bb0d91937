"""Training end to end: nothing leaks, everything repeats, the best is chosen, doubts are said."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mlapi.errors import TrainingError
from mlapi.training.families import BASELINE
from mlapi.training.step import Step
from mlapi.training.table import Table
from mlapi.training.trainer import Options, Trained, train

QUICK = Options(family="tree", folds=3)


def spoiled(table: Table, rows: np.ndarray) -> Table:
    """Return the table with other values in these rows, in the features and the target."""
    features, target = table.features.copy(), table.target.copy()
    features.loc[features.index[rows], "size"] = -1e6
    target.loc[target.index[rows]] = 1e6
    return replace(table, features=features, target=target)


@pytest.mark.parametrize("family", ["linear", "svm", "boosting"])
def test_held_out_rows_change_nothing_that_is_learned(family: str, priced: Table) -> None:
    """With nonsense in the held-out rows the comparison and the model stay the same to the bit."""
    options = Options(family=family, folds=3)
    clean = train(priced, options)
    other = train(spoiled(priced, clean.split.held_out), options)
    assert other.split.digest == clean.split.digest
    assert [e.metrics for e in other.leaderboard] == [e.metrics for e in clean.leaderboard]
    probe = clean.train_features
    assert np.array_equal(other.model.predict(probe), clean.model.predict(probe))
    assert other.evaluation.metrics != clean.evaluation.metrics


def test_training_rows_do_change_what_is_learned(priced: Table) -> None:
    """The twin of the test above: it would notice."""
    clean = train(priced, QUICK)
    other = train(spoiled(priced, clean.split.train[:20]), QUICK)
    assert not np.array_equal(
        other.model.predict(clean.train_features), clean.model.predict(clean.train_features),
    )


@pytest.mark.parametrize("family", ["mlp", "forest", "boosting"])
def test_the_same_seed_gives_the_same_figures(family: str, priced: Table) -> None:
    options = Options(family=family, folds=2)
    one, two = train(priced, options), train(priced, options)
    assert one.evaluation == two.evaluation
    assert [e.metrics for e in one.leaderboard] == [e.metrics for e in two.leaderboard]


def test_another_seed_holds_out_other_rows(priced: Table) -> None:
    one, two = train(priced, QUICK), train(priced, replace(QUICK, seed=1))
    assert one.split.digest != two.split.digest


def test_auto_publishes_the_best_of_all_families_that_fit(priced: Table) -> None:
    steps = list[Step]()
    trained = train(priced, Options(folds=2), report=steps.append)
    families = [entry.family for entry in trained.leaderboard]
    assert sorted(families) == sorted(
        ["linear", "tree", "svm", "mlp", "forest", "boosting", BASELINE],
    )
    assert families[-1] == BASELINE
    assert trained.family.name == families[0]
    scores = [entry.metrics["r2"] for entry in trained.leaderboard[:-1]]
    assert scores == sorted(scores, reverse=True)
    assert steps[-1].text == f"fitting {families[0]} on all training rows"


def test_classes_are_learned_and_measured(trained_grade: Trained) -> None:
    assert trained_grade.task.task == "classification"
    assert set(trained_grade.evaluation.per_class) == {"low", "middle", "high"}
    assert trained_grade.evaluation.metrics["accuracy"] > 0.7
    assert sum(map(sum, trained_grade.evaluation.confusion)) == len(trained_grade.split.held_out)


def test_two_classes_are_learned_and_measured(graded: Table) -> None:
    target = graded.target.where(graded.target != "low", "middle")
    trained = train(replace(graded, target=target), Options(family="logistic", folds=2))
    assert list(trained.evaluation.per_class) == ["high", "middle"]


def test_columns_that_say_nothing_are_doubted() -> None:
    random = np.random.default_rng(3)
    features = pd.DataFrame({"noise": random.random(60)})
    table = Table("t.csv", "0" * 64, 60, 2, features, pd.Series(random.random(60), name="y"), ())
    trained = train(table, QUICK)
    assert "tree does no better than guessing" in trained.notices[-1]


def test_mape_cannot_rank_where_the_target_is_zero(priced: Table) -> None:
    zero = replace(priced, target=priced.target * (np.arange(len(priced.target)) > 0))
    with pytest.raises(TrainingError, match="mape divides by the target, and 'price' is 0"):
        train(zero, replace(QUICK, metric="mape"))


def test_a_table_that_no_family_can_learn_is_refused_with_the_reason(priced: Table) -> None:
    """Squares of such numbers are beyond the largest float, so that they cannot be scaled."""
    huge = replace(priced, features=priced.features.assign(size=priced.features["size"] * 1e305))
    with np.errstate(all="ignore"), pytest.raises(TrainingError, match=r"no family can learn 'price' .* failed: "):
        train(huge, Options(family="linear", folds=2))
