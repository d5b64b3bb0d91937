"""Rows from a file, CSV or JSON, as the body of a V1 predict request."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mlapi.errors import InvalidRequest
from mlapi.inference.cells import decoded
from mlapi.inference.faults import quoted
from mlapi.schemas import csvbody


@dataclass(frozen=True, slots=True)
class Input:
    """What the server says of one input: its name, datatype and number of values a row."""

    name: str
    datatype: str
    width: int


def body_of(path: str, inputs: Sequence[Input]) -> dict[str, Any]:
    """Return a V1 body with the rows in the file `path` (`-`: standard input, as JSON or CSV).

    JSON is a body, or a list of rows. CSV is read as the server reads it; columns that are no inputs are left
    out. Raises InvalidRequest.
    """
    try:
        with click.open_file(path, encoding="utf-8") as file:
            text = file.read().removeprefix("\ufeff")  # what Excel puts before UTF-8
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest([f"{Path(path).name} cannot be read as UTF-8 text"]) from error
    if text.lstrip()[:1] in {"{", "["}:
        return _from_json(text)
    return {"instances": _from_csv(text, inputs)}


def _from_json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest([f"the file is not valid JSON: {error}"]) from error
    body: dict[str, Any] = {"instances": value} if isinstance(value, list) else value
    return body


def _from_csv(text: str, inputs: Sequence[Input]) -> list[Any]:
    columns = csvbody.columns_of(text, "file")
    missing = [spec.name for spec in inputs if spec.name not in columns]
    if not missing:
        values = [_values(columns[spec.name], spec.datatype) for spec in inputs]
        return [dict(zip([spec.name for spec in inputs], row, strict=True)) for row in zip(*values, strict=True)]
    if len(inputs) == 1 and len(columns) == inputs[0].width:
        values = [_values(cells, inputs[0].datatype) for cells in columns.values()]
        return [list(row) for row in zip(*values, strict=True)]
    found = f"its columns are {_listed(list(columns))}"
    raise InvalidRequest([f"the CSV lacks the columns {_listed(missing)}; {found}"])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(quoted, names[:10]))


def _values(cells: Sequence[str], datatype: str) -> list[Any]:
    """Return a column as JSON would have it; V1 has no null, so an empty cell is NaN, or the empty text."""
    missing = "" if datatype in {"BYTES", "BOOL"} else math.nan
    return [missing if value is None else value for value in decoded(cells, datatype)]
