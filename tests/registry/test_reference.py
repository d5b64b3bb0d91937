"""Reference rows: kept without pickles, compared with a tolerance, refused where they are something else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from mlapi.inference.signature import Signature, TensorSpec
from mlapi.registry import reference
from mlapi.registry.reference import Reference, RowsError

SIGNATURE = Signature(
    "columns", (TensorSpec("n", "FP64", (-1, 1), nullable=True), TensorSpec("t", "BYTES", (-1, 1), nullable=True)),
    (TensorSpec("predict", "BYTES", (-1, 1)), TensorSpec("predict_proba", "FP64", (-1, 2))),
)  # fmt: skip


def texts(*values: str | None) -> Any:
    return np.array([*values, ""], dtype=object)[:-1]


ROWS = Reference(
    {"n": np.array([1.5, np.nan]), "t": texts("ß\n'\"\0", None)},
    {"predict": texts("yes", "nö").reshape(-1, 1), "predict_proba": np.array([[0.1, 0.9], [1.0, 0.0]])},
    np.array([1, 0]),
)


def test_rows_come_back_as_they_were_kept() -> None:
    again = reference.loads(reference.dumps(ROWS, SIGNATURE), SIGNATURE)
    for kept, given in ((again.inputs, ROWS.inputs), (again.outputs, ROWS.outputs)):
        assert list(kept) == list(given)
        for name, array in given.items():
            assert_array_equal(kept[name], array)
            assert kept[name].dtype == array.dtype


def test_the_same_rows_give_the_same_bytes() -> None:
    assert reference.dumps(ROWS, SIGNATURE) == reference.dumps(ROWS, SIGNATURE)


@pytest.mark.parametrize("flips", range(60))
def test_damaged_bytes_are_refused_or_still_rows(flips: int) -> None:
    data = bytearray(reference.dumps(ROWS, SIGNATURE))
    random = np.random.default_rng(flips)
    for place in random.integers(0, len(data), 4):
        data[place] = random.integers(0, 256)
    try:
        assert isinstance(reference.loads(bytes(data), SIGNATURE), Reference)
    except RowsError as error:
        assert "does not fit the signature" in str(error)  # noqa: PT017 (nothing else may be raised)


def test_other_rows_are_refused(as_npz: Callable[..., bytes]) -> None:
    good = {"input-0": [1.0], "input-1": np.frombuffer(b'["a"]', "u1"), "output-0": np.frombuffer(b'["a"]', "u1")}
    for data in (
        b"", b"PK\x03\x04", as_npz(**good), as_npz(**good, **{"output-1": [1.0, 2.0, 3.0]}),
        as_npz(**{**good, "input-0": ["text"]}, **{"output-1": [1.0, 2.0]}),
        as_npz(**{**good, "input-1": np.frombuffer(b"5", "u1")}, **{"output-1": [1.0, 2.0]}),
        as_npz(**{**good, "input-1": np.frombuffer(b"[" * 99_999, "u1")}, **{"output-1": [1.0, 2.0]}),
        as_npz(**{**good, "input-1": np.frombuffer(b"\xff", "u1")}, **{"output-1": [1.0, 2.0]}),
        as_npz(**{**good, "input-0": np.array([{}], dtype=object)}, **{"output-1": [1.0, 2.0]}),
    ):  # fmt: skip
        with pytest.raises(RowsError):
            reference.loads(data, SIGNATURE)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.0]), ([1.0 + 1e-9], [1.0]), ([np.nan], [np.nan]), ([np.inf], [np.inf]),
        ([1e-16, 1.0], [0.0, 1.0]), ([True], [True]),
    ],
)  # fmt: skip
def test_answers_within_the_tolerance_are_the_same(given: list[Any], expected: list[Any]) -> None:
    assert reference.differences({"p": np.array(given)}, {"p": np.array(expected)}) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1.0, 2.0, 9.0], [1.0, 2.0, 3.0]), ([1.0, 1.0, 1.0 + 1e-5], [1.0, 1.0, 1.0]), ([0.0, 0.0, np.nan], [0.0] * 3),
        ([0, 0, 1], [0, 0, 2]), ([0.0, 0.0, np.inf], [0.0, 0.0, -np.inf]), (["a", "b", "c"], ["a", "b", "d"]),
        ([False, False, True], [False] * 3), ([0.0, 0.0, 1e-9], [0.0] * 3),
    ],
)  # fmt: skip
def test_other_answers_are_counted_and_the_first_is_named(given: list[Any], expected: list[Any]) -> None:
    assert reference.differences({"p": np.array(given)}, {"p": np.array(expected)}) == [
        "'p' differs in 1 of 3 rows, first in row 2",
    ]


def test_answers_of_another_shape_differ() -> None:
    assert reference.differences({"p": np.zeros((2, 1))}, {"p": np.zeros((3, 1))}) == [
        "'p' has shape [2, 1]; expected [3, 1]",
    ]


def test_the_head_is_the_first_rows() -> None:
    assert reference.head(ROWS.inputs, 1)["t"].tolist() == ["ß\n'\"\0"]
