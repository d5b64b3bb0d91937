"""Exact Shapley values of linear models and trees, behind preparation that keeps columns apart.

A linear model needs no library: the value of column j is w_j (x_j - mean x_j) (Lundberg & Lee 2017,
corollary 1), and values of columns that come from one original column add up to its own. Trees are
walked by shap (Lundberg et al. 2020, "interventional"); there the sum is the original column's value
only if no two columns come from it, since they would share in interactions as if they were apart.
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from mlapi.explain.sources import Sources, sources_of
from mlapi.explain.subject import Subject
from mlapi.explain.values import Contributions, Method, Output
from mlapi.inference.values import Array

TREES: Mapping[str, Output] = {
    "DecisionTreeRegressor": "predict", "ExtraTreeRegressor": "predict", "RandomForestRegressor": "predict",
    "ExtraTreesRegressor": "predict", "GradientBoostingRegressor": "predict",
    "HistGradientBoostingRegressor": "predict",
    "DecisionTreeClassifier": "predict_proba", "ExtraTreeClassifier": "predict_proba",
    "RandomForestClassifier": "predict_proba", "ExtraTreesClassifier": "predict_proba",
    "GradientBoostingClassifier": "decision_function", "HistGradientBoostingClassifier": "decision_function",
}  # fmt: skip
"""scikit-learn's trees, and the output that shap explains of them."""

BACKGROUND_ROWS = 100

log = logging.getLogger("mlapi.explain")


class Exact:
    """An estimator whose prepared columns have known sources; `method` says how it is explained."""

    def __init__(self, subject: Subject, method: Method, output: Output, sources: Sources) -> None:
        self.method, self.output = method, output
        self._subject, self._sources = subject, sources
        model = subject.model
        self._steps = model[:-1] if type(model) is Pipeline and len(model.steps) > 1 else None
        self._final = model.steps[-1][1] if type(model) is Pipeline else model
        background = self._table(subject.background)
        self._background = background[:: -(-len(background) // BACKGROUND_ROWS)] if method == "tree" else background
        self._explainer = _tree_explainer(self._final, self._background) if method == "tree" else None

    def contributions(self, inputs: Mapping[str, Array]) -> Contributions:
        """Return the Shapley values of the original columns."""
        table = self._table(inputs)
        values, base = self._linear(table) if self._explainer is None else self._trees(table)
        original = np.zeros((len(table), len(self._subject.columns), values.shape[2]))
        for j, source in enumerate(self._sources):
            original[:, source] += values[:, j]
        return Contributions(original, base)

    def _table(self, inputs: Mapping[str, Array]) -> Array:
        rows = self._subject.prepared(inputs)
        table = rows if self._steps is None else self._steps.transform(rows)
        return np.asarray(table.toarray() if hasattr(table, "toarray") else table, dtype="f8")

    def _linear(self, table: Array) -> tuple[Array, Array]:
        weights = np.atleast_2d(np.asarray(self._final.coef_, dtype="f8"))
        start = np.atleast_1d(np.asarray(self._final.intercept_, dtype="f8"))
        mean = self._background.mean(axis=0)
        values, base = (table - mean)[:, :, None] * weights.T[None], start + weights @ mean
        if self.output == "decision_function" and len(base) == 1:
            return np.concatenate([-values, values], axis=2), np.concatenate([-base, base])
        return values, base

    def _trees(self, table: Array) -> tuple[Array, Array]:
        values = np.asarray(self._explainer.shap_values(table, check_additivity=False), dtype="f8")  # type: ignore[union-attr]
        base = np.atleast_1d(np.asarray(self._explainer.expected_value, dtype="f8"))  # type: ignore[union-attr]
        values = values[:, :, None] if values.ndim == 2 else values  # noqa: PLR2004 (one output)
        if self.output == "decision_function" and len(base) == 1:
            return np.concatenate([-values, values], axis=2), np.concatenate([-base, base])
        return values, base


def exact(subject: Subject) -> Exact | None:
    """Return what explains `subject` exactly, or None where it is no model of this kind, or shap refuses it."""
    model = subject.model
    steps = [step for _, step in model.steps] if type(model) is Pipeline else [model]
    method, output = _kind(steps[-1], subject)
    sources = None if method is None else sources_of(steps[:-1], len(subject.columns))
    if method is None or sources is None or (method == "tree" and len(set(sources)) != len(sources)):
        return None
    try:
        return Exact(subject, method, output, sources)
    except Exception as error:  # noqa: BLE001 (shap refuses models by exceptions of many kinds)
        about = subject.loaded.manifest
        why = type(error).__name__
        log.info("no exact explanation", extra={"model": about.name, "version": about.version, "reason": why})
        return None


def _kind(final: Any, subject: Subject) -> tuple[Method | None, Output]:  # noqa: ANN401 (any estimator)
    if type(final).__name__ in TREES and type(final).__module__.startswith("sklearn."):
        return "tree", TREES[type(final).__name__]
    if type(final).__module__.startswith("sklearn.") and hasattr(final, "coef_") and hasattr(final, "intercept_"):
        classifier = subject.loaded.manifest.classes is not None
        return "linear", "decision_function" if classifier else "predict"
    return None, "predict"


def _tree_explainer(model: Any, background: Array) -> Any:  # noqa: ANN401 (shap's)
    import shap  # noqa: PLC0415 (an extra; seconds to import, which only explanations pay)

    return shap.TreeExplainer(model, background, feature_perturbation="interventional")
