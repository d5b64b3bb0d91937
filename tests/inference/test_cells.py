"""Cells of a text table: what they are by the datatype of their column."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlapi.inference.cells import BEYOND, decoded


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_the_one_that_json_would_give(number: float) -> None:
    assert decoded([repr(number), json.dumps(number), f" {number!r} "], "FP64") == [number] * 3


@given(st.integers())
def test_an_integer_keeps_all_its_digits(number: int) -> None:
    assert decoded([str(number)], "INT64") == [number]


@pytest.mark.parametrize(("datatype", "cells", "values"), [
    ("FP64", ["", "  ", "inf", "-Infinity", "+1.5", "1_0", "0x1", "one", "\u0661", "1,5"],
     [None, None, math.inf, -math.inf, 1.5, "1_0", "0x1", "one", "\u0661", "1,5"]),
    ("FP32", ["1e400", "-1e400"], [BEYOND, BEYOND]),
    ("INT64", ["", "3.0", "3.5", "1e3", "+7", "007", "9223372036854775807"],
     [None, 3.0, 3.5, 1000.0, 7, 7, 9223372036854775807]),
    ("BOOL", ["", "true", "FALSE", " True ", "1", "0", "yes", "2"], [None, True, False, True, True, False, "yes", "2"]),
    ("BYTES", ["", " ", "1", "true", "NaN"], [None, " ", "1", "true", "NaN"]),
])  # fmt: skip
def test_cells_by_datatype(datatype: str, cells: list[str], values: list[object]) -> None:
    found = decoded(cells, datatype)
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


def test_nan_is_a_number() -> None:
    assert math.isnan(decoded(["NaN"], "FP64")[0])
