"""Every figure against one computed by hand."""

import math

import numpy as np
import pytest

from mlapi.training.evaluation import evaluate_classes, regression_metrics


def test_regression_figures_equal_those_computed_by_hand() -> None:
    """Misses 1, 0, -3 of truths 2, 4, 6: squares 1 + 0 + 9, spread around 4 of 4 + 0 + 4."""
    metrics = regression_metrics(np.array([2.0, 4.0, 6.0]), np.array([3.0, 4.0, 3.0]))
    assert metrics == {
        "r2": pytest.approx(1 - 10 / 8),
        "mae": pytest.approx(4 / 3),
        "rmse": pytest.approx(math.sqrt(10 / 3)),
        "mape": pytest.approx((1 / 2 + 0 + 3 / 6) / 3),
    }


def test_mape_is_left_out_where_a_truth_is_zero() -> None:
    assert "mape" not in regression_metrics(np.array([0.0, 4.0]), np.array([1.0, 4.0]))


def test_binary_figures_equal_those_computed_by_hand() -> None:
    """Called yes: rows 0, 1, 3; truly yes: rows 0, 1, 2. Pairs of yes and no ranked right: 5 of 6."""
    truth = np.array(["yes", "yes", "yes", "no", "no"])
    yes = np.array([0.9, 0.8, 0.3, 0.6, 0.2])
    result = evaluate_classes(truth, np.column_stack([1 - yes, yes]), np.array(["no", "yes"]))
    assert result.per_class["yes"].precision == pytest.approx(2 / 3)
    assert result.per_class["yes"].recall == pytest.approx(2 / 3)
    assert result.per_class["no"].f1 == pytest.approx(1 / 2)
    assert result.per_class["yes"].support == 3
    assert result.confusion == ((1, 1), (1, 2))
    assert result.metrics == {
        "accuracy": pytest.approx(3 / 5),
        "precision_macro": pytest.approx((2 / 3 + 1 / 2) / 2),
        "recall_macro": pytest.approx((2 / 3 + 1 / 2) / 2),
        "f1_macro": pytest.approx((2 / 3 + 1 / 2) / 2),
        "roc_auc": pytest.approx(5 / 6),
        "log_loss": pytest.approx(-sum(map(math.log, (0.9, 0.8, 0.3, 0.4, 0.8))) / 5),
    }


def test_three_classes_are_averaged_and_a_class_never_called_has_precision_zero() -> None:
    truth = np.array([0, 1, 2])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.5, 0.2, 0.3]])
    result = evaluate_classes(truth, probabilities, np.array([0, 1, 2]))
    assert result.confusion == ((1, 0, 0), (0, 1, 0), (1, 0, 0))
    assert result.per_class["2"].precision == 0.0
    assert result.metrics["precision_macro"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert result.metrics["recall_macro"] == pytest.approx(2 / 3)
    assert result.metrics["roc_auc"] == pytest.approx(1.0)
