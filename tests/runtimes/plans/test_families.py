"""Every family that has a plan: compiled, proven, the same answers; and the ones that must have none."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
    TweedieRegressor,
)
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeRegressor

Compiled = Callable[..., SimpleNamespace]

FAMILIES: dict[str, tuple[Any, str, str]] = {
    "linear": (LinearRegression(), "rows", "line"),
    "ridge": (make_pipeline(SimpleImputer(), StandardScaler(), Ridge()), "gaps", "line"),
    "lasso": (Lasso(0.01), "rows", "line"),
    "elastic net": (ElasticNet(0.01), "rows", "line"),
    "sgd regressor": (make_pipeline(StandardScaler(), SGDRegressor(random_state=0)), "rows", "line"),
    "linear svr": (make_pipeline(RobustScaler(), LinearSVR(random_state=0)), "rows", "line"),
    "poisson": (PoissonRegressor(), "rows", "positive"),
    "gamma": (GammaRegressor(), "rows", "positive"),
    "tweedie": (TweedieRegressor(power=1.5), "rows", "positive"),
    "tweedie of power 0": (TweedieRegressor(power=0), "rows", "positive"),
    "dummy": (DummyRegressor(), "rows", "line"),
    "logistic": (make_pipeline(StandardScaler(), LogisticRegression()), "rows", "two"),
    "logistic of three": (make_pipeline(MaxAbsScaler(), LogisticRegression()), "rows", "three"),
    "liblinear": (LogisticRegression(solver="liblinear"), "rows", "two"),
    "ridge classifier": (RidgeClassifier(), "rows", "three"),
    "sgd classifier": (SGDClassifier(loss="log_loss", random_state=0), "rows", "three"),
    "linear svc": (LinearSVC(random_state=0), "rows", "three"),
    "discriminant": (LinearDiscriminantAnalysis(), "rows", "three"),
    "svc": (make_pipeline(StandardScaler(), SVC()), "rows", "three"),
    "svc of two": (SVC(kernel="linear"), "rows", "two"),
    "svc poly": (make_pipeline(StandardScaler(), SVC(kernel="poly", coef0=1.0)), "rows", "three"),
    "nu svc": (NuSVC(), "rows", "two"),
    "svr": (make_pipeline(MinMaxScaler(clip=True), SVR()), "rows", "line"),
    "svr sigmoid": (make_pipeline(StandardScaler(), SVR(kernel="sigmoid")), "rows", "line"),
    "mlp": (make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(8,), max_iter=20, random_state=0)),
            "rows", "line"),
    "mlp tanh": (MLPClassifier(hidden_layer_sizes=(6, 5), activation="tanh", max_iter=20, random_state=0),
                 "rows", "three"),
    "mlp logistic": (MLPClassifier(hidden_layer_sizes=(6,), activation="logistic", max_iter=20, random_state=0),
                     "rows", "two"),
    "tree": (DecisionTreeRegressor(random_state=0), "gaps", "line"),
    "tree classifier": (DecisionTreeClassifier(max_depth=4, random_state=0), "rows", "two"),
    "extra tree": (ExtraTreeRegressor(random_state=0), "rows", "line"),
    "forest": (RandomForestRegressor(10, random_state=0), "rows", "line"),
    "forest of small trees": (RandomForestClassifier(10, max_depth=3, random_state=0), "gaps", "three"),
    "extra trees": (ExtraTreesRegressor(10, random_state=0), "rows", "line"),
    "extra trees classifier": (ExtraTreesClassifier(10, random_state=0), "rows", "two"),
    "boosting": (GradientBoostingRegressor(n_estimators=10), "rows", "line"),
    "boosting from zero": (GradientBoostingClassifier(n_estimators=5, init="zero"), "rows", "two"),
    "boosting of three": (make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=5)), "rows", "three"),
    "histogram": (HistGradientBoostingRegressor(max_iter=10), "gaps", "line"),
    "histogram poisson": (HistGradientBoostingRegressor(max_iter=10, loss="poisson"), "gaps", "positive"),
    "histogram classifier": (HistGradientBoostingClassifier(max_iter=5), "gaps", "three"),
    "histogram of large trees": (HistGradientBoostingClassifier(max_iter=3, max_leaf_nodes=200, min_samples_leaf=1),
                                 "gaps", "two"),
    "calibrated": (CalibratedClassifierCV(SVC(), cv=2), "rows", "three"),
    "calibrated alone": (CalibratedClassifierCV(LinearSVC(random_state=0), cv=2, ensemble=False), "rows", "two"),
    "calibrated isotonic": (CalibratedClassifierCV(RandomForestClassifier(5, random_state=0), method="isotonic", cv=2),
                            "rows", "three"),
    "calibrated pipeline": (CalibratedClassifierCV(make_pipeline(StandardScaler(), LogisticRegression()), cv=2),
                            "rows", "three"),
    "scaled target": (TransformedTargetRegressor(SVR(), transformer=StandardScaler()), "rows", "line"),
    "logarithm of the target": (TransformedTargetRegressor(Ridge(), func=np.log, inverse_func=np.exp),
                                "rows", "positive"),
    "search": (GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [1.0]}, cv=2), "rows", "line"),
    "selection": (make_pipeline(VarianceThreshold(), SelectKBest(k=3), LinearRegression()), "rows", "line"),
    "union": (make_pipeline(FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler())]), Ridge()), "rows", "line"),
    "function": (make_pipeline(FunctionTransformer(np.arctan), Ridge()), "rows", "line"),
    "marked gaps": (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), Ridge()), "gaps", "line"),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_has_a_plan_that_answers_as_it_does(compiled: Compiled, numbers: Any, family: str) -> None:
    model, features, target = FAMILIES[family]
    done = compiled(model, getattr(numbers, features), getattr(numbers, target))
    assert done.reason == ""
    assert done.proof.rows > 200
    assert done.proof.row_independent
    assert done.proof.largest_difference <= 1e-9
    wanted = done.native.predict(done.rows.inputs, done.signature.output_names)
    given = done.runner.predict(done.rows.inputs, done.signature.output_names)
    first = done.signature.output_names[0]
    np.testing.assert_array_equal(done.runner.predict(done.rows.inputs, (first,))[first], given[first])
    for name, array in wanted.items():
        assert (given[name].dtype, given[name].shape) == (array.dtype, array.shape)
        if array.dtype.kind == "f":
            np.testing.assert_allclose(given[name], array, rtol=1e-9, atol=1e-12)
        else:
            np.testing.assert_array_equal(given[name], array)


@pytest.mark.parametrize(
    "family", ["tree", "forest", "extra trees", "boosting", "histogram", "histogram of large trees"],
)
def test_trees_answer_the_same_bits(compiled: Compiled, numbers: Any, family: str) -> None:
    model, features, target = FAMILIES[family]
    done = compiled(model, getattr(numbers, features), getattr(numbers, target))
    wanted = done.native.predict(done.rows.inputs, ("predict",))["predict"]
    np.testing.assert_array_equal(done.runner.predict(done.rows.inputs, ("predict",))["predict"], wanted)


class Doubling(LinearRegression):
    """A subclass may compute anything."""

    def predict(self, X: Any) -> Any:  # noqa: N803 (scikit-learn's name)
        return 2 * super().predict(X)


WITHOUT: dict[str, tuple[Any, str]] = {
    "a subclass": (Doubling(), r"Doubling has no plan"),
    "neighbours": (KNeighborsRegressor(), "sklearn.KNeighborsRegressor has no plan"),
    "a step": (make_pipeline(PCA(2), Ridge()), "sklearn.PCA has no plan"),
    "a function of one's own": (make_pipeline(FunctionTransformer(np.nan_to_num), Ridge()),
                                "a FunctionTransformer of this function has no plan"),
    "another beginning": (GradientBoostingRegressor(init=LinearRegression(), n_estimators=2),
                          "gradient boosting that begins with another model has no plan"),
    "another missing value": (make_pipeline(SimpleImputer(missing_values=-1.0), Ridge()),
                              "an imputer of other values than missing ones has no plan"),
}  # fmt: skip


@pytest.mark.parametrize("what", WITHOUT)
def test_what_has_no_plan_says_why_and_is_published_all_the_same(compiled: Compiled, numbers: Any, what: str) -> None:
    model, reason = WITHOUT[what]
    done = compiled(model, numbers.rows, numbers.line)
    assert done.runner is None
    assert done.reason.endswith(reason)
    assert done.told["reason"] == done.reason
    assert list(done.files) == ["plan.json"]


def test_an_estimator_that_was_changed_after_its_fit_has_no_plan(numbers: Any) -> None:
    """The proof, not the class, decides: here the classes lie about the scores."""
    model = make_pipeline(StandardScaler(), Ridge()).fit(numbers.rows, numbers.line)
    model[-1].predict = lambda rows: np.round(rows @ model[-1].coef_)
    from mlapi.inference.signature import Signature, TensorSpec  # noqa: PLC0415 (here alone)
    from mlapi.runtimes.compilers.compilation import compile_plan  # noqa: PLC0415 (here alone)
    from mlapi.runtimes.estimator import EstimatorPredictor  # noqa: PLC0415 (here alone)

    signature = Signature("matrix", (TensorSpec("x", "FP64", (-1, 6)),), (TensorSpec("predict", "FP64", (-1, 1)),))
    outcome = compile_plan(EstimatorPredictor(model, signature, "array"), {"x": numbers.rows}, signature, "array", "0")
    assert [name for name, _ in outcome.files] == ["plan.json"]
    why = "it was compiled, but does not answer as the estimator does: reference rows, row 0"
    assert outcome.reason.startswith(why)
