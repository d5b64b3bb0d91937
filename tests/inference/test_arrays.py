"""Values to arrays: each datatype takes what the contract's table of datatypes says, and names the rest."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlapi.errors import InvalidRequest
from mlapi.inference.arrays import array_of, cast
from mlapi.inference.faults import Faults
from mlapi.inference.signature import NUMPY_TYPES

INTEGERS = {name: np.iinfo(dtype) for name, dtype in NUMPY_TYPES.items() if "INT" in name}
FLOATS = ("FP16", "FP32", "FP64")
NUMBERS = (*INTEGERS, *FLOATS)
INFINITY, NAN = math.inf, math.nan
LARGEST_DOUBLE = 1.7976931348623157e308

TAKEN: list[tuple[str, Any, Any]] = [
    *((name, value, value) for name, limits in INTEGERS.items() for value in (int(limits.min), int(limits.max), 0, 7)),
    *((name, 3.0, 3) for name in INTEGERS),
    *((name, 1e2, 100) for name in INTEGERS),
    *((name, value, value) for name in FLOATS for value in (0.5, -2, 3, INFINITY, -INFINITY)),
    *((name, NAN, NAN) for name in FLOATS),
    ("FP64", 2**53 + 1, float(2**53)), ("FP64", 2**63, 2.0**63), ("FP64", LARGEST_DOUBLE, LARGEST_DOUBLE),
    ("FP32", 0.1, np.float32(0.1)), ("FP16", 65504, 65504),
    ("BOOL", True, True), ("BOOL", False, False), ("BOOL", 1, True), ("BOOL", 0, False),
    ("BYTES", "", ""), ("BYTES", "zürich ☃", "zürich ☃"), ("BYTES", "1", "1"),
]  # fmt: skip

REFUSED: list[tuple[str, Any, str]] = [
    *((name, int(limits.min) - 1, "an integer from") for name, limits in INTEGERS.items()),
    *((name, int(limits.max) + 1, "an integer from") for name, limits in INTEGERS.items()),
    *((name, value, "an integer from") for name in INTEGERS for value in (3.5, NAN, INFINITY, -INFINITY, 10**400)),
    *((name, float(limits.min) * 2 - 2, "an integer from") for name, limits in INTEGERS.items()),
    ("INT64", float(2**63), "an integer from"), ("UINT64", float(2**64), "an integer from"),
    ("INT64", -9.223372036854776e18, "an integer from"),  # what orjson makes of -2**63 - 1
    *((name, value, f"expected {'an integer' if name in INTEGERS else 'a number'}, got {got}")
      for name in NUMBERS
      for value, got in (("7", "text"), (True, "true or false"), (None, "null"), ([7], "a list"), ({}, "an object"))),
    ("FP16", 65520, "a number that fits FP16"), ("FP32", 3.5e38, "a number that fits FP32"),
    *((name, value, f"a number that fits {name}") for name in FLOATS for value in (10**309, -(10**400))),
    *(("BOOL", value, "expected true or false, got") for value in (2, -1, 0.0, 1.0, "true", None, [True], {})),
    *(("BYTES", value, "expected text, got") for value in (1, 0.5, True, None, ["a"], {"b64": "YQ=="})),
]  # fmt: skip


def place(i: int) -> str:
    return f"value {i}" if i >= 0 else "the tensor"


def read(values: list[Any], datatype: str, *, null: bool = False) -> np.ndarray[Any, Any]:
    """Return the array, or raise with the faults."""
    faults = Faults()
    array = array_of(values, datatype, place, faults, null=null)
    faults.raise_any()
    assert array is not None
    return array


@pytest.mark.parametrize(("datatype", "value", "result"), TAKEN)
def test_a_value_of_the_datatype_is_taken(datatype: str, value: Any, result: Any) -> None:
    array = read([value, value], datatype)
    assert array.dtype == np.dtype(NUMPY_TYPES[datatype])
    assert array.shape == (2,)
    np.testing.assert_array_equal(array, np.array([result, result], array.dtype))


@pytest.mark.parametrize(("datatype", "value", "words"), REFUSED)
def test_any_other_value_is_refused_with_its_place_and_what_was_expected(datatype: str, value: Any, words: str) -> None:
    fine = "a" if datatype == "BYTES" else datatype == "BOOL" or 1
    with pytest.raises(InvalidRequest) as refusal:
        read([fine, value, fine], datatype)
    assert refusal.value.total == 1
    assert str(refusal.value).startswith("value 1: ")
    assert words in str(refusal.value)


@pytest.mark.parametrize("datatype", FLOATS)
def test_null_is_nan_where_it_is_allowed_and_only_in_floating_tensors(datatype: str) -> None:
    assert np.isnan(read([1, None, 2.5], datatype, null=True)).tolist() == [False, True, False]


@pytest.mark.parametrize("datatype", sorted(NUMPY_TYPES.keys() - set(FLOATS)))
def test_null_is_refused_in_every_other_tensor_even_where_it_is_allowed(datatype: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^value 0: expected .*, got null$"):
        read([None], datatype, null=True)


def test_a_misfit_beside_an_allowed_null_is_the_only_fault() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read([None, "x", 1.0], "FP64", null=True)
    assert refusal.value.faults == ("value 1: expected a number, got text",)


def test_integers_and_fractions_in_one_list_are_each_judged() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read([1, 2.0, 2.5, 300], "UINT8")
    assert refusal.value.faults == tuple(f"value {i}: expected an integer from 0 to 255" for i in (2, 3))


def test_unsigned_integers_beyond_the_signed_ones_keep_every_digit() -> None:
    assert read([2**64 - 1, 2**63, 2**63 - 1], "UINT64").tolist() == [2**64 - 1, 2**63, 2**63 - 1]


def test_texts_stay_the_very_strings() -> None:
    assert read(["a", "bb", ""], "BYTES").tolist() == ["a", "bb", ""]


def test_a_hundred_faults_are_counted_and_twenty_named() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read([None] * 100, "INT8")
    assert (len(refusal.value.faults), refusal.value.total) == (20, 100)


EDGES = sorted({
    edge + step for limits in INTEGERS.values() for edge in (int(limits.min), int(limits.max)) for step in (-1, 0, 1)
} | {2**24 + 1, 2**53 + 1, -(2**53) - 1})  # fmt: skip

numbers = st.one_of(
    st.sampled_from(EDGES), st.integers(-(2**65), 2**65), st.integers(-3, 3),
    st.floats(width=64), st.sampled_from([0.0, -0.0, 1.0, 2.5, 2.0**31, 2.0**63, -(2.0**63), 2.0**64, 1e300]),
)  # fmt: skip


def exactly(value: Any, datatype: str) -> Any:
    """Return what a number is in a datatype by Python's own exact arithmetic, or None where it does not fit."""
    if datatype == "BOOL":
        return bool(value) if value in (0, 1) else None
    if datatype in INTEGERS:
        whole = math.isfinite(value) and value == int(value)
        limits = INTEGERS[datatype]
        return int(value) if whole and limits.min <= int(value) <= limits.max else None
    with np.errstate(over="ignore"):
        narrow = np.array(value, "f8").astype(NUMPY_TYPES[datatype])
    return None if np.isinf(narrow) and not np.isinf(float(value)) else narrow[()]


