"""Large arrays of numbers in JSON text, straight into a buffer: simdjson, without a Python number for each.

An array is cut out of its document, which is then read the ordinary way with a mark in its place. Whatever
is not plainly a rectangle of numbers is None here, for the ordinary way to read or to explain.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import simdjson

from mlapi.errors import InvalidRequest
from mlapi.inference.values import Array

LARGE = 2_048
"""Bytes; from here on two parsers take less time than lists of Python numbers (benchmarks/codec.py)."""

KEPT = 2**23
"""Bytes of text up to which a parser is kept for the next body; it holds a multiple of what it read."""

DTYPES = {"d": "<f8", "i": "<i8", "u": "<u8"}
"""What simdjson calls a buffer's numbers, to numpy's dtype; it refuses what does not fit the integers exactly."""

MARK = b'"#'

_spare: list[simdjson.Parser] = []


@dataclass(frozen=True, slots=True)
class Lifted:
    """A document without its large arrays: the text "#i" stands where array i stood, at `places` in `data`."""

    data: bytes
    document: dict[str, Any]
    places: Mapping[str, slice]

    def numbers(self, mark: str, kind: str = "d") -> Array | None:
        """Return a flat list of numbers as `[n]`, a list of lists of one length as `[n, k]`; anything else is None.

        `kind` is one of DTYPES. Doubles are the nearest ones, as everywhere.
        """
        place = self.places[mark]
        try:
            parser = _spare.pop()
        except IndexError:
            parser = simdjson.Parser()
        try:
            return _read(parser, memoryview(self.data)[place], self.data.count(b"[", place.start, place.stop) - 1, kind)
        except (ValueError, TypeError, RuntimeError):  # simdjson's, for what is no JSON or no number of this kind
            return None
        finally:
            if not _spare and place.stop - place.start <= KEPT:
                _spare.append(parser)


def lift(
    data: bytes, opening: re.Pattern[bytes], decode: Callable[[bytes], dict[str, Any]], *, first: bool = False,
) -> Lifted | None:
    """Return the document in `data` without its large arrays, or None where it has none, or is no document.

    `opening` matches a key, its colon and the bracket that opens an array; `decode` reads the rest of the document.
    `first` looks no further than the first match.
    """
    rest, done, at = bytearray(), 0, 0
    places: list[slice] = []
    while (found := opening.search(data, at)) is not None:
        begin, at = found.end() - 1, found.end()
        end = _end(data, begin)
        if end - begin < LARGE:
            if first:
                return None
            continue
        rest += data[done:begin] + MARK + b'%d"' % len(places)
        places.append(slice(begin, end))
        done = at = end
    rest += data[done:]
    # what looked like a key may be text with quotes in it, and a text of the caller's may look like a mark
    if not places or b"\\" in rest or rest.count(MARK) != len(places):
        return None
    try:
        document = decode(bytes(rest))
    except InvalidRequest:
        return None
    return Lifted(data, document, {f"#{i}": place for i, place in enumerate(places)})


def _read(parser: simdjson.Parser, text: memoryview, lists: int, kind: str) -> Array | None:
    array: Any = parser.parse(text)
    rows = len(array)
    # a buffer is flat whatever it was: each row has its length, and no row has a list in it
    lengths = set(map(len, array)) if lists else {1}
    if len(lengths) != 1 or lists not in {0, rows}:
        return None
    flat: Array = np.frombuffer(array.as_buffer(of_type=kind), DTYPES[kind])
    if len(flat) == 0:
        return None
    return flat.reshape(rows, -1) if lists else flat


def _end(data: bytes, begin: int) -> int:
    """Return where an array of numbers ends that begins at `begin`: there is neither text nor object in it."""
    stops = [at for at in (data.find(b'"', begin), data.find(b"}", begin)) if at >= 0]
    return data.rfind(b"]", begin, min(stops)) + 1 if stops else 0
