"""Compressing answers: inference only, gzip or deflate only, and only where the caller allows it.

Everything else stays as it is: some clients offer compression on every call and inflate only the
answers of inference.
"""

import gzip
import zlib

from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

SMALLEST = 1024
LEVEL = 1  # on numbers written as text, higher levels cost several times as much for a few percent


def encoded(body: bytes, accept: str | None) -> tuple[bytes, str | None]:
    """Return a body and its encoding: as it is (None), or compressed where it is worth it and `accept` allows it.

    `accept` is the header Accept-Encoding, None where there is none.
    """
    if accept is None or len(body) <= SMALLEST:
        return body, None
    encoding = _chosen(accept)
    if encoding is None:
        return body, None
    return gzip.compress(body, LEVEL, mtime=0) if encoding == "gzip" else zlib.compress(body, LEVEL), encoding


def _chosen(accept: str) -> str | None:
    """Return the encoding that the caller likes best, or None for identity (RFC 9110, section 12.5.3)."""
    wanted = parse_accept_header(accept, Accept)
    named = {name.lower() for name, _ in wanted}
    quality = {name: wanted.quality(name) for name in ("gzip", "deflate")}
    best = max(quality, key=lambda name: quality[name])
    as_it_is = wanted.quality("identity") if "identity" in named else 0.0
    return best if quality[best] > 0 and quality[best] >= as_it_is else None
