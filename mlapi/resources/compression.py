"""Compressing answers: inference only, gzip or deflate only, and only where the caller allows it.

Everything else stays as it is: some clients offer compression on every call and inflate only the
answers of inference.
"""

import gzip
import zlib

from flask import Response, request

SMALLEST = 1024
LEVEL = 1  # on numbers written as text, higher levels cost several times as much for a few percent


def compressed(response: Response) -> Response:
    """Return an answer of inference, compressed where it is worth it and `Accept-Encoding` allows it."""
    response.headers.add("Vary", "Accept-Encoding")
    body = response.get_data()
    encoding = _chosen()
    if len(body) <= SMALLEST or encoding is None:
        return response
    response.set_data(gzip.compress(body, LEVEL, mtime=0) if encoding == "gzip" else zlib.compress(body, LEVEL))
    response.headers["Content-Encoding"] = encoding
    return response


def _chosen() -> str | None:
    """Return the encoding that the caller likes best, or None for identity (RFC 9110, section 12.5.3)."""
    if "Accept-Encoding" not in request.headers:
        return None
    wanted = request.accept_encodings
    named = {name.lower() for name, _ in wanted}
    quality = {name: wanted.quality(name) for name in ("gzip", "deflate")}
    best = max(quality, key=lambda name: quality[name])
    as_it_is = wanted.quality("identity") if "identity" in named else 0.0
    return best if quality[best] > 0 and quality[best] >= as_it_is else None
