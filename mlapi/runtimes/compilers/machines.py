"""Support vector machines."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from mlapi.inference.values import Array
from mlapi.runtimes.compilers.linear import labels
from mlapi.runtimes.compilers.shape import NoPlan, Shape
from mlapi.runtimes.plans.heads import Classification, Regression
from mlapi.runtimes.plans.kernel import Kernel, OneVersusRest, Votes
from mlapi.runtimes.plans.step import Step


def decision(estimator: Any) -> Step:  # noqa: ANN401 (an SVC or NuSVC)
    """Return the step of `decision_function`. Raises NoPlan."""
    kernel = _pairs(estimator)
    if len(estimator.classes_) == 2:  # noqa: PLR2004 (classes)
        return _negative(kernel)
    return OneVersusRest(kernel, len(estimator.classes_)) if estimator.decision_function_shape == "ovr" else kernel


def _machine(estimator: Any, weights: Array, offsets: Array) -> Kernel:  # noqa: ANN401 (any libsvm estimator)
    if callable(estimator.kernel) or estimator.kernel == "precomputed" or estimator._sparse:  # noqa: SLF001 (how it was fitted)
        msg = "a support vector machine of this kernel, or fitted on sparse rows, has no plan"
        raise NoPlan(msg)
    return Kernel(
        np.ascontiguousarray(estimator.support_vectors_, dtype="f8"), np.ascontiguousarray(weights), offsets,
        estimator.kernel, float(estimator._gamma), float(estimator.coef0), int(estimator.degree),  # noqa: SLF001 (the number behind "scale")
    )  # fmt: skip


def _pairs(estimator: Any) -> Kernel:  # noqa: ANN401 (an SVC or NuSVC)
    """One classifier a pair of classes, over the support vectors of both, which stand class by class."""
    duals, counts = estimator._dual_coef_, estimator.n_support_
    ends = np.cumsum(counts)
    spans = [slice(int(end - count), int(end)) for end, count in zip(ends, counts, strict=True)]
    rows = []
    for one, other in combinations(range(len(counts)), 2):
        row = np.zeros(duals.shape[1])
        row[spans[one]], row[spans[other]] = duals[other - 1, spans[one]], duals[one, spans[other]]
        rows.append(row)
    return _machine(estimator, np.array(rows), np.asarray(estimator._intercept_, dtype="f8"))


def _negative(kernel: Kernel) -> Kernel:
    return Kernel(kernel.vectors, -kernel.weights, -kernel.offsets, kernel.kernel, kernel.gamma, kernel.start,
                  kernel.degree)  # fmt: skip


def _classifier(estimator: Any, _shape: Shape) -> Regression | Classification:  # noqa: ANN401 (an SVC or NuSVC)
    if estimator.probability is True:
        msg = "the probabilities of a support vector machine have no plan; calibrate it instead"
        raise NoPlan(msg)
    if estimator.break_ties:
        msg = "a support vector machine that breaks ties has no plan"
        raise NoPlan(msg)
    model = Votes(_pairs(estimator), len(estimator.classes_))
    return Classification(model, "none", labels(estimator.classes_), exact=True)


def _regressor(estimator: Any, _shape: Shape) -> Regression | Classification:  # noqa: ANN401 (an SVR or NuSVR)
    offsets = np.asarray(estimator._intercept_, dtype="f8")
    return Regression(_machine(estimator, np.asarray(estimator._dual_coef_), offsets))


MAKERS: dict[str, Callable[[Any, Shape], Regression | Classification]] = {
    "sklearn.SVC": _classifier,
    "sklearn.NuSVC": _classifier,
    "sklearn.SVR": _regressor,
    "sklearn.NuSVR": _regressor,
}
"""By class: how its head is made."""
