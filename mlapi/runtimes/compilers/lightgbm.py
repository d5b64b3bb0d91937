"""Boosted trees of LightGBM, read from its own JSON dump (Booster.dump_model)."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mlapi.runtimes.compilers.linear import labels
from mlapi.runtimes.compilers.shape import NoPlan, Shape
from mlapi.runtimes.compilers.trees import LEAF, Nodes
from mlapi.runtimes.plans.heads import Classification, Regression
from mlapi.runtimes.plans.linear import InverseLink
from mlapi.runtimes.plans.trees import Trees

IDENTITY = {"regression", "regression_l2", "l2", "mean_squared_error", "mse", "regression_l1", "l1", "mae", "huber",
            "fair", "quantile", "mape"}  # fmt: skip
EXPONENTIAL = {"poisson", "gamma", "tweedie"}


def _trees(estimator: Any, shape: Shape, outputs: int) -> Trees:  # noqa: ANN401 (an LGBMModel)
    nodes = Nodes(shape.width)
    for tree in estimator.booster_.dump_model()["tree_info"]:
        _add(nodes, tree["tree_structure"])
    return nodes.step(np.zeros(outputs), narrow=False, missing=True, infinite=True)


def _add(nodes: Nodes, root: dict[str, Any]) -> None:
    rows = list(_walk(root))
    left, right, feature, threshold, missing_left, value = (np.array(column) for column in zip(*rows, strict=True))
    nodes.add(left, right, feature, threshold, missing_left, value.astype("f8")[:, None])


def _walk(root: dict[str, Any]) -> Iterator[tuple[int, int, int, float, bool, float]]:
    """Yield the nodes of a tree: left, right, column, threshold, whether missing goes left, and the leaf's value."""
    queue = [root]
    for node in queue:  # grows meanwhile
        if "split_feature" not in node:
            if "leaf_const" in node:
                msg = "linear trees have no plan"
                raise NoPlan(msg)
            yield LEAF, LEAF, 0, np.inf, True, float(node["leaf_value"])
            continue
        if node["decision_type"] != "<=" or node["missing_type"] not in {"None", "NaN"}:
            msg = "trees of LightGBM with categories, or for which 0 is missing, have no plan"
            raise NoPlan(msg)
        # Where no value was missing in training, LightGBM reads a missing one as 0.
        missing_left = bool(node["default_left"]) if node["missing_type"] == "NaN" else node["threshold"] >= 0
        yield len(queue), len(queue) + 1, int(node["split_feature"]), float(node["threshold"]), missing_left, 0.0
        queue += [node["left_child"], node["right_child"]]


def _regressor(estimator: Any, shape: Shape) -> Regression | Classification:  # noqa: ANN401 (an LGBMRegressor)
    model = _trees(estimator, shape, 1)
    if estimator.objective_ in EXPONENTIAL:
        return Regression(InverseLink(model, "exp"))
    if estimator.objective_ not in IDENTITY:
        raise NoPlan(f"LightGBM with objective {estimator.objective_} has no plan")
    return Regression(model)


def _classifier(estimator: Any, shape: Shape) -> Regression | Classification:  # noqa: ANN401 (an LGBMClassifier)
    if estimator.objective_ not in {"binary", "multiclass"}:
        raise NoPlan(f"LightGBM with objective {estimator.objective_} has no plan")
    two = estimator.objective_ == "binary"
    model = _trees(estimator, shape, 1 if two else len(estimator.classes_))
    return Classification(model, "logistic" if two else "softmax", labels(estimator.classes_), exact=False)


MAKERS: dict[str, Callable[[Any, Shape], Regression | Classification]] = {
    "lightgbm.LGBMRegressor": _regressor,
    "lightgbm.LGBMClassifier": _classifier,
}
"""By class: how its head is made."""
