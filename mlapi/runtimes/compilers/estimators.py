"""From a fitted model to the last step of a plan: what kind of model it is, and its pipelines and wrappers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlapi.runtimes.compilers import lightgbm, linear, machines, networks, trees
from mlapi.runtimes.compilers.shape import NoPlan, Shape, kind_of
from mlapi.runtimes.compilers.transformers import chained, stacked
from mlapi.runtimes.plans.heads import Classification, Regression
from mlapi.runtimes.plans.plan import Plan
from mlapi.runtimes.plans.prepared import Prepared
from mlapi.runtimes.plans.scaling import Map, Scale
from mlapi.runtimes.plans.shapes import Chain, Finite
from mlapi.runtimes.plans.step import Step
from mlapi.runtimes.plans.wrappers import Calibrated, Column, Constant, Isotonic, Mean, Probabilities, Sigmoid


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
    if kind in _WRAPPERS:  # what they hold may begin with steps of its own
        return [], shape, _MAKERS[kind](estimator, shape)
    steps, shape = stacked(shape)
    return steps, shape, _MAKERS[kind](estimator, shape)


def _inner(estimator: Any, shape: Shape) -> tuple[tuple[Step, ...], Any, Regression | Classification]:  # noqa: ANN401 (see compiled)
    """Return the steps of a model within a wrapper, the model without its pipeline, and its head."""
    plan = compiled(estimator, shape)
    while kind_of(estimator) in {"sklearn.Pipeline", *_SEARCHES}:
        estimator = estimator.steps[-1][1] if kind_of(estimator) == "sklearn.Pipeline" else estimator.best_estimator_
    return plan.steps, estimator, plan.head


def _prepared(steps: tuple[Step, ...], model: Step) -> Step:
    return Prepared(steps, model) if steps else model


def _calibrated(estimator: Any, shape: Shape) -> Regression | Classification:  # noqa: ANN401 (a CalibratedClassifierCV)
    models, exact = [], True
    for part in estimator.calibrated_classifiers_:
        if part.method not in {"sigmoid", "isotonic"}:
            raise NoPlan(f"calibration by {part.method} has no plan")
        steps, model, head = _inner(part.estimator, shape)
        if not isinstance(head, Classification):
            msg = "calibration of this model has no plan"
            raise NoPlan(msg)
        response = _response(model, head)
        curves = tuple(_curve(curve, part.method) for curve in part.calibrators)
        known = np.asarray(part.classes).tolist()
        two = len(known) == 2  # noqa: PLR2004 (classes)
        places = (1,) if two else tuple(known.index(label) for label in np.asarray(model.classes_).tolist())
        models.append(Calibrated(_prepared(steps, response), curves, places, len(known)))
        exact = exact and head.exact and part.method == "isotonic" and head.link == "identity"
    return Classification(Mean(tuple(models)), "identity", linear.labels(estimator.classes_), exact=exact)


def _response(model: Any, head: Classification) -> Step:  # noqa: ANN401 (see compiled)
    """What scikit-learn calibrates: decision_function where there is one, else predict_proba."""
    if kind_of(model) in {"sklearn.SVC", "sklearn.NuSVC"}:
        return machines.decision(model)
    if hasattr(model, "decision_function"):
        return head.model
    return Probabilities(head.model, head.link)


def _curve(curve: Any, method: str) -> Step:  # noqa: ANN401 (a calibrator)
    if method == "sigmoid":
        return Sigmoid(float(curve.a_), float(curve.b_))
    return Isotonic(np.asarray(curve.X_thresholds_, dtype="f8"), np.asarray(curve.y_thresholds_, dtype="f8"))


def _transformed_target(estimator: Any, shape: Shape) -> Regression | Classification:  # noqa: ANN401 (a TransformedTargetRegressor)
    steps, _, head = _inner(estimator.regressor_, shape)
    back, kind = estimator.transformer_, kind_of(estimator.transformer_)
    made: Step
    if kind == "sklearn.StandardScaler":
        made = Scale(times=None if back.scale_ is None else np.asarray(back.scale_),
                     plus=np.asarray(back.mean_) if back.with_mean else None)  # fmt: skip
    elif kind == "sklearn.MinMaxScaler" and not back.clip:
        made = Scale(minus=np.asarray(back.min_), over=np.asarray(back.scale_))
    elif kind == "sklearn.FunctionTransformer":
        name = getattr(back.inverse_func, "__name__", "")
        if name not in Map.FUNCTIONS or getattr(np, name) is not back.inverse_func or back.inv_kw_args:
            msg = "a target transformed by this function has no plan"
            raise NoPlan(msg)
        made = Chain((Finite(), Map(name)))
    else:
        raise NoPlan(f"a target transformed by {kind} has no plan")
    return Regression(_prepared(steps, Chain((head.model, Column(), made))))


def _constant(estimator: Any, _shape: Shape) -> Regression | Classification:  # noqa: ANN401 (a DummyRegressor)
    return Regression(Constant(np.asarray(estimator.constant_, dtype="f8").reshape(-1)))


_WRAPPERS = {"sklearn.CalibratedClassifierCV", "sklearn.TransformedTargetRegressor", "sklearn.DummyRegressor"}
_SEARCHES = {"sklearn.GridSearchCV", "sklearn.RandomizedSearchCV", "sklearn.HalvingGridSearchCV",
             "sklearn.HalvingRandomSearchCV"}  # fmt: skip
_SEVERAL_OUTPUTS = {"sklearn.MLPClassifier", "sklearn.MLPRegressor"}  # the neurons of the last layer
_MAKERS: dict[str, Callable[[Any, Shape], Regression | Classification]] = {
    **lightgbm.MAKERS, **linear.MAKERS, **machines.MAKERS, **networks.MAKERS, **trees.MAKERS,
    "sklearn.CalibratedClassifierCV": _calibrated,
    "sklearn.TransformedTargetRegressor": _transformed_target,
    "sklearn.DummyRegressor": _constant,
}
"""By class: how its head is made."""
