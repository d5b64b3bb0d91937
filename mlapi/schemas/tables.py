"""Tables that are no JSON: CSV, Parquet and .npy bodies to the neutral forms of input."""

import io
import tokenize
from math import prod
from typing import Any

import numpy as np

from mlapi.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType
from mlapi.inference.faults import Faults, quoted
from mlapi.inference.values import Array, LoneArray, Table
from mlapi.schemas import csvbody

NO_PARQUET = "Parquet is not read here: pyarrow is missing (pip install 'mlapi[tables]'); send CSV or JSON"
CELL_BYTES = 8
"""What a cell of a Parquet table takes once it is read: a number, or where a text stands."""

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_NO_HEADER = (ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError, OverflowError)
"""What numpy raises on a header that is something else; it reads it as a Python literal."""


def from_csv(data: bytes) -> Table:
    """Return the table in a CSV body, its cells as written. Raises InvalidRequest."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest(["the body is not UTF-8 text; expected CSV in UTF-8"]) from None
    return Table(csvbody.columns_of(text), written=True)


def from_npy(data: bytes) -> LoneArray:
    """Return the numbers in a .npy body (NumPy enhancement proposal 1), never a pickle.

    Nothing is allocated before the shape is compared with the bytes. Raises InvalidRequest.
    """
    stream = io.BytesIO(data)
    try:
        read = _HEADERS[np.lib.format.read_magic(stream)]
        shape, by_column, dtype = read(stream)
    except (KeyError, *_NO_HEADER):
        raise InvalidRequest(["the body is no .npy file of version 1 or 2"]) from None
    if dtype.kind not in "fiub" or any(type(size) is not int or size < 0 for size in shape):
        raise InvalidRequest(["the .npy file holds something else than plain numbers; expected such as float64"])
    body = memoryview(data)[stream.tell() :]
    if prod(shape) * dtype.itemsize != len(body):
        wanted = prod(shape) * dtype.itemsize
        raise InvalidRequest([f"the .npy file has {len(body)} bytes of values; its header wants {wanted}"])
    array: Array = np.frombuffer(body, dtype)
    return LoneArray(array.reshape(shape[::-1]).T if by_column else array.reshape(shape))


def from_parquet(data: bytes, limit: int) -> Table:
    """Return the table in a Parquet body that takes at most `limit` bytes once it is read.

    Texts are read as dictionaries, so that one long text which many rows share stays one. Raises
    UnsupportedMediaType where pyarrow is not installed, BodyTooLarge, InvalidRequest.
    """
    try:
        # an extra, and a quarter of a second that other bodies must not pay
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise UnsupportedMediaType(NO_PARQUET) from error
    try:
        file = parquet.ParquetFile(pa.BufferReader(data), memory_map=False)
        _refuse_larger(file.metadata, limit)
        schema = file.schema_arrow
        _refuse_types(schema, pa)
        texts = [one.name for one in schema if pa.types.is_string(one.type) or pa.types.is_large_string(one.type)]
        file = parquet.ParquetFile(pa.BufferReader(data), memory_map=False, read_dictionary=texts)
        table = file.read(use_threads=False)
        return Table({name: _values(table.column(name), pa) for name in table.column_names})
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InvalidRequest(["the body is no Parquet file, or a damaged one"]) from error


def _refuse_larger(metadata: Any, limit: int) -> None:  # noqa: ANN401 (pyarrow has no types)
    """By what the file says of itself: runs of one value are a few bytes in it, whatever they become."""
    cells = metadata.num_rows * metadata.num_columns * CELL_BYTES
    pages = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if max(cells, pages) > limit:
        raise BodyTooLarge(limit)


def _refuse_types(schema: Any, pa: Any) -> None:  # noqa: ANN401 (see above)
    faults = Faults()
    fine = ("is_integer", "is_floating", "is_boolean", "is_string", "is_large_string", "is_null")
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if not any(getattr(pa.types, name)(kind) for name in fine):
            faults.add(f"column {quoted(field.name)} holds something else than numbers, true/false or text")
        if schema.names.count(field.name) > 1:
            faults.add(f"column {quoted(field.name)} stands twice")
    faults.raise_any()


def _values(column: Any, pa: Any) -> list[Any] | Array:  # noqa: ANN401 (see above)
    if pa.types.is_dictionary(column.type):
        return [value for chunk in column.chunks for value in _shared(chunk)]
    numeric = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if numeric and (column.null_count == 0 or pa.types.is_floating(column.type)):
        array: Array = column.to_numpy()
        return array
    values: list[Any] = column.to_pylist()
    return values


def _shared(chunk: Any) -> list[Any]:  # noqa: ANN401 (see above)
    """Return the values of a dictionary array, equal ones as one object."""
    words = chunk.dictionary.to_pylist()
    return [None if code is None else words[code] for code in chunk.indices.to_pylist()]
