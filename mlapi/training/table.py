"""A CSV file read as a table to learn from: features, target, digest, and what was left out."""

import csv
import hashlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from mlapi.errors import TrainingError
from mlapi.training.screening import (
    flags_as_text,
    gapped_flags_as_text,
    repeated_rows,
    screen,
    suspects,
)

LEAST_ROWS = 20
"""Below this, a held-out fifth is three rows or fewer, and its figures are chance."""
SEPARATORS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Table:
    """A table to learn from.

    `features` and `target` have the rows with a target, indexed by their data row in the file from
    0. `source` is the file's name without its folder, `sha256` the hex digest of its bytes, `rows`
    and `columns` what the file holds in all. `notices` are sentences on what was left out and why.
    """

    source: str
    sha256: str
    rows: int
    columns: int
    features: pd.DataFrame
    target: pd.Series
    notices: tuple[str, ...]


def read_table(path: Path, target: str, drop: Sequence[str] = ()) -> Table:
    """Return the table in a CSV file with a header line, in UTF-8.

    The separator is a comma, semicolon, tab or bar, whichever the header has most of. Rows without
    a target are dropped, and so are columns that nothing can be learned from; the notices say so.
    Raises TrainingError for a file that cannot be read, an empty or repeated column name, a column
    that is not there, fewer than 20 rows with a target, and a table that no feature is left of.
    """
    data = _bytes(path)
    frame = _parse(data, path.name)
    _check_columns(frame, target, drop, path.name)
    used = frame[frame[target].notna()].drop(columns=list(drop))
    _check_rows(used, target, path.name)
    answers = _answers(used.pop(target))
    features, notices = _features(used)
    if features.empty:
        msg = f"no column of {path.name} is left to learn '{target}' from: {'; '.join(notices)}"
        raise TrainingError(
            msg,
        )
    return Table(
        source=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        rows=len(frame),
        columns=len(frame.columns),
        features=features,
        target=answers,
        notices=(
            *_without_target(len(frame) - len(used), target),
            *notices,
            *suspects(features, answers),
            *repeated_rows(features, answers),
        ),
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise TrainingError(msg) from error


def _parse(data: bytes, name: str) -> pd.DataFrame:
    header, separator = _header(data, name)
    with warnings.catch_warnings():
        # pandas warns, and cuts the rows, where they are longer than the header: a fault here.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            frame = pd.read_csv(
                io.BytesIO(data), sep=separator, encoding="utf-8-sig", index_col=False,
                skipinitialspace=True, low_memory=False,
            )  # fmt: skip
        except UnicodeDecodeError as error:
            raise _not_utf8(name) from error
        except pd.errors.ParserWarning as error:
            message = f"{name} has rows with more values than the {len(header)} columns of its header"
            raise TrainingError(message) from error
        except pd.errors.ParserError as error:
            msg = f"{name} is no well-formed CSV: {error}"
            raise TrainingError(msg) from error
    frame.columns = pd.Index(header)
    # pandas reads "inf" as a number, and no scikit-learn estimator takes it.
    return frame.replace([np.inf, -np.inf], np.nan)


def _header(data: bytes, name: str) -> tuple[list[str], str]:
    try:
        line = data.partition(b"\n")[0].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(name) from error
    separator = max(SEPARATORS, key=line.count)
    header = [column.strip() for column in next(csv.reader([line.strip("\r")], delimiter=separator), [])]
    if not any(header):
        msg = f"{name} is empty or starts with an empty line; expected column names"
        raise TrainingError(msg)
    if "" in header:
        msg = f"column {header.index('') + 1} of {name} has no name; give every column one in line 1"
        raise TrainingError(
            msg,
        )
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated:
        msg = f"{name} has more than one column named '{repeated[0]}'; expected each name once"
        raise TrainingError(
            msg,
        )
    return header, separator


def _not_utf8(name: str) -> TrainingError:
    return TrainingError(f"{name} is not UTF-8 text; save it as 'CSV UTF-8' and try again")


def _check_columns(frame: pd.DataFrame, target: str, drop: Sequence[str], name: str) -> None:
    columns = [str(column) for column in frame.columns]
    for wanted in (target, *drop):
        if wanted in columns:
            continue
        near = get_close_matches(wanted, columns, n=1)
        shown = ", ".join(columns[:20]) + (", ..." if len(columns) > 20 else "")  # noqa: PLR2004 (one line)
        hint = f"did you mean '{near[0]}'?" if near else f"its columns are {shown}"
        msg = f"column '{wanted}' is not in {name}; {hint}"
        raise TrainingError(msg)
    if target in drop:
        msg = f"column '{target}' is the target and cannot be dropped as well"
        raise TrainingError(msg)


def _check_rows(frame: pd.DataFrame, target: str, name: str) -> None:
    if len(frame) < LEAST_ROWS:
        msg = (
            f"{name} has {len(frame)} rows with a value for '{target}'; expected at least "
            f"{LEAST_ROWS}, and figures worth trusting need some hundreds"
        )
        raise TrainingError(
            msg,
        )


def _answers(target: pd.Series) -> pd.Series:
    """Return true/false as text, and whole numbers that gaps, gone by now, made floats as integers."""
    if all(isinstance(value, bool) for value in target.unique().tolist()):
        return flags_as_text(target)
    if target.dtype.kind == "f" and bool((target % 1 == 0).all()):
        return target.astype("int64")
    return target


def _features(used: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    texted, flags = gapped_flags_as_text(used)
    features, left_out = screen(texted)
    return features, (*flags, *left_out)


def _without_target(count: int, target: str) -> tuple[str, ...]:
    if not count:
        return ()
    return (f"{count:,} row{'s' * (count > 1)} left out: no value for the target '{target}'",)
