"""Which original column each column of a prepared table comes from, where it comes from one alone."""

from collections import UserList
from collections.abc import Sequence
from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

ONE_TO_ONE = (
    MaxAbsScaler, MinMaxScaler, OrdinalEncoder, PowerTransformer, QuantileTransformer, RobustScaler, SimpleImputer,
    StandardScaler,
)  # fmt: skip
"""Transformers whose column j is made of column j; an imputer only as long as it drops and adds none."""

Sources = list[int]


def sources_of(steps: Sequence[Any], width: int) -> Sources | None:
    """Return the original column of each column that `steps`, one after the other, make of `width` columns.

    None where a step is not known, or mixes columns: nothing is assumed of transformers outside of this module.
    """
    sources: Sources | None = list(range(width))
    for step in steps:
        sources = None if sources is None else _after(step, sources)
    return sources


def _after(step: Any, given: Sources) -> Sources | None:  # noqa: ANN401 (any transformer)
    passes = step is None or step == "passthrough" or (type(step) is FunctionTransformer and step.func is None)
    if passes:  # a fitted ColumnTransformer holds the last form for "passthrough"
        return given
    if type(step) is Pipeline:
        return _chained([inner for _, inner in step.steps], given)
    if type(step) is ColumnTransformer:
        return _side_by_side(step, given)
    if type(step) is OneHotEncoder:
        return _one_hot(step, given)
    if type(step) in ONE_TO_ONE and len(step.get_feature_names_out()) == len(given) == step.n_features_in_:
        return None if getattr(step, "add_indicator", False) else given
    return None


def _chained(steps: Sequence[Any], given: Sources) -> Sources | None:
    found = sources_of(steps, len(given))
    return None if found is None else [given[j] for j in found]


def _side_by_side(step: ColumnTransformer, given: Sources) -> Sources | None:
    names = [str(name) for name in getattr(step, "feature_names_in_", ())]
    placed: dict[int, int] = {}
    for name, inner, columns in step.transformers_:
        if isinstance(inner, str) and inner == "drop":
            continue
        chosen = _places(columns, names, len(given))
        found = None if chosen is None else _after(inner, [given[j] for j in chosen])
        where = step.output_indices_[name]
        if found is None or len(found) != where.stop - where.start:
            return None
        placed.update(zip(range(where.start, where.stop), found, strict=True))
    return [placed[j] for j in sorted(placed)]


def _places(columns: Any, names: list[str], width: int) -> list[int] | None:  # noqa: ANN401 (all that selects columns)
    if isinstance(columns, slice):
        bounds = (columns.start, columns.stop)
        return None if any(isinstance(bound, str) for bound in bounds) else list(range(width))[columns]
    if isinstance(columns, UserList):  # scikit-learn 1.6 wraps the remainder's positions, to warn who iterates over it
        columns = columns.data
    chosen: list[Any] = [columns] if isinstance(columns, str | int) else list(columns)
    if len(chosen) == width and all(type(one).__name__ in {"bool", "bool_"} for one in chosen):
        return [j for j, wanted in enumerate(chosen) if wanted]
    if all(isinstance(one, str) and one in names for one in chosen):
        return [names.index(one) for one in chosen]
    try:
        return [range(width)[one] for one in chosen]
    except (TypeError, IndexError):
        return None


def _one_hot(step: OneHotEncoder, given: Sources) -> Sources | None:
    rare = getattr(step, "infrequent_categories_", [None] * len(given))
    dropped = [None] * len(given) if step.drop_idx_ is None else list(step.drop_idx_)
    found: Sources = []
    for source, known, grouped, without in zip(given, step.categories_, rare, dropped, strict=True):
        width = len(known) - (0 if grouped is None else len(grouped) - 1) - (without is not None)
        found += [source] * width
    return found if len(found) == len(step.get_feature_names_out()) else None
