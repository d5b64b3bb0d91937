"""Multi-layer perceptrons."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlapi.runtimes.compilers.linear import labels
from mlapi.runtimes.compilers.shape import NoPlan, Shape
from mlapi.runtimes.plans.heads import Classification, Regression
from mlapi.runtimes.plans.network import Network


def _network(estimator: Any) -> Network:  # noqa: ANN401 (an MLPClassifier or MLPRegressor)
    if any(layer.dtype != np.dtype("f8") for layer in estimator.coefs_):
        msg = "a network of other numbers than FP64 has no plan"
        raise NoPlan(msg)
    return Network(
        tuple(np.ascontiguousarray(layer) for layer in estimator.coefs_),
        tuple(np.asarray(layer) for layer in estimator.intercepts_),
        estimator.activation, estimator.out_activation_,
    )  # fmt: skip


def _classifier(estimator: Any, _shape: Shape) -> Regression | Classification:  # noqa: ANN401 (see _network)
    if getattr(estimator._label_binarizer, "y_type_", "") == "multilabel-indicator":  # noqa: SLF001 (where it is known)
        msg = "a classifier of several labels at once has no plan"
        raise NoPlan(msg)
    two = len(estimator.classes_) == 2  # noqa: PLR2004 (classes)
    link = "both" if two else "identity"
    middle = 0.5 if two else 0.0
    return Classification(_network(estimator), link, labels(estimator.classes_), exact=False, middle=middle)


def _regressor(estimator: Any, _shape: Shape) -> Regression | Classification:  # noqa: ANN401 (see _network)
    return Regression(_network(estimator))


MAKERS: dict[str, Callable[[Any, Shape], Regression | Classification]] = {
    "sklearn.MLPClassifier": _classifier,
    "sklearn.MLPRegressor": _regressor,
}
"""By class: how its head is made."""
