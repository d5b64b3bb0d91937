"""Tensors as raw bytes: row-major, little-endian, no padding (Triton, "Binary tensor data extension").

A BYTES element is a 4-byte little-endian length and then the bytes; inside mlapi it is UTF-8 text.
"""

import struct
from math import prod

import numpy as np

from mlapi.inference.faults import Faults
from mlapi.inference.signature import NUMPY_TYPES
from mlapi.inference.values import Array

PREFIX = struct.Struct("<I")


def decode(data: bytes | memoryview, datatype: str, shape: list[int], name: str, faults: Faults) -> Array | None:
    """Return the tensor in `data`, or None after noting why it is none of this datatype and shape.

    The number of bytes is compared before anything is allocated; `name` is the tensor in messages.
    """
    if datatype == "BYTES":
        texts = _texts(bytes(data), prod(shape), name, faults)
        return None if texts is None else texts.reshape(shape)
    wire = np.dtype(NUMPY_TYPES[datatype])
    if len(data) != prod(shape) * wire.itemsize:
        wanted = prod(shape) * wire.itemsize
        faults.add(f"input {name} has {len(data)} bytes; its shape {shape} of {datatype} wants {wanted}")
        return None
    if datatype == "BOOL" and bytes(data).translate(None, b"\x00\x01"):
        faults.add(f"input {name}: expected bytes of 0 and 1 for BOOL")
        return None
    # one copy: aligned, wherever the JSON part ends, and writable, since some models work in place
    return np.frombuffer(data, dtype=wire).reshape(shape).copy()


def encode(array: Array, datatype: str) -> bytes | memoryview:
    """Return the bytes of a tensor, those of the array itself where it has them in this order."""
    if datatype != "BYTES":
        return np.ascontiguousarray(array, dtype=NUMPY_TYPES[datatype]).data.cast("B")
    texts = [str(text).encode() for text in array.reshape(-1)]
    return b"".join(part for text in texts for part in (PREFIX.pack(len(text)), text))


def _texts(data: bytes, count: int, name: str, faults: Faults) -> Array | None:
    found: list[str] = []
    at = 0
    try:
        while at < len(data):
            (length,) = PREFIX.unpack_from(data, at)
            at += PREFIX.size
            if at + length > len(data):
                faults.add(f"input {name}: a length prefix reaches beyond the tensor")
                return None
            found.append(data[at : at + length].decode("utf-8"))
            at += length
    except struct.error:
        faults.add(f"input {name}: the last length prefix is cut short")
        return None
    except UnicodeDecodeError:
        faults.add(f"input {name}, value {len(found)}: expected UTF-8 text")
        return None
    if len(found) != count:
        faults.add(f"input {name} has {len(found)} elements; its shape wants {count}")
        return None
    array = np.empty(count, dtype=object)
    array[:] = found
    return array
