"""A sample of rows, read as the typed table that the signature of a version is inferred from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlapi.errors import PublishRefused
from mlapi.inference.faults import quoted
from mlapi.inference.signature import Form, TensorSpec, Unseen
from mlapi.inference.values import Array
from mlapi.runtimes.predictor import Feed

MATRIX = "input-0"
MOST_COLUMNS = 256  # numeric ones beyond are one matrix: described one by one they outgrow the manifest
MOST_CATEGORIES = 256
LISTED_FROM_SAMPLE = 64
NO_SAMPLE = (
    "a sample is needed to infer the signature: pass some rows of the training data "
    "(sample=X in Python, --sample rows.csv at the command line)"
)
TWICE = "two columns of the sample have the same name"


@dataclass(frozen=True, slots=True)
class Table:
    """The sample as it will arrive over the wire: arrays by input name, and what they are."""

    form: Form
    feed: Feed
    specs: tuple[TensorSpec, ...]
    arrays: Mapping[str, Array]
    features: tuple[str, ...] = ()


def table_of(
    model: Any, sample: Any, feature_names: Sequence[str] | None, unseen: Unseen | None,  # noqa: ANN401 (any estimator, anything array-like)
) -> Table:
    """Return the sample as a typed table, in the form that `model` takes.

    A model fitted on a data frame gets columns; one fitted on numbers gets one matrix. Categories come
    from the model's own encoders where it has them (others are then refused), else from the sample.
    Raises PublishRefused where the sample cannot be what the model was fitted on.
    """
    if sample is None:
        raise PublishRefused(NO_SAMPLE)
    fitted = getattr(model, "feature_names_in_", None)
    if isinstance(sample, pd.DataFrame):
        return _of_frame(model, sample, None if fitted is None else list(fitted), unseen)
    array = array_of(sample)
    if array.ndim != 2 or not array.size:  # noqa: PLR2004 (a table)
        msg = f"the sample has shape {list(array.shape)}; expected rows and columns, such as X[:200]"
        raise PublishRefused(msg)
    names = list(feature_names) if feature_names is not None else ([] if fitted is None else list(fitted))
    if names and len(names) != array.shape[1]:
        msg = f"{len(names)} feature names for {array.shape[1]} columns"
        raise PublishRefused(msg)
    if array.dtype.kind in "fiub":
        return _matrix(model, array, names, "array" if fitted is None else "frame")
    frame = pd.DataFrame(array, columns=names or [f"column-{j}" for j in range(array.shape[1])]).infer_objects()
    return _columns(model, frame, "objects", unseen)


def array_of(sample: Any) -> Array:  # noqa: ANN401 (anything array-like)
    """Return an array-like as numpy has it, but rows that mix text and numbers unchanged, not all as text.

    Raises PublishRefused for a sparse matrix, and for rows that differ in length.
    """
    if hasattr(sample, "toarray"):
        msg = "the sample is a sparse matrix; pass some of its rows as an array, such as X[:200].toarray()"
        raise PublishRefused(msg)
    try:
        array = np.asarray(sample)
        return array if isinstance(sample, np.ndarray) or array.dtype.kind not in "US" else np.array(sample, object)
    except ValueError as error:
        msg = "the rows of the sample differ in length; expected a table"
        raise PublishRefused(msg) from error


def _of_frame(model: Any, frame: pd.DataFrame, fitted: list[str] | None, unseen: Unseen | None) -> Table:  # noqa: ANN401 (any estimator)
    if frame.empty:
        msg = "the sample has no rows; expected at least one"
        raise PublishRefused(msg)
    frame = frame.rename(columns=str)
    if fitted is not None:
        missing = [name for name in fitted if name not in frame.columns]
        if missing:
            msg = f"the sample lacks columns that the model was fitted on: {', '.join(map(quoted, missing[:10]))}"
            raise PublishRefused(msg)
        frame = frame[fitted]
    numeric = all(pd.api.types.is_numeric_dtype(dtype) for dtype in frame.dtypes)
    if numeric and (fitted is None or len(fitted) > MOST_COLUMNS):
        matrix = frame.to_numpy(dtype="f8", na_value=np.nan)
        return _matrix(model, matrix, list(frame.columns), "array" if fitted is None else "frame")
    return _columns(model, frame, "frame", unseen)


def _matrix(model: Any, array: Array, names: list[str], feed: Feed) -> Table:  # noqa: ANN401 (any estimator)
    width = getattr(model, "n_features_in_", array.shape[1])
    if width != array.shape[1]:
        msg = (
            f"the sample has {array.shape[1]} columns; the model was fitted on {width} "
            "(leave the target out of the sample, or name it with --target)"
        )
        raise PublishRefused(msg)
    if len(set(names)) != len(names):
        raise PublishRefused(TWICE)
    values = array.astype("f8")
    spec = TensorSpec(MATRIX, "FP64", (-1, width), nullable=bool(np.isnan(values).any()))
    return Table("matrix", feed, (spec,), {MATRIX: values}, tuple(map(str, names)))


def _columns(model: Any, frame: pd.DataFrame, feed: Feed, unseen: Unseen | None) -> Table:  # noqa: ANN401 (any estimator)
    if len(set(frame.columns)) != len(frame.columns):
        raise PublishRefused(TWICE)
    known = encoder_categories(model)
    specs, arrays = [], {}
    for name in frame.columns:
        spec, arrays[name] = _column(name, frame[name])
        specs.append(_with_categories(spec, arrays[name], known.get(name), unseen))
    return Table("columns", feed, tuple(specs), arrays)


def _column(name: str, series: "pd.Series[Any]") -> tuple[TensorSpec, Array]:
    missing = series.isna().to_numpy()
    nullable = bool(missing.any())
    present = series[~missing]
    kind = pd.api.types.infer_dtype(present, skipna=True)
    if kind == "boolean" and not nullable:
        return TensorSpec(name, "BOOL", (-1, 1)), series.to_numpy(dtype=bool)
    if kind == "integer" and not nullable:
        values: Array = series.to_numpy(dtype="i8")
        return TensorSpec(name, "INT64", (-1, 1), minimum=float(values.min()), maximum=float(values.max())), values
    if kind in {"integer", "floating", "mixed-integer-float", "boolean"} or (nullable and present.empty):
        values = series.to_numpy(dtype="f8", na_value=np.nan)
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
        return TensorSpec(name, "FP64", (-1, 1), nullable, minimum=low, maximum=high), values
    if all(isinstance(value, str) for value in present):
        texts: Array = series.to_numpy(dtype=object, copy=True)
        texts[missing] = None
        return TensorSpec(name, "BYTES", (-1, 1), nullable), texts
    msg = f"column {quoted(name)} of the sample holds {kind} values; expected numbers, true/false or text"
    raise PublishRefused(msg)


def _with_categories(
    spec: TensorSpec, values: Array, known: tuple[str, ...] | None, unseen: Unseen | None,
) -> TensorSpec:
    if spec.datatype != "BYTES":
        return spec
    seen = {value for value in values if value is not None}
    if known is not None and (len(known) <= MOST_CATEGORIES or unseen == "refuse"):
        # a sample that itself goes beyond the encoder shows that the model is meant to be asked such
        return replace(spec, categories=known, unseen=unseen or ("refuse" if seen <= set(known) else "accept"))
    if known is not None or (len(seen) > LISTED_FROM_SAMPLE and unseen != "refuse"):
        return spec
    return replace(spec, categories=tuple(sorted(seen)), unseen=unseen or "accept")


def encoder_categories(model: Any) -> dict[str, tuple[str, ...]]:  # noqa: ANN401 (any estimator)
    """Return the text categories by column that one-hot and ordinal encoders inside `model` have learnt."""
    found: dict[str, tuple[str, ...]] = {}
    for step in _steps(model):
        names, categories = getattr(step, "feature_names_in_", None), getattr(step, "categories_", None)
        if names is None or categories is None:
            continue
        for name, known in zip(names, categories, strict=True):
            texts = [value for value in known if value is not None and value == value]  # noqa: PLR0124 (NaN)
            if all(isinstance(value, str) for value in texts):
                found[str(name)] = tuple(map(str, texts))
    return found


def _steps(model: Any) -> list[Any]:  # noqa: ANN401 (any estimator)
    """Every estimator inside `model`, by the public attributes of scikit-learn's compositions."""
    inner = [step for _, step in getattr(model, "steps", ())]
    inner += [entry[1] for entry in getattr(model, "transformers_", ())]
    inner += [getattr(model, name) for name in ("regressor_", "estimator_", "best_estimator_") if hasattr(model, name)]
    inner += [one.estimator for one in getattr(model, "calibrated_classifiers_", ())]
    steps = [model]
    for step in inner:
        if not isinstance(step, str):
            steps += _steps(step)
    return steps


def read_csv(path: Path, target: str | None = None) -> tuple[pd.DataFrame, "pd.Series[Any] | None"]:
    """Return the rows of a CSV file with a header, and the column `target` taken out of them.

    Raises PublishRefused where the file is no such table or has no such column.
    """
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        msg = f"the sample {quoted(path.name)} is no CSV table: {' '.join(str(error).split())}"
        raise PublishRefused(msg) from error
    if target is None:
        return frame, None
    if target not in frame.columns:
        near = get_close_matches(target, [str(name) for name in frame.columns], n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"its columns are {', '.join(map(str, frame.columns))}"
        msg = f"the sample has no column {quoted(target)}; {hint}"
        raise PublishRefused(msg)
    return frame.drop(columns=target), frame[target]
