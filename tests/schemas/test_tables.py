"""Parquet and .npy bodies: what is no plain table is refused in words, and nothing large is made of something small."""

import contextlib
import io
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyarrow import parquet

from mlapi.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType
from mlapi.schemas import tables

LIMIT = 2**20


def npy(array: Any, version: tuple[int, int] | None = None, **options: Any) -> bytes:
    sink = io.BytesIO()
    np.lib.format.write_array(sink, np.asanyarray(array), version=version, **options)
    return sink.getvalue()


def parquet_of(columns: dict[str, Any], **options: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


@pytest.mark.parametrize("dtype", ["?", "u1", "<i2", ">i8", "<f2", "<f4", ">f8"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_an_npy_array_comes_back_as_it_was_saved(dtype: str, version: tuple[int, int]) -> None:
    six = np.arange(6).astype(dtype)
    for array in (six.reshape(2, 3), six.reshape(3, 2).T, six):
        assert np.array_equal(tables.from_npy(npy(array, version)).array, array)


@pytest.mark.parametrize("array", [np.array([{}], object), np.array(["a"]), np.array([b"a"]), np.array([1j]),
                                   np.array(["2020-01-01"], "M8[D]"), np.zeros(1, [("a", "f8")])])  # fmt: skip
def test_what_is_no_plain_number_is_refused_and_never_unpickled(array: Any) -> None:
    with pytest.raises(InvalidRequest, match="something else than plain numbers"):
        tables.from_npy(npy(array, allow_pickle=True))


def test_a_shape_is_compared_with_the_bytes_before_anything_is_allocated() -> None:
    vast = npy(np.zeros((1, 2))).replace(b"(1, 2)", b"(1099511627776, 2)")
    with pytest.raises(InvalidRequest, match=r"bytes of values; its header wants 17592186044416"):
        tables.from_npy(vast)
    with pytest.raises(InvalidRequest, match="plain numbers"):
        tables.from_npy(npy(np.zeros((1, 2))).replace(b"(1, 2)", b"(-1,2)"))


PREFIX = npy(np.zeros((1, 2)))


def npy_header(text: str) -> bytes:
    literal = text.encode("latin-1", "replace")
    return b"\x93NUMPY\x01\x00" + len(literal).to_bytes(2, "little") + literal


headers = st.text(max_size=100).map(npy_header)


@given(st.one_of(st.binary(max_size=200), st.tuples(st.integers(0, len(PREFIX) - 1), st.integers(0, 255)).map(
    lambda change: PREFIX[: change[0]] + bytes([change[1]]) + PREFIX[change[0] + 1 :],
), headers))  # fmt: skip
@example(PREFIX[:-1])
@example(PREFIX[:20])
@example(b"")
def test_any_bytes_are_an_array_or_one_of_our_errors(body: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        tables.from_npy(body)


def test_a_parquet_table_comes_back_with_what_is_missing() -> None:
    columns = {
        "real": pa.array([1.5, None, 3.0]), "whole": pa.array([1, 2, 3], pa.int32()), "gappy": pa.array([1, None, 3]),
        "text": pa.array(["a", None, "a"]), "coded": pa.array(["x", "y", None]).dictionary_encode(),
        "bit": pa.array([True, False, None]), "nothing": pa.array([None, None, None], pa.null()),
        "large": pa.array(["p", "q", None], pa.large_string()),
    }  # fmt: skip
    table = tables.from_parquet(parquet_of(columns, row_group_size=2), LIMIT)
    found = {name: [None if v != v else v for v in values] for name, values in table.columns.items()}  # noqa: PLR0124
    assert found == {name: array.to_pylist() for name, array in columns.items()}
    assert not table.written


def test_many_rows_in_few_bytes_are_refused_before_they_are_read() -> None:
    body = parquet_of({"a": pa.array(np.zeros(LIMIT // 8 + 1))})
    assert len(body) < LIMIT // 100
    with pytest.raises(BodyTooLarge):
        tables.from_parquet(body, LIMIT)


def test_a_long_text_that_many_rows_share_is_one_object() -> None:
    body = parquet_of({"a": pa.array(["long" * 1000] * 1000)})
    values = tables.from_parquet(body, LIMIT).columns["a"]
    assert len(values) == 1000
    assert len({id(value) for value in values}) == 1


@pytest.mark.parametrize("values", [
    pa.array([[1]]), pa.array([{"secret": 1}]), pa.array([b"a"]), pa.array([0], pa.timestamp("s")),
    pa.array([1]).cast(pa.decimal128(20)),
])  # fmt: skip
def test_columns_of_other_kinds_are_named(values: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^column 'a' holds something else than numbers, true/false or text$"):
        tables.from_parquet(parquet_of({"a": values}), LIMIT)


def test_damaged_parquet_is_one_sentence() -> None:
    body = parquet_of({"a": pa.array(range(100)), "b": pa.array(["t", "u"] * 50)})
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(body)
        for place in random.integers(0, len(body), 3):
            damaged[place] = random.integers(256)
        try:
            tables.from_parquet(bytes(damaged), LIMIT)
        except (InvalidRequest, BodyTooLarge):
            refused += 1
    assert refused > 50


def test_without_pyarrow_the_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UnsupportedMediaType, match=r"pip install 'mlapi\[tables\]'"):
        tables.from_parquet(b"PAR1", LIMIT)
