"""Reading a request body whole: media type, encoding and size are judged before anything is parsed."""

import zlib

from flask import request
from gunicorn.http.errors import ParseException

from mlapi.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType

MEDIA_TYPES = {"", "application/json", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain"}
"""Content types that clients send with JSON: none, curl's default, tritonclient's, and the right one."""

GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
RAW_DEFLATE = -zlib.MAX_WBITS


def read_body(limit: int) -> bytes:
    """Return the body of the current request, inflated; at most `limit` bytes, on the wire and inflated.

    Also a chunked body is held to the limit: one byte more is read than allowed, since a stream that
    is cut at the limit looks complete. Raises UnsupportedMediaType, BodyTooLarge, InvalidRequest.
    """
    media = request.mimetype
    if media not in MEDIA_TYPES:
        msg = "the content type is not supported; send JSON as application/json"
        raise UnsupportedMediaType(msg)
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"", "identity", "gzip", "deflate"}:
        msg = "the content encoding is not supported; send gzip, deflate or none"
        raise UnsupportedMediaType(msg)
    if (request.content_length or 0) > limit:
        raise BodyTooLarge(limit)
    data = _read(limit)
    return _inflated(data, limit) if encoding in {"gzip", "deflate"} else data


def _read(limit: int) -> bytes:
    parts, size = [], 0
    try:
        while size <= limit and (part := request.stream.read(limit + 1 - size)):
            parts.append(part)
            size += len(part)
    except (OSError, ParseException) as error:  # the client went away, or gunicorn met a malformed chunk
        raise InvalidRequest(["the body ended early or its chunks are malformed"]) from error
    if size > limit:
        raise BodyTooLarge(limit)
    return b"".join(parts)


def _inflated(data: bytes, limit: int) -> bytes:
    try:
        return _inflate(data, limit, GZIP_OR_ZLIB)
    except zlib.error:
        pass
    try:
        return _inflate(data, limit, RAW_DEFLATE)
    except zlib.error as error:
        raise InvalidRequest(["the compressed body is corrupt or cut short"]) from error


def _inflate(data: bytes, limit: int, window: int) -> bytes:
    parts, size = [], 0
    while data:
        stream = zlib.decompressobj(window)
        part = stream.decompress(data, limit + 1 - size)
        parts.append(part)
        size += len(part)
        if size > limit:
            raise BodyTooLarge(limit)
        if not stream.eof:
            raise zlib.error
        data = stream.unused_data  # gzip allows several members one after the other
    return b"".join(parts)
