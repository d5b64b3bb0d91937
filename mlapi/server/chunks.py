"""Where a chunked body ends, found while it arrives (RFC 9112, section 7.1); decoding it is gunicorn's.

Anything that is not the plain grammar counts as malformed: the bytes so far go to gunicorn's decoder, which
refuses them in its own way, and the connection is closed, so that no two parsers can differ about what follows.
"""

import re

MOST_CHUNKS = 10_000
LONGEST_LINE = 1024
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?", re.ASCII)


class MalformedChunksError(Exception):
    """What stands in the body is no chunk, or there are too many or too large ones."""


class Chunks:
    """Looks for the end of one body; `limit` is the most bytes of content it may have."""

    def __init__(self, start: int, limit: int) -> None:
        self._at, self._limit = start, limit
        self._content = self._count = 0
        self._in_trailer = False

    def end(self, data: bytearray) -> int | None:
        """Return where the body in `data` ends, or None while it goes on; raises MalformedChunksError.

        To be asked again, with the same bytes and more, whenever more have come.
        """
        while (line := self._line(data)) is not None:
            if self._in_trailer:
                if not line:
                    return self._at
            else:
                self._skip(line)
        return None

    def _line(self, data: bytearray) -> bytes | None:
        """Return the next whole line and step over it, or None while it, or the content before it, is not all there."""
        if self._at > len(data):
            return None
        stop = data.find(b"\r\n", self._at, self._at + LONGEST_LINE)
        if stop < 0:
            if len(data) - self._at >= LONGEST_LINE:
                raise MalformedChunksError
            return None
        line = bytes(data[self._at : stop])
        self._at = stop + 2
        return line

    def _skip(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            raise MalformedChunksError
        size = int(found[1], 16)
        self._count += 1
        self._content += size
        if self._content > self._limit or self._count > MOST_CHUNKS:
            raise MalformedChunksError
        if size == 0:
            self._in_trailer = True
        else:
            self._at += size + 2  # the line break behind the content is the decoder's to check
