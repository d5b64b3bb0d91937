"""How good predictions are: every metric of the task, on rows the model was not fitted on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    precision_recall_fscore_support,
    r2_score,
    roc_auc_score,
)

from mlapi.training.task import Task

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Precision, recall and F1 of one class, and `support`, the rows that truly have it."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every metric by name; for classes also the figures of each and the confusion matrix.

    `confusion[i][j]` counts the rows of class i that were called class j, both in the order of
    `per_class`.
    """

    metrics: Mapping[str, float]
    per_class: Mapping[str, ClassFigures]
    confusion: tuple[tuple[int, ...], ...]


def evaluate(model: Any, features: Any, truth: Array, task: Task) -> Evaluation:  # noqa: ANN401 (any scikit-learn estimator and input)
    """Return the figures of a fitted model on `features` (n rows) and `truth` of shape (n,).

    Classifiers must have `classes_` and `predict_proba`; `truth` must hold every class.
    """
    if task == "regression":
        return Evaluation(regression_metrics(truth, model.predict(features)), {}, ())
    return evaluate_classes(truth, model.predict_proba(features), model.classes_)


def regression_metrics(truth: Array, predicted: Array) -> dict[str, float]:
    """Return r2, mae, rmse and mape of predictions; both arrays have shape (n,), n >= 2.

    mae and rmse have the unit of the target, mape is a share of the truth (0.1 is ten per cent)
    and is left out when a true value is zero. Formulas: scikit-learn user guide, section 3.4.6.
    """
    metrics = {
        "r2": float(r2_score(truth, predicted)),
        "mae": float(mean_absolute_error(truth, predicted)),
        # mean_squared_error is in the unit squared; the root brings it back.
        "rmse": float(np.sqrt(mean_squared_error(truth, predicted))),
    }
    if bool(np.all(truth != 0)):
        metrics["mape"] = float(mean_absolute_percentage_error(truth, predicted))
    return metrics


def evaluate_classes(truth: Array, probabilities: Array, classes: Array) -> Evaluation:
    """Return the figures of class probabilities of shape (n, k), columns in the order of `classes`.

    The class of a row is its most probable one. Precision and F1 of a class that is never called
    are 0. ROC AUC of three classes or more is the mean over one class against the rest.
    Formulas: scikit-learn user guide, section 3.4.4.
    """
    predicted = classes[np.argmax(probabilities, axis=1)]
    figures = _per_class(truth, predicted, classes)
    matrix = confusion_matrix(truth, predicted, labels=classes)
    metrics = {
        "accuracy": float(accuracy_score(truth, predicted)),
        "precision_macro": _mean([figure.precision for figure in figures.values()]),
        "recall_macro": _mean([figure.recall for figure in figures.values()]),
        "f1_macro": _mean([figure.f1 for figure in figures.values()]),
        "roc_auc": _roc_auc(truth, probabilities, classes),
        "log_loss": float(log_loss(truth, probabilities, labels=classes)),
    }
    return Evaluation(metrics, figures, tuple(tuple(row) for row in matrix.tolist()))


def _per_class(truth: Array, predicted: Array, classes: Array) -> dict[str, ClassFigures]:
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=classes, zero_division=0,
    )
    return {
        str(name): ClassFigures(float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
        for i, name in enumerate(classes)
    }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _roc_auc(truth: Array, probabilities: Array, classes: Array) -> float:
    if len(classes) == 2:  # noqa: PLR2004 (the second class counts as the positive one)
        return float(roc_auc_score(truth == classes[1], probabilities[:, 1]))
    return float(roc_auc_score(truth, probabilities, multi_class="ovr", labels=classes))
