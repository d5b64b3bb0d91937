"""Columns that nothing can be learned from, or that give the answer away: found and named."""

import re
from collections.abc import Callable

import pandas as pd
from pandas.api.types import is_bool_dtype

DATE_FORMATS = ("ISO8601", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d")
LOOKED_AT = 200
"""Distinct values that are tried as dates."""
NEARLY_ALL = 0.9
SAME = 0.9999
"""Correlation with the target from which a column is suspected to be the target in other words."""
LEAST_TO_REPEAT = 5
ID_NAME = re.compile(r"(^|[_\W])(id|pid|uid|uuid|guid|key|index|row|no|nr)$", re.IGNORECASE)


def gapped_flags_as_text(features: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the table with true/false columns that have gaps as text, and a sentence for each.

    A flag without gaps stays one. With gaps it has three states, which no flag can hold.
    """
    flags = [name for name in features.columns if _is_gapped_flag(features[name])]
    texts = {name: flags_as_text(features[name]) for name in flags}
    notices = (
        f"column '{name}' is true or false with gaps: read as the texts 'true' and 'false'"
        for name in flags
    )
    return features.assign(**texts), tuple(notices)


def flags_as_text(column: pd.Series) -> pd.Series:
    """Return a true/false column as the texts "true" and "false", gaps kept."""
    return column.map({True: "true", False: "false"}).astype(object)


def screen(features: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the columns worth learning from, and a sentence for each one left out.

    Left out are columns with fewer than two values, dates as text, row numbers and identifiers,
    and text that differs in nine rows of ten or more.
    """
    kept: list[str] = []
    notices: list[str] = []
    for name in map(str, features.columns):
        fault = next((words for check, words in _CHECKS if check(features[name])), None)
        if fault is None:
            kept.append(name)
        else:
            notices.append(f"column '{name}' left out: {fault}")
    return features[kept], tuple(notices)


def suspects(features: pd.DataFrame, target: pd.Series) -> tuple[str, ...]:
    """Return a sentence for each numeric column that follows a numeric target almost exactly.

    Such a column is usually the answer in other words and is not known when predicting: the
    figures look perfect and the model is useless.
    """
    if not _is_number(target):
        return ()
    return tuple(
        f"column '{name}' follows the target '{target.name}' almost exactly; if it is not known at "
        f"prediction time, leave it out with --drop {name}"
        for name in features.columns
        if _is_number(features[name]) and abs(features[name].corr(target)) > SAME
    )


def repeated_rows(features: pd.DataFrame, target: pd.Series) -> tuple[str, ...]:
    """Return a sentence when rows repeat others in every column, as they can then be split apart.

    With fewer than five features repeats come about by chance, and mean nothing.
    """
    if len(features.columns) < LEAST_TO_REPEAT:
        return ()
    count = int(features.assign(**{"\0target": target}).duplicated().sum())
    if not count:
        return ()
    rows = f"{count:,} row{'s repeat' if count > 1 else ' repeats'} another in every column"
    return (f"{rows}; where a repeat is held out, the figures are too kind",)


def _is_gapped_flag(column: pd.Series) -> bool:
    values = set(column.dropna().unique()) if column.dtype == object else set()
    return bool(values) and all(isinstance(value, bool) for value in values)


def _is_constant(column: pd.Series) -> bool:
    return int(column.nunique()) < 2  # noqa: PLR2004 (one value tells no rows apart)


def _is_date(column: pd.Series) -> bool:
    if _is_number(column) or is_bool_dtype(column.dtype):
        return False
    values = pd.Series(column.dropna().unique()[:LOOKED_AT]).astype(str)
    return any(
        pd.to_datetime(values, format=form, errors="coerce", utc=True).notna().mean() > NEARLY_ALL
        for form in DATE_FORMATS
    )


def _is_identifier(column: pd.Series) -> bool:
    if column.dtype.kind not in "iu" or not column.is_unique:
        return False
    counts = bool((column.diff().dropna() == 1).all())
    return counts or ID_NAME.search(str(column.name)) is not None


def _is_free_text(column: pd.Series) -> bool:
    if _is_number(column) or is_bool_dtype(column.dtype):
        return False
    return int(column.nunique()) >= NEARLY_ALL * int(column.count())


def _is_number(column: pd.Series) -> bool:
    return column.dtype.kind in "iuf"


_CHECKS: tuple[tuple[Callable[[pd.Series], bool], str], ...] = (
    (_is_constant, "it has fewer than two distinct values"),
    (_is_date, "it holds dates as text; turn them into numbers, such as year, month or age in days"),
    (_is_identifier, "it numbers the rows, and a number for a row says nothing about the next one"),
    (_is_free_text, "it is text that differs in nearly every row"),
)  # fmt: skip
