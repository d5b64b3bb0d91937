"""Cells of a CSV as JSON would have them."""

import math
from pathlib import Path
from typing import Any

import pytest

from mlapi.cli.rows import Input, body_of
from mlapi.errors import InvalidRequest


def read(tmp_path: Path, text: str, *inputs: Input) -> list[Any]:
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode())
    instances: list[Any] = body_of(str(path), inputs)["instances"]
    return instances


@pytest.mark.parametrize(
    ("cell", "datatype", "value"),
    [
        ("1", "FP64", 1.0), ("1.5", "FP64", 1.5),
        ("1e3", "FP64", 1000.0), (" 2 ", "FP32", 2.0), ("-inf", "FP64", -math.inf),
        ("9007199254740993", "INT64", 9007199254740993), ("-5", "INT64", -5), ("+5", "INT64", 5), ("3.0", "INT64", 3.0),
        ("3.5", "INT64", 3.5), ("18446744073709551615", "UINT64", 2**64 - 1), ("1e400", "INT64", 10**309),
        ("true", "BOOL", True), ("FALSE", "BOOL", False), ("1", "BOOL", True), ("maybe", "BOOL", "maybe"),
        ("x", "FP64", "x"), ("1_0", "FP64", "1_0"), ("1_0", "INT64", "1_0"), ("٣", "INT64", "٣"),
        ("007", "BYTES", "007"), (" x ", "BYTES", " x "), ("nan", "BYTES", "nan"), ("1" * 400, "FP64", 10**309),
    ],
)  # fmt: skip
def test_a_cell_is_what_its_datatype_says(tmp_path: Path, cell: str, datatype: str, value: object) -> None:
    [row] = read(tmp_path, f"it,other\n{cell},x\n", Input("it", datatype, 1))
    assert row == {"it": value}
    assert type(row["it"]) is type(value)


def test_an_empty_number_is_missing_and_an_empty_text_is_text(tmp_path: Path) -> None:
    [row] = read(tmp_path, "n,t\n,\n", Input("n", "FP64", 1), Input("t", "BYTES", 1))
    assert math.isnan(row["n"])
    assert row["t"] == ""


def test_text_in_quotes_keeps_its_lines_and_commas(tmp_path: Path) -> None:
    text = 't,n\r\n"a\nb, ""c""\u2028d",1\r\n\x0be,2\r\n'
    rows = read(tmp_path, text, Input("t", "BYTES", 1), Input("n", "INT64", 1))
    assert rows == [{"t": 'a\nb, "c"\u2028d', "n": 1}, {"t": "\x0be", "n": 2}]


def test_a_matrix_is_read_in_the_order_of_the_columns(tmp_path: Path) -> None:
    assert read(tmp_path, "a,b\n1,2.5\n,4\n", Input("input-0", "FP64", 2))[0] == [1, 2.5]
    with pytest.raises(InvalidRequest, match="lacks the columns 'input-0'"):
        read(tmp_path, "a,b,c\n1,2,3\n", Input("input-0", "FP64", 2))


def test_a_name_that_stands_twice_is_refused_and_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="column 'a' stands twice in the header"):
        read(tmp_path, "a,a\n1,2\n", Input("a", "FP64", 1))


def test_names_in_sentences_are_printable(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(tmp_path, '"a\n\x1b[31m"\n1\n', Input("x", "FP64", 1), Input("y", "FP64", 1))
    assert str(caught.value).isprintable()
