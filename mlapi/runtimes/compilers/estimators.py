"""From a fitted model to the last step of a plan: what kind of model it is, and its pipelines and wrappers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlapi.runtimes.compilers import linear, networks, trees
from mlapi.runtimes.compilers.shape import NoPlan, Shape, kind_of
from mlapi.runtimes.compilers.transformers import chained, stacked
from mlapi.runtimes.plans.heads import Classification, Regression
from mlapi.runtimes.plans.plan import Plan
from mlapi.runtimes.plans.step import Step


def compiled(estimator: Any, shape: Shape) -> Plan:  # noqa: ANN401 (any fitted estimator)
    """Return the plan of a fitted model for rows of this shape. Raises NoPlan with the reason."""
    made: list[Step] = []
    while True:
        kind = kind_of(estimator)
        if kind == "sklearn.Pipeline":
            more, shape = chained([one for _, one in estimator.steps[:-1]], shape)
            made += more
            estimator = estimator.steps[-1][1]
        elif kind in _SEARCHES:
            estimator = estimator.best_estimator_
        else:
            break
    steps, shape, head = last(estimator, shape)
    return Plan((*made, *steps), head)


def last(estimator: Any, shape: Shape) -> tuple[list[Step], Shape, Regression | Classification]:  # noqa: ANN401 (see compiled)
    """Return the steps before a model, and its head."""
    kind = kind_of(estimator)
    if kind not in _MAKERS:
        raise NoPlan(f"{kind} has no plan")
    if getattr(estimator, "n_outputs_", 1) != 1 and kind not in _SEVERAL_OUTPUTS:
        msg = "a model of several outputs has no plan"
        raise NoPlan(msg)
    classes = getattr(estimator, "classes_", None)
    if classes is not None and (isinstance(classes, list) or np.asarray(classes).dtype.kind not in "iubOU"):
        msg = "a classifier of such labels has no plan"
        raise NoPlan(msg)
    steps, shape = stacked(shape)
    return steps, shape, _MAKERS[kind](estimator, shape)


_SEARCHES = {"sklearn.GridSearchCV", "sklearn.RandomizedSearchCV", "sklearn.HalvingGridSearchCV",
             "sklearn.HalvingRandomSearchCV"}  # fmt: skip
_SEVERAL_OUTPUTS = {"sklearn.MLPClassifier", "sklearn.MLPRegressor"}  # the neurons of the last layer
_MAKERS: dict[str, Callable[[Any, Shape], Regression | Classification]] = {
    **linear.MAKERS, **networks.MAKERS, **trees.MAKERS,
}
