"""Tables: missing values, arrays beside lists, and where the words of a fault point."""

from typing import Any

import numpy as np
import pytest

from mlapi.errors import SignatureMismatch
from mlapi.inference.conform import conform
from mlapi.inference.signature import Signature, TensorSpec
from mlapi.inference.values import LoneArray, Table

OUTPUT = (TensorSpec("predict", "FP64", (-1, 1)),)
MIXED = Signature("columns", (
    TensorSpec("real", "FP64", (-1, 1), nullable=True), TensorSpec("whole", "INT64", (-1, 1)),
    TensorSpec("text", "BYTES", (-1, 1), nullable=True),
), OUTPUT)  # fmt: skip
PAIR = Signature("matrix", (TensorSpec("input-0", "FP64", (-1, 2)),), OUTPUT, ("a", "b"))
LONE = Signature("columns", (TensorSpec("text", "BYTES", (-1, 1)),), OUTPUT)
WIDTH_ONE = Signature("matrix", (TensorSpec("input-0", "FP64", (-1, 1)),), OUTPUT)


def faults(inputs: Any, signature: Signature) -> list[str]:
    with pytest.raises(SignatureMismatch) as caught:
        conform(inputs, signature)
    return list(caught.value.faults)


@pytest.mark.parametrize("real", [[1.5, None], [1.5, float("nan")], np.array([1.5, np.nan], "f4")])
@pytest.mark.parametrize("whole", [[1, 2.0], np.array([1, 2], "u1"), np.array([1.0, 2.0])])
def test_lists_and_arrays_become_the_same_arrays(real: Any, whole: Any) -> None:
    arrays = conform(Table({"whole": whole, "text": ["a", None], "real": real}), MIXED)
    assert np.array_equal(arrays["real"], [1.5, np.nan], equal_nan=True)
    assert (arrays["whole"].tolist(), arrays["whole"].dtype.str) == ([1, 2], "<i8")
    assert arrays["text"].tolist() == ["a", None]


def test_the_place_of_a_fault_counts_the_rows_with_gaps() -> None:
    assert faults(Table({"real": [1, 2, "x"], "whole": [1, None, 2], "text": [None, "a", 5]}), MIXED) == [
        "row 2, column 'real': expected a number, got text",
        "row 1, column 'whole': is missing, and this model takes no missing value there",
        "row 2, column 'text': expected text, got a number",
    ]
    assert faults(Table({"real": [1], "whole": np.array([np.nan]), "text": ["a"]}), MIXED) == [
        "row 0, column 'whole': is missing, and this model takes no missing value there",
    ]
    assert faults(Table({"b": ["1", ""], "a": ["1", "x"]}, written=True), PAIR) == [
        "row 1, column 'a': expected a number, got text",
    ]
    assert faults(Table({"b": ["1", ""], "a": ["1", "2"]}, written=True), PAIR) == [
        "row 1, column 'b': is missing, and this model takes no missing value there",
    ]


def test_columns_of_another_kind_or_length_are_named() -> None:
    assert faults(Table({"a": np.array([1.0]), "b": np.array([1.0, 2.0])}), PAIR) == [
        "the columns differ in length: 'a' 1, 'b' 2; expected one value a row in each",
    ]
    assert faults(Table({"text": np.array([1.0])}), LONE) == ["column 'text' holds numbers; expected text"]


def test_an_array_without_a_name_is_the_one_input() -> None:
    assert conform(LoneArray(np.array([1, 2])), WIDTH_ONE)["input-0"].tolist() == [[1.0], [2.0]]
    assert faults(LoneArray(np.array([1, 2])), PAIR) == ["input 'input-0' has shape [2]; the signature wants [-1, 2]"]
    assert faults(LoneArray(np.array(3.0)), PAIR) == ["input 'input-0' has shape []; the signature wants [-1, 2]"]
    assert faults(LoneArray(np.array([True])), LONE) == ["column 'text' holds numbers; expected text"]
    assert faults(LoneArray(np.empty((0, 2))), PAIR) == ["the batch is empty; expected at least one row"]
