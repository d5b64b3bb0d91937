"""Encoders of categories, read by asking them: each category they know, one they do not, and a missing one."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlapi.inference.values import Array
from mlapi.runtimes.compilers.shape import NoPlan, Shape, matrix
from mlapi.runtimes.plans.lookup import NOWHERE, REFUSED, Category, Codes, OneHot
from mlapi.runtimes.plans.shapes import Split
from mlapi.runtimes.plans.step import Step

STRANGE = "\x00 a category that nobody has seen"
STRANGE_NUMBER = -987654321.5


def one_hot(estimator: Any, shape: Shape) -> tuple[list[Step], Shape]:  # noqa: ANN401 (a OneHotEncoder)
    """Return the steps of a one-hot encoder. Raises NoPlan for one that warns of what it does not know."""
    if estimator.handle_unknown == "warn":
        msg = "a OneHotEncoder that warns has no plan"
        raise NoPlan(msg)
    known = _known(estimator)
    answers = _asked(estimator, known)
    width = next(answer for column in answers for answer in column if answer is not None).shape[0]
    spans = _spans(estimator, width)
    places, unknown = [], []
    for categories, column, (begin, end) in zip(known, answers, spans, strict=True):
        found = [_place(answer, begin, end) for answer in column]
        places.append(tuple(found[: len(categories)]))
        unknown.append(found[len(categories)])
        _refuse_odd_missing(categories, found)
    made = OneHot(tuple(map(tuple, known)), tuple(places), tuple(unknown), width)
    return [*_columns(shape), made], matrix(width)


def codes(estimator: Any, shape: Shape) -> tuple[list[Step], Shape]:  # noqa: ANN401 (an OrdinalEncoder)
    """Return the steps of an ordinal encoder."""
    known = _known(estimator)
    answers = _asked(estimator, known)
    numbers, unknown, refuses = [], [], []
    for place, (categories, column) in enumerate(zip(known, answers, strict=True)):
        found = [None if answer is None else float(answer[place]) for answer in column]
        numbers.append(np.array(found[: len(categories)], dtype="f8"))
        refuses.append(found[len(categories)] is None)
        unknown.append(np.nan if found[len(categories)] is None else found[len(categories)])
        _refuse_odd_missing(categories, found)
    made = Codes(tuple(map(tuple, known)), tuple(numbers), np.array(unknown, dtype="f8"), tuple(refuses))
    return [*_columns(shape), made], matrix(len(known))


def _columns(shape: Shape) -> list[Step]:
    return [] if shape.table else [Split()]


def _known(estimator: Any) -> list[list[Category]]:  # noqa: ANN401 (an encoder)
    """Return the categories of every column; missing ones as None."""
    known: list[list[Category]] = []
    for column in estimator.categories_:
        values = [None if value is None or value != value else value for value in np.asarray(column).tolist()]  # noqa: PLR0124 (NaN)
        if not all(value is None or isinstance(value, str | int | float) for value in values):
            msg = "an encoder of other categories than texts and numbers has no plan"
            raise NoPlan(msg)
        known.append(values)
    return known


def _refuse_odd_missing(categories: Sequence[Category], found: Sequence[Any]) -> None:
    """A missing value that is no category must be answered as an unknown one is, as the steps do."""
    strange, missing = found[-2:]
    if None not in categories and missing != strange and not (missing != missing and strange != strange):  # noqa: PLR0124 (NaN)
        msg = "an encoder that takes missing values for something else than unknown ones has no plan"
        raise NoPlan(msg)


def _asked(estimator: Any, known: list[list[Category]]) -> list[list[Array | None]]:  # noqa: ANN401 (an encoder)
    """Return by column what the encoder answers to each category, to one unknown and to a missing one; None: refused.

    The other columns have their first category meanwhile.
    """
    first = [next((value for value in column if value is not None), None) for column in known]
    answers = []
    for place, column in enumerate(known):
        strange: Category = STRANGE if isinstance(first[place], str) or first[place] is None else STRANGE_NUMBER
        rows = [[*first[:place], value, *first[place + 1 :]] for value in (*column, strange, None)]
        try:
            answered = list(_transformed(estimator, rows[:-2]))
        except ValueError as error:
            raise NoPlan(f"an encoder refuses its own categories: {error}") from error
        for row in rows[-2:]:
            try:
                answered.append(_transformed(estimator, [row])[0])
            except (ValueError, TypeError):
                answered.append(None)
        answers.append(answered)
    return answers


def _transformed(estimator: Any, rows: list[list[Category]]) -> Array:  # noqa: ANN401 (an encoder)
    import pandas as pd  # noqa: PLC0415 (for publishers, who have it loaded)

    columns = [[np.nan if value is None else value for value in column] for column in zip(*rows, strict=True)]
    objects = [known.dtype == object for known in map(np.asarray, estimator.categories_)]
    names = list(getattr(estimator, "feature_names_in_", range(len(columns))))
    frame = pd.DataFrame({
        name: pd.Series(column, dtype=object if is_object else "f8")
        for name, column, is_object in zip(names, columns, objects, strict=True)
    })  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = frame if hasattr(estimator, "feature_names_in_") else frame.to_numpy()
        answer = estimator.transform(given)
    answer = answer.toarray() if hasattr(answer, "toarray") else answer
    return np.asarray(answer, dtype="f8")


def _spans(estimator: Any, width: int) -> list[tuple[int, int]]:  # noqa: ANN401 (a OneHotEncoder)
    """Return where the places of each column begin and end."""
    dropped = [None] * len(estimator.categories_) if estimator.drop_idx_ is None else list(estimator.drop_idx_)
    grouped = getattr(estimator, "infrequent_categories_", None) or [None] * len(estimator.categories_)
    spans, begin = [], 0
    for known, rare, drop in zip(estimator.categories_, grouped, dropped, strict=True):
        end = begin + len(known) - (0 if rare is None else len(rare) - 1) - (0 if drop is None else 1)
        spans.append((begin, end))
        begin = end
    if begin != width:
        msg = "a one-hot encoder of this width has no plan"
        raise NoPlan(msg)
    return spans


def _place(answer: Array | None, begin: int, end: int) -> int:
    if answer is None:
        return REFUSED
    hot = np.flatnonzero(answer[begin:end])
    if len(hot) > 1 or (len(hot) and answer[begin:end][hot[0]] != 1):
        msg = "a one-hot encoder that answers more than one 1 has no plan"
        raise NoPlan(msg)
    return begin + int(hot[0]) if len(hot) else NOWHERE
