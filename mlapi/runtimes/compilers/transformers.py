"""Scalers, imputers, encoders and their compositions."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlapi.inference.values import Array
from mlapi.runtimes.compilers.categories import codes, one_hot
from mlapi.runtimes.compilers.shape import NoPlan, Shape, kind_of, matrix
from mlapi.runtimes.plans.lookup import Fill
from mlapi.runtimes.plans.scaling import Impute, Map, Scale
from mlapi.runtimes.plans.shapes import Chain, Finite, Pick, Stack, Union
from mlapi.runtimes.plans.step import Step

Made = tuple[list[Step], Shape]


def transformer(estimator: Any, shape: Shape) -> Made:  # noqa: ANN401 (any transformer)
    """Return the steps of a fitted transformer, and what they give. Raises NoPlan."""
    if estimator is None or (isinstance(estimator, str) and estimator == "passthrough"):
        return [], shape
    kind = kind_of(estimator)
    if kind not in _MAKERS:
        raise NoPlan(f"{kind} has no plan")
    return _MAKERS[kind](estimator, shape)


def chained(steps: Sequence[Any], shape: Shape) -> Made:
    """Return the steps of transformers one after the other."""
    made: list[Step] = []
    for estimator in steps:
        more, shape = transformer(estimator, shape)
        made += more
    return made, shape


def stacked(shape: Shape) -> Made:
    """Return what makes a matrix of columns. Raises NoPlan where there is text."""
    if not shape.numeric:
        msg = "text reaches a step that takes numbers"
        raise NoPlan(msg)
    return ([Stack()] if shape.table else []), Shape(shape.names, shape.texts, table=False)


def _pipeline(estimator: Any, shape: Shape) -> Made:  # noqa: ANN401 (see transformer)
    return chained([one for _, one in estimator.steps], shape)


def _columns(estimator: Any, shape: Shape) -> Made:  # noqa: ANN401 (see transformer)
    places = estimator._transformer_to_input_indices  # noqa: SLF001 (columns by name, number, mask or slice, resolved; the proof watches)
    branches, widths = [], []
    for name, part, chosen in estimator.transformers_:
        if isinstance(part, str) and part == "drop":
            continue
        if isinstance(chosen, str | int):
            raise NoPlan(f"'{name}' takes a lone column, not a table of one")
        at = [int(place) for place in places[name]]
        if not at:
            continue
        steps, given = transformer(part, shape.pick(at))
        more, given = stacked(given)
        branches.append(Chain((Pick(tuple(at), shape.table), *steps, *more)))
        widths.append(given.width)
    return _joined(branches, widths)


def _union(estimator: Any, shape: Shape) -> Made:  # noqa: ANN401 (see transformer)
    if estimator.transformer_weights:
        msg = "a FeatureUnion with weights has no plan"
        raise NoPlan(msg)
    branches, widths = [], []
    for _, part in estimator.transformer_list:
        if isinstance(part, str) and part == "drop":
            continue
        steps, given = transformer(part, shape)
        more, given = stacked(given)
        branches.append(Chain((*steps, *more)))
        widths.append(given.width)
    return _joined(branches, widths)


def _joined(branches: list[Chain], widths: list[int]) -> Made:
    if not branches:
        msg = "nothing is left of the columns"
        raise NoPlan(msg)
    return [Union(tuple(branches), tuple(widths))], matrix(sum(widths))


def _numeric(make: Callable[[Any], Step]) -> Callable[[Any, Shape], Made]:
    def made(estimator: Any, shape: Shape) -> Made:  # noqa: ANN401 (see transformer)
        steps, given = stacked(shape)
        return [*steps, make(estimator)], given

    return made


def _standard(estimator: Any) -> Step:  # noqa: ANN401 (see transformer)
    return Scale(
        minus=_floats(estimator.mean_) if estimator.with_mean else None,
        over=_floats(estimator.scale_) if estimator.with_std else None,
    )


def _min_max(estimator: Any) -> Step:  # noqa: ANN401 (see transformer)
    low, high = map(float, estimator.feature_range) if estimator.clip else (None, None)
    return Scale(times=_floats(estimator.scale_), plus=_floats(estimator.min_), low=low, high=high)


def _max_abs(estimator: Any) -> Step:  # noqa: ANN401 (see transformer)
    low, high = (-1.0, 1.0) if getattr(estimator, "clip", False) else (None, None)
    return Scale(over=_floats(estimator.scale_), low=low, high=high)


def _robust(estimator: Any) -> Step:  # noqa: ANN401 (see transformer)
    return Scale(
        minus=_floats(estimator.center_) if estimator.with_centering else None,
        over=_floats(estimator.scale_) if estimator.with_scaling else None,
    )


def _impute(estimator: Any, shape: Shape) -> Made:  # noqa: ANN401 (see transformer)
    if not (isinstance(estimator.missing_values, float) and np.isnan(estimator.missing_values)):
        msg = "an imputer of other values than missing ones has no plan"
        raise NoPlan(msg)
    values = list(estimator.statistics_)
    if all(shape.texts):
        if estimator.add_indicator or not all(isinstance(value, str) for value in values):
            msg = "an imputer that marks or drops texts has no plan"
            raise NoPlan(msg)
        return [Fill(tuple(map(str, values)))], shape
    steps, given = stacked(shape)
    statistics = _floats(values)
    empty = np.isnan(statistics)
    kept = np.flatnonzero(~empty) if empty.any() else None
    marked = np.asarray(estimator.indicator_.features_, dtype=np.intp) if estimator.add_indicator else None
    width = (given.width if kept is None else len(kept)) + (0 if marked is None else len(marked))
    made: list[Step] = [*steps, Impute(statistics, kept, marked)]
    return made, (given if width == given.width and kept is None and marked is None else matrix(width))


def _selected(estimator: Any, shape: Shape) -> Made:  # noqa: ANN401 (see transformer)
    steps, given = stacked(shape)
    places = tuple(int(place) for place in estimator.get_support(indices=True))
    return [*steps, Finite(missing=_allows_missing(estimator)), Pick(places, table=False)], given.pick(places)


def _function(estimator: Any, shape: Shape) -> Made:  # noqa: ANN401 (see transformer)
    if estimator.func is None and not estimator.validate:
        return [], shape
    if isinstance(estimator.func, functools.partial) and estimator.func.func.__name__ == "check_array":
        return stacked(shape)  # within histogram boosting, whose trees look at their numbers themselves
    name = getattr(estimator.func, "__name__", "")
    if estimator.kw_args or estimator.validate or name not in Map.FUNCTIONS or getattr(np, name) is not estimator.func:
        msg = "a FunctionTransformer of this function has no plan"
        raise NoPlan(msg)
    steps, given = stacked(shape)
    return [*steps, Map(name)], given


def _allows_missing(estimator: Any) -> bool:  # noqa: ANN401 (see transformer)
    return bool(estimator.__sklearn_tags__().input_tags.allow_nan)


def _floats(values: Any) -> Array:  # noqa: ANN401 (anything array-like)
    return np.array(values, dtype="f8")


_MAKERS: dict[str, Callable[[Any, Shape], Made]] = {
    "sklearn.Pipeline": _pipeline,
    "sklearn.ColumnTransformer": _columns,
    "sklearn.FeatureUnion": _union,
    "sklearn.StandardScaler": _numeric(_standard),
    "sklearn.MinMaxScaler": _numeric(_min_max),
    "sklearn.MaxAbsScaler": _numeric(_max_abs),
    "sklearn.RobustScaler": _numeric(_robust),
    "sklearn.SimpleImputer": _impute,
    "sklearn.OneHotEncoder": one_hot,
    "sklearn.OrdinalEncoder": codes,
    "sklearn.FunctionTransformer": _function,
    "sklearn.VarianceThreshold": _selected,
    "sklearn.SelectKBest": _selected,
    "sklearn.SelectPercentile": _selected,
    "sklearn.SelectFromModel": _selected,
}
