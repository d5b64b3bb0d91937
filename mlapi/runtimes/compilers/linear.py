"""Linear models."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlapi.inference.values import Array
from mlapi.runtimes.compilers.shape import NoPlan, Shape
from mlapi.runtimes.plans.heads import Classification, Regression
from mlapi.runtimes.plans.linear import InverseLink, Linear

Head = Regression | Classification


def dot(estimator: Any) -> Linear:  # noqa: ANN401 (any linear model)
    """Return the linear function of a model with `coef_` and `intercept_`."""
    weights = np.asarray(estimator.coef_, dtype="f8")
    if np.asarray(estimator.coef_).dtype != np.dtype("f8"):
        msg = "a linear model of other numbers than FP64 has no plan"
        raise NoPlan(msg)
    weights = np.ascontiguousarray(np.atleast_2d(weights))
    offsets = np.broadcast_to(np.asarray(estimator.intercept_, dtype="f8").reshape(-1), (len(weights),)).copy()
    return Linear(weights, offsets, len(weights) == 1)


def labels(classes: Array) -> tuple[str | int | bool, ...]:
    """Return class labels as JSON holds them."""
    return tuple(np.asarray(classes).tolist())


def _regression(estimator: Any, _shape: Shape) -> Head:  # noqa: ANN401 (see dot)
    return Regression(dot(estimator))


def _exponential(estimator: Any, _shape: Shape) -> Head:  # noqa: ANN401 (see dot)
    return Regression(InverseLink(dot(estimator), "exp"))


def _tweedie(estimator: Any, shape: Shape) -> Head:  # noqa: ANN401 (see dot)
    identity = estimator.link == "identity" or (estimator.link == "auto" and estimator.power <= 0)
    return (_regression if identity else _exponential)(estimator, shape)


def _logistic(estimator: Any, _shape: Shape) -> Head:  # noqa: ANN401 (see dot)
    two = len(estimator.classes_) == 2  # noqa: PLR2004 (classes)
    told = getattr(estimator, "multi_class", "auto")
    separate = told == "ovr" or (told in {"auto", "deprecated", "warn"} and (two or estimator.solver == "liblinear"))
    link = ("logistic" if separate else "two-softmax") if two else ("one-against-rest" if separate else "softmax")
    return Classification(dot(estimator), link, labels(estimator.classes_), exact=False)


def _margins(estimator: Any, _shape: Shape) -> Head:  # noqa: ANN401 (see dot)
    link = "none"
    if getattr(estimator, "loss", "") == "log_loss" and hasattr(estimator, "predict_proba"):
        link = "logistic" if len(estimator.classes_) == 2 else "one-against-rest"  # noqa: PLR2004 (classes)
    elif hasattr(estimator, "predict_proba"):
        msg = f"the probabilities of {type(estimator).__name__} with this loss have no plan"
        raise NoPlan(msg)
    return Classification(dot(estimator), link, labels(estimator.classes_), exact=False)


def _discriminant(estimator: Any, _shape: Shape) -> Head:  # noqa: ANN401 (see dot)
    link = "logistic" if len(estimator.classes_) == 2 else "softmax"  # noqa: PLR2004 (classes)
    return Classification(dot(estimator), link, labels(estimator.classes_), exact=False)


_LINES = ("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "Lars", "LarsCV",
          "LassoLars", "LassoLarsCV", "LassoLarsIC", "OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV",
          "BayesianRidge", "ARDRegression", "HuberRegressor", "TheilSenRegressor", "QuantileRegressor", "SGDRegressor",
          "PassiveAggressiveRegressor", "LinearSVR", "MultiTaskLasso", "MultiTaskElasticNet")  # fmt: skip
_SEPARATORS = ("RidgeClassifier", "RidgeClassifierCV", "SGDClassifier", "Perceptron", "PassiveAggressiveClassifier",
               "LinearSVC")  # fmt: skip

MAKERS: dict[str, Callable[[Any, Shape], Head]] = {
    **{f"sklearn.{name}": _regression for name in _LINES},
    **{f"sklearn.{name}": _margins for name in _SEPARATORS},
    "sklearn.LogisticRegression": _logistic,
    "sklearn.LogisticRegressionCV": _logistic,
    "sklearn.LinearDiscriminantAnalysis": _discriminant,
    "sklearn.PoissonRegressor": _exponential,
    "sklearn.GammaRegressor": _exponential,
    "sklearn.TweedieRegressor": _tweedie,
}
"""By class: how its head is made."""
