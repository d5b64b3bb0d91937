"""Large arrays of numbers in JSON documents, straight into a buffer.

An array is cut out of its document, which is then read the ordinary way with a mark in its place. Whatever
is not plainly a rectangle of numbers is None here, for the ordinary way to read or to explain.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlapi.errors import InvalidRequest
from mlapi.inference import numbertext
from mlapi.inference.values import Array

LARGE = 2_048
"""Bytes; from here on two parsers take less time than lists of Python numbers (benchmarks/codec.py)."""

MARK = b'"#'


@dataclass(frozen=True, slots=True)
class Lifted:
    """A document without its large arrays: the text "#i" stands where array i stood, at `places` in `data`."""

    data: bytes
    document: dict[str, Any]
    places: Mapping[str, slice]

    def numbers(self, mark: str, kind: str = "d") -> Array | None:
        """Return a flat list of numbers as `[n]`, a list of lists of one length as `[n, k]`; anything else is None.

        `kind` is one of numbertext.DTYPES.
        """
        place = self.places[mark]
        text = memoryview(self.data)[place]
        return numbertext.numbers(text, numbertext.lists_in(text) - 1, kind)


def numbers(data: bytes, begin: int, end: int) -> Array | None:
    """Return the list of lists of one length between two places as doubles `[n, k]`; None for anything else there."""
    if data.find(b'"', begin, end) >= 0 or data.find(b"{", begin, end) >= 0:
        return None
    text = memoryview(data)[begin:end]
    array = numbertext.numbers(text, numbertext.lists_in(text) - 1, "d")
    return array if array is not None and array.ndim == 2 else None  # noqa: PLR2004 (rows and columns)


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


def _end(data: bytes, begin: int) -> int:
    """Return where an array of numbers ends that begins at `begin`: there is neither text nor object in it."""
    stops = [at for at in (data.find(b'"', begin), data.find(b"}", begin)) if at >= 0]
    return data.rfind(b"]", begin, min(stops)) + 1 if stops else 0
