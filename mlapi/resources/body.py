"""Reading a request body whole: media type, encoding and size are judged before anything is parsed."""

import contextlib
import io
import zlib
from collections.abc import Set as AbstractSet

from flask import request
from gunicorn.http.errors import ParseException
from werkzeug.wrappers import Request

from mlapi.errors import BodyTooLarge, InvalidRequest, UnsupportedEncoding, UnsupportedMediaType

MEDIA_TYPES = frozenset({
    "", "application/json", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain",
})  # fmt: skip
"""Content types that clients send with JSON: none, curl's default, tritonclient's, and the right one."""

WINDOWS = {"gzip": (16 + zlib.MAX_WBITS,), "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS)}
"""What zlib is to expect; deflate is a zlib stream (RFC 1950), and from some clients a bare one (RFC 1951)."""

SEND_JSON = "send JSON as application/json"
STEP = 16 * 1024
BROKEN_OFF = "the body ended early or its chunks are malformed"


def read_body(limit: int, accepted: AbstractSet[str] = MEDIA_TYPES, advice: str = SEND_JSON) -> bytes:
    """Return the body of the current request, inflated; at most `limit` bytes, on the wire and inflated.

    Media types other than `accepted` are refused, with `advice` on what to send.

    Also a chunked body is held to the limit: one byte more is read than allowed, since a stream that
    is cut at the limit looks complete. Raises UnsupportedMediaType, BodyTooLarge, InvalidRequest.
    """
    if request.mimetype not in accepted:
        msg = f"the content type is not supported; {advice}"
        raise UnsupportedMediaType(msg)
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"", "identity", "gzip", "deflate"}:
        msg = "the content encoding is not supported; send gzip, deflate or none"
        raise UnsupportedEncoding(msg)
    if (request.content_length or 0) > limit:
        raise BodyTooLarge(limit)
    data = _whole() or _read(limit)
    return _inflated(data, limit, WINDOWS[encoding]) if encoding in WINDOWS else data


def is_plain(asked: Request) -> bool:
    """Tell whether the body of a request is JSON as it stands, by its headers: of an accepted type, not compressed."""
    encoding = asked.headers.get("Content-Encoding", "identity").strip().lower()
    return asked.mimetype in MEDIA_TYPES and encoding in {"", "identity"}


def _whole() -> bytes | None:
    """Return the body where the server has all of it in memory and nobody has read of it, without a copy; else None."""
    source = request.environ.get("wsgi.input")
    if type(source) is not io.BytesIO or source.tell():
        return None
    data = source.getvalue()
    return data if len(data) == request.content_length else None


def _read(limit: int) -> bytes:
    parts, size = [], 0
    try:
        while size <= limit and (part := request.stream.read(limit + 1 - size)):
            parts.append(part)
            size += len(part)
    except (OSError, ParseException) as error:  # the client went away, or gunicorn met a malformed chunk
        raise InvalidRequest([BROKEN_OFF]) from error
    if size > limit:
        raise BodyTooLarge(limit)
    if size < (request.content_length or 0):  # a server may end the stream at the end of the connection
        raise InvalidRequest([BROKEN_OFF])
    return b"".join(parts)


def _inflated(data: bytes, limit: int, windows: tuple[int, ...]) -> bytes:
    for window in windows:
        with contextlib.suppress(zlib.error):
            return _inflate(data, limit, window)
    raise InvalidRequest(["the compressed body is corrupt or cut short"])


def _inflate(data: bytes, limit: int, window: int) -> bytes:
    """Inflate in steps, since what is left behind the end of one gzip member is copied for each of them."""
    parts, size = [], 0
    stream = zlib.decompressobj(window)
    for start in range(0, len(data), STEP):
        rest = data[start : start + STEP]
        while rest:
            if stream.eof:  # gzip allows several members one after the other
                stream = zlib.decompressobj(window)
            part = stream.decompress(rest, limit + 1 - size)
            parts.append(part)
            size += len(part)
            if size > limit:
                raise BodyTooLarge(limit)
            rest = stream.unused_data
    if data and not stream.eof:
        raise zlib.error
    return b"".join(parts)