datatypes = st.sampled_from((*NUMBERS, "BOOL"))


@given(st.lists(numbers, min_size=1, max_size=4), datatypes, datatypes)
def test_a_cast_keeps_every_value_or_names_it(values: list[Any], wire: str, model: str) -> None:
    with np.errstate(all="ignore"):
        fits = [value for value in values if exactly(value, wire) is not None]
        array = np.array([exactly(value, wire) for value in fits], NUMPY_TYPES[wire])
    faults = Faults()
    result = cast(array, model, place, faults)
    expected = [exactly(value, model) for value in array.tolist()]
    if wire == model:
        expected = array.tolist()
    if any(value is None for value in expected):
        assert result is None
        with pytest.raises(InvalidRequest) as refusal:
            faults.raise_any()
        places = [sentence.split(":")[0] for sentence in refusal.value.faults]
        assert places == [place(i) for i, value in enumerate(expected) if value is None]
        return
    assert not faults
    assert result is not None
    assert result.dtype == np.dtype(NUMPY_TYPES[model])
    np.testing.assert_array_equal(result, np.array(expected, result.dtype))


@pytest.mark.parametrize(("wire", "model", "value", "kept"), [
    ("UINT64", "INT64", 2**63 - 1, True), ("UINT64", "INT64", 2**63, False), ("INT64", "UINT64", -1, False),
    ("FP64", "INT64", 2.0**63, False), ("FP64", "INT64", -(2.0**63), True), ("FP64", "UINT64", 2.0**64, False),
    ("FP64", "INT64", 9007199254740994.0, True), ("FP64", "INT32", 2.5, False), ("FP64", "UINT8", NAN, False),
    ("INT64", "FP32", 2**24 + 1, True), ("FP64", "FP32", 1e300, False), ("FP64", "FP32", INFINITY, True),
    ("FP64", "BOOL", 1.0, True), ("FP64", "BOOL", 0.5, False), ("BOOL", "FP64", True, True),
])  # fmt: skip
def test_the_edges_of_casts(wire: str, model: str, value: Any, kept: bool) -> None:
    faults = Faults()
    result = cast(np.array([value], NUMPY_TYPES[wire]), model, place, faults)
    assert (result is not None) is kept
    assert bool(faults) is not kept


@pytest.mark.parametrize(("wire", "model", "sentence"), [
    ("BYTES", "FP64", "the tensor holds text; expected a number"),
    ("FP32", "BYTES", "the tensor holds numbers; expected text"),
    ("BYTES", "INT8", "the tensor holds text; expected an integer"),
])  # fmt: skip
def test_text_never_becomes_a_number_nor_a_number_text(wire: str, model: str, sentence: str) -> None:
    faults = Faults()
    values = np.array(["7"] if wire == "BYTES" else [7], NUMPY_TYPES[wire])
    assert cast(values, model, place, faults) is None
    with pytest.raises(InvalidRequest) as refusal:
        faults.raise_any()
    assert str(refusal.value) == sentence
