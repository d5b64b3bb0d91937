"""The table of metrics: a default for each task, refusals that name the choice, docs for all."""

from pathlib import Path

import pytest

from mlapi.errors import TrainingError
from mlapi.training.metrics import METRICS, Metric, primary
from mlapi.training.trainer import Trained

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def test_each_task_has_a_default() -> None:
    assert primary(None, "regression").name == "r2"
    assert primary(None, "classification").name == "f1_macro"


def test_a_metric_of_the_other_task_is_refused_with_those_that_fit() -> None:
    with pytest.raises(TrainingError, match="'r2' is no metric for classification; expected one of accuracy"):
        primary("r2", "classification")


def test_the_table_names_what_is_computed_and_nothing_else(
    trained_price: Trained, trained_grade: Trained,
) -> None:
    for trained in (trained_price, trained_grade):
        named = [metric.name for metric in METRICS if metric.task == trained.task.task]
        assert list(trained.evaluation.metrics) == named


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: str(metric.name))
def test_the_docs_explain_the_metric_in_the_words_of_the_help(metric: Metric) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert f"`{metric.name}`" in page
    assert metric.reading in page
