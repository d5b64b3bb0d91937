"""Trees, forests and boosting of scikit-learn."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlapi.inference.values import Array
from mlapi.runtimes.compilers.linear import labels
from mlapi.runtimes.compilers.shape import NoPlan, Shape
from mlapi.runtimes.compilers.transformers import transformer
from mlapi.runtimes.plans.heads import Classification, Regression
from mlapi.runtimes.plans.linear import InverseLink
from mlapi.runtimes.plans.prepared import Prepared
from mlapi.runtimes.plans.step import Step
from mlapi.runtimes.plans.trees import Trees

Head = Regression | Classification
LEAF = -1


class Nodes:
    """The nodes of many trees, gathered one tree after the other and renumbered so that children are neighbours."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._parts: dict[str, list[Array]] = {name: [] for name in ("feature", "threshold", "left", "missing_right",
                                                                     "category", "values")}  # fmt: skip
        self._roots: list[int] = []
        self._size = 0
        self._sets: list[Array] = []

    def add(  # noqa: PLR0913, PLR0917 (the columns of a tree)
        self, left: Array, right: Array, feature: Array, threshold: Array, missing_left: Array, values: Array,
        category: Array | None = None, sets: Array | None = None,
    ) -> None:
        """Add a tree; `left` is -1 in leaves, `values` are `[nodes, k]`, `category` the row of `sets` or -1."""
        order, first = _breadth_first(left, right)
        leaf = left[order] == LEAF
        own = np.arange(len(order))
        self._parts["feature"].append(np.where(leaf, 0, feature[order]).astype("i4"))
        self._parts["threshold"].append(np.where(leaf, np.inf, threshold[order]).astype("f8"))
        self._parts["left"].append((np.where(leaf, own, first) + self._size).astype("i4"))
        self._parts["missing_right"].append(~leaf & ~missing_left[order].astype(bool))
        self._parts["values"].append(np.where(leaf[:, None], values[order], 0.0))
        coded = np.full(len(order), -1) if category is None else category[order]
        self._parts["category"].append(np.where(coded >= 0, coded + len(self._sets), -1).astype("i4"))
        self._sets += [] if sets is None else list(sets)
        self._roots.append(self._size)
        self._size += len(order)

    def step(self, start: Array, *, divisor: float = 1.0, narrow: bool, missing: bool, infinite: bool = False) -> Trees:
        """Return the trees as a step."""
        joined = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        category = joined.pop("category")
        return Trees(
            **joined,
            category=category if self._sets else None,
            sets=np.array(self._sets, dtype="u1") if self._sets else None,
            roots=np.array(self._roots, dtype="i8"), start=np.asarray(start, dtype="f8"), divisor=divisor,
            width=self.width, narrow=narrow, missing=missing, infinite=infinite,
        )  # fmt: skip


def _breadth_first(left: Array, right: Array) -> tuple[Array, Array]:
    """Return the nodes level by level, brothers beside each other, and the new number of each one's left child."""
    order, first = [0], []
    for node in order:  # grows meanwhile
        first.append(len(order))
        if left[node] != LEAF:
            order += [int(left[node]), int(right[node])]
    return np.array(order), np.array(first)


def add_tree(nodes: Nodes, tree: Any, values: Array | None = None) -> None:  # noqa: ANN401 (an sklearn.tree._tree.Tree)
    """Add one of scikit-learn's trees, whose leaves hold their values, or those given."""
    missing = getattr(tree, "missing_go_to_left", np.ones(tree.node_count))
    given = tree.value[:, 0, :] if values is None else values
    nodes.add(tree.children_left, tree.children_right, tree.feature, tree.threshold, missing, given)


def _forest(trees: Sequence[Any], width: int, divisor: float) -> Trees:
    nodes = Nodes(width)
    for tree in trees:
        add_tree(nodes, tree.tree_)
    first = trees[0]
    start = np.zeros(first.tree_.value.shape[2])
    missing = bool(first.__sklearn_tags__().input_tags.allow_nan)
    return nodes.step(start, divisor=divisor, narrow=True, missing=missing)


def _members(estimator: Any) -> tuple[Sequence[Any], float]:  # noqa: ANN401 (a tree or a forest)
    if hasattr(estimator, "tree_"):
        return [estimator], 1.0
    return estimator.estimators_, float(len(estimator.estimators_))


def _tree_classifier(estimator: Any, shape: Shape) -> Head:  # noqa: ANN401 (see _members)
    trees, divisor = _members(estimator)
    return Classification(_forest(trees, shape.width, divisor), "identity", labels(estimator.classes_), exact=True)


def _tree_regressor(estimator: Any, shape: Shape) -> Head:  # noqa: ANN401 (see _members)
    trees, divisor = _members(estimator)
    return Regression(_forest(trees, shape.width, divisor))


