"""Rows from a file, CSV or JSON, as the body of a V1 predict request."""

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import click

from mlapi.errors import InvalidRequest
from mlapi.inference.faults import quoted

WHOLE = re.compile(r"[+-]?[0-9]{1,300}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Input:
    """What the server says of one input: its name, datatype and number of values a row."""

    name: str
    datatype: str
    width: int


def body_of(path: str, inputs: Sequence[Input]) -> dict[str, Any]:
    """Return a V1 body with the rows in the file `path` (`-`: standard input, as JSON or CSV).

    JSON is a body, or a list of rows. CSV has a header; columns that are no inputs are left out, text
    becomes numbers where the input's datatype is numeric. Raises InvalidRequest.
    """
    try:
        with click.open_file(path, encoding="utf-8") as file:
            text = file.read().removeprefix("\ufeff")  # what Excel puts before UTF-8
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest([f"{Path(path).name} cannot be read as UTF-8 text"]) from error
    if text.lstrip()[:1] in {"{", "["}:
        return _from_json(text)
    return {"instances": _from_csv(io.StringIO(text, newline=""), inputs)}


def _from_json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest([f"the file is not valid JSON: {error}"]) from error
    body: dict[str, Any] = {"instances": value} if isinstance(value, list) else value
    return body


def _from_csv(lines: TextIO, inputs: Sequence[Input]) -> list[Any]:
    reader = csv.DictReader(lines)
    try:
        header, rows = list(reader.fieldnames or ()), list(reader)
    except csv.Error as error:
        raise InvalidRequest([f"the file is not valid CSV: {error}"]) from error
    _refuse_ragged(header, rows)
    missing = [spec.name for spec in inputs if spec.name not in header]
    if not missing:
        return [{spec.name: _value(row[spec.name], spec.datatype) for spec in inputs} for row in rows]
    if len(inputs) == 1 and len(header) == inputs[0].width:
        return [[_value(cell, inputs[0].datatype) for cell in row.values()] for row in rows]
    found = f"its columns are {_listed(header)}" if header else "it has no rows"
    raise InvalidRequest([f"the CSV lacks the columns {_listed(missing)}; {found}"])


def _refuse_ragged(header: Sequence[str], rows: Sequence[dict[Any, Any]]) -> None:
    faults = [
        f"row {i} of the CSV has not the {len(header)} cells of its header"
        for i, row in enumerate(rows) if None in row or None in row.values()
    ]  # fmt: skip
    if faults:
        raise InvalidRequest(faults)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(quoted, names[:10]))


def _value(text: str, datatype: str) -> object:
    """Return a cell as JSON would have it; one that does not convert is left for the server to name."""
    if datatype == "BYTES":
        return text
    if datatype == "BOOL":
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    if WHOLE.fullmatch(text.strip()):
        return int(text)  # exact, where a float would round from 2^53 on
    try:
        number = float(text) if text.strip() else math.nan
    except ValueError:
        return text
    if "_" in text:  # Python's own notation
        return text
    return int(number) if not datatype.startswith("FP") and number.is_integer() else number
