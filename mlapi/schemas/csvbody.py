"""CSV: RFC 4180 in UTF-8, the first line a header. Light enough to import at a terminal."""

import csv
import io
from collections import Counter

from mlapi.errors import InvalidRequest
from mlapi.inference.faults import Faults, quoted


def columns_of(text: str, noun: str = "body") -> dict[str, list[str]]:
    """Return the cells of each column by its name, as written; lines without a character are left out.

    A byte order mark, which spreadsheets write, is no part of the header. Raises InvalidRequest: no
    header, a name that stands twice, quotes that do not close, rows of another length than the header; `noun` is what
    the text is called in messages.
    """
    text = text.removeprefix("\ufeff")
    header, cells = _split(text) or _parsed(text, noun)
    return {name: cells[j :: len(header)] for j, name in enumerate(header)}


def _split(text: str) -> tuple[list[str], list[str]] | None:
    """Return the header and all cells of a CSV without quotes and without faults, else None."""
    text = text.replace("\r\n", "\n")
    if '"' in text or "\r" in text:
        return None
    lines = list(filter(None, text.split("\n")))
    if not lines or max(map(len, lines)) > csv.field_size_limit():
        return None
    header = lines[0].split(",")
    if len(set(header)) != len(header) or any(line.count(",") != len(header) - 1 for line in lines):
        return None
    return header, ",".join(lines[1:]).split(",") if len(lines) > 1 else []


def _parsed(text: str, noun: str) -> tuple[list[str], list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    cells: list[str] = []
    ragged: list[tuple[int, int]] = []
    rows = 0
    try:
        header = next((line for line in reader if line), [])
        for row in filter(None, reader):
            if len(row) != len(header):
                ragged.append((rows, len(row)))
            cells += row
            rows += 1
    except csv.Error as error:
        raise InvalidRequest([f"the {noun} is not valid CSV: {error} at line {reader.line_num}"]) from None
    faults = Faults()
    if not header:
        faults.add("the CSV is empty; expected a line with the names of the columns, then rows")
    twice = [name for name, times in Counter(header).items() if times > 1]
    faults.each(twice, lambda name: f"column {quoted(name)} stands twice in the header")
    faults.each(ragged, lambda row: f"row {row[0]} has {row[1]} cells; the header has {len(header)}")
    faults.raise_any()
    return header, cells