def _gradient_boosting(estimator: Any, shape: Shape) -> Trees:  # noqa: ANN401 (GradientBoosting*)
    """predict_stages of scikit-learn: raw += learning rate * leaf, stage by stage, from the initial score."""
    nodes = Nodes(shape.width)
    for stage in estimator.estimators_:
        for tree in stage:
            add_tree(nodes, tree.tree_, estimator.learning_rate * tree.tree_.value[:, 0, :])
    initial = estimator.init_
    if not (isinstance(initial, str) and initial == "zero") and not type(initial).__name__.startswith("Dummy"):
        msg = "gradient boosting that begins with another model has no plan"
        raise NoPlan(msg)
    row = np.zeros((1, shape.width), dtype="f4")
    start = np.asarray(estimator._raw_predict_init(row), dtype="f8").reshape(-1)  # noqa: SLF001 (a Dummy's, so the same for all rows; the proof watches)
    return nodes.step(start, narrow=True, missing=False)


def _gb_classifier(estimator: Any, shape: Shape) -> Head:  # noqa: ANN401 (see _gradient_boosting)
    if estimator.loss != "log_loss":
        msg = f"gradient boosting with {estimator.loss} has no plan"
        raise NoPlan(msg)
    model, two = _gradient_boosting(estimator, shape), len(estimator.classes_) == 2  # noqa: PLR2004 (classes)
    return Classification(model, "logistic" if two else "softmax", labels(estimator.classes_), exact=True, zero=1)


def _gb_regressor(estimator: Any, shape: Shape) -> Head:  # noqa: ANN401 (see _gradient_boosting)
    return Regression(_gradient_boosting(estimator, shape))


def _histogram(estimator: Any, shape: Shape) -> Step:  # noqa: ANN401 (HistGradientBoosting*)
    before: list[Step] = []
    if estimator._preprocessor is not None:  # noqa: SLF001 (where categories are coded, and moved to the front)
        before, shape = transformer(estimator._preprocessor, shape)  # noqa: SLF001
    nodes = Nodes(shape.width)
    for stage in estimator._predictors:  # noqa: SLF001 (scikit-learn has no public form; the proof watches)
        for tree in stage:
            _add_histogram(nodes, tree)
    start = np.asarray(estimator._baseline_prediction, dtype="f8").reshape(-1)  # noqa: SLF001
    made = nodes.step(start, narrow=False, missing=True, infinite=True)
    return Prepared(tuple(before), made) if before else made


def _add_histogram(nodes: Nodes, tree: Any) -> None:  # noqa: ANN401 (a TreePredictor)
    table = tree.nodes
    leaf = table["is_leaf"].astype(bool)
    coded = table["is_categorical"].astype(bool) & ~leaf
    sets = np.unpackbits(tree.raw_left_cat_bitsets.view("u1"), axis=1, bitorder="little") if coded.any() else None
    nodes.add(
        np.where(leaf, LEAF, table["left"].astype("i8")), table["right"].astype("i8"),
        table["feature_idx"].astype("i8"), table["num_threshold"], table["missing_go_to_left"],
        table["value"].astype("f8")[:, None],
        np.where(coded, table["bitset_idx"].astype("i8"), -1) if coded.any() else None, sets,
    )  # fmt: skip


def _hist_classifier(estimator: Any, shape: Shape) -> Head:  # noqa: ANN401 (see _histogram)
    two = len(estimator.classes_) == 2  # noqa: PLR2004 (classes)
    model = _histogram(estimator, shape)
    return Classification(model, "logistic" if two else "softmax", labels(estimator.classes_), exact=True)


def _hist_regressor(estimator: Any, shape: Shape) -> Head:  # noqa: ANN401 (see _histogram)
    model = _histogram(estimator, shape)
    return Regression(InverseLink(model, "exp") if estimator.loss in {"poisson", "gamma"} else model)


MAKERS: dict[str, Callable[[Any, Shape], Head]] = {
    **{f"sklearn.{name}Classifier": _tree_classifier
       for name in ("DecisionTree", "ExtraTree", "RandomForest", "ExtraTrees")},
    **{f"sklearn.{name}Regressor": _tree_regressor
       for name in ("DecisionTree", "ExtraTree", "RandomForest", "ExtraTrees")},
    "sklearn.GradientBoostingClassifier": _gb_classifier,
    "sklearn.GradientBoostingRegressor": _gb_regressor,
    "sklearn.HistGradientBoostingClassifier": _hist_classifier,
    "sklearn.HistGradientBoostingRegressor": _hist_regressor,
}  # fmt: skip
"""By class: how its head is made."""
