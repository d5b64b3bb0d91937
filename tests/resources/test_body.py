"""Reading bodies: media types, encodings and the limit, for bodies with a length and chunked ones."""

import gzip
import json
import zlib
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from flask import Flask
from gunicorn.http.body import Body, ChunkedReader
from gunicorn.http.unreader import IterUnreader
from werkzeug.exceptions import ClientDisconnected
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from mlapi.errors import BodyTooLarge, InvalidRequest, MlapiError
from mlapi.resources.body import BROKEN_OFF, read_body
from mlapi.resources.errors import on_error

PREDICT, INFER = "/v1/models/iris:predict", "/v2/models/iris/infer"
ROW = [5.1, 3.5, 1.4, 0.2]
V1 = json.dumps({"instances": [ROW]}).encode()
V2 = json.dumps({"inputs": [{"name": "input-0", "shape": [1, 4], "datatype": "FP64", "data": ROW}]}).encode()
BODIES = {PREDICT: V1, INFER: V2}
LIMIT = 64 * 1024
CORRUPT = "the compressed body is corrupt or cut short"

both = pytest.mark.parametrize("path", [PREDICT, INFER])
framing = pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
Send = Callable[..., Response]


def padded(body: bytes, size: int) -> bytes:
    """Return `body` with blanks before it, `size` bytes in all."""
    return b" " * (size - len(body)) + body


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def error(response: Response) -> str:
    assert response.headers["Content-Type"] == "application/json"
    return str(json.loads(response.data)["error"])


# -- media types ----------------------------------------------------------------------------------


@both
@framing
@pytest.mark.parametrize("media", [
    None, "", "application/json", "application/json; charset=utf-8", "application/json;charset=latin-1",
    "APPLICATION/JSON",
    "application/octet-stream", "application/x-www-form-urlencoded", "text/plain", "text/plain; charset=us-ascii",
])  # fmt: skip
def test_json_is_read_under_every_content_type_that_clients_send(
    send: Send, path: str, media: str | None, chunked: bool,
) -> None:
    headers = {} if media is None else {"Content_Type": media}
    assert send(path, BODIES[path], chunked=chunked, **headers).status_code == 200


@both
@pytest.mark.parametrize("media", [
    "application/xml", "multipart/form-data; boundary=x", "multipart/mixed", "image/png", "text/html",
    "application/jsonx", "x",
    "application/json, text/plain", "json",
])  # fmt: skip
def test_any_other_content_type_is_a_415_without_words_about_encodings(send: Send, path: str, media: str) -> None:
    response = send(path, BODIES[path], Content_Type=media)
    assert response.status_code == 415
    assert error(response) == "the content type is not supported; send JSON as application/json"
    assert "Accept-Encoding" not in response.headers


# -- encodings ------------------------------------------------------------------------------------


@both
@framing
@pytest.mark.parametrize(("encoding", "pack"), [
    ("gzip", gzip.compress), ("GZIP", gzip.compress), (" gzip ", gzip.compress), ("deflate", zlib.compress),
    ("deflate", raw_deflate), ("identity", bytes), ("", bytes),
    ("gzip", lambda data: gzip.compress(data[:20]) + gzip.compress(b"") + gzip.compress(data[20:])),
])  # fmt: skip
def test_a_compressed_body_is_inflated(
    send: Send, path: str, chunked: bool, encoding: str, pack: Callable[[bytes], bytes],
) -> None:
    response = send(path, pack(BODIES[path]), chunked=chunked, Content_Encoding=encoding)
    assert response.status_code == 200
    assert "Content-Encoding" not in response.headers


@both
@pytest.mark.parametrize("encoding", ["br", "zstd", "x-gzip", "gzip, gzip", "identity, gzip", "gzip,deflate", "7"])
def test_any_other_encoding_or_a_stack_is_a_415_that_names_those_that_are_read(
    send: Send, path: str, encoding: str,
) -> None:
    response = send(path, gzip.compress(BODIES[path]), Content_Encoding=encoding)
    assert (response.status_code, response.headers["Accept-Encoding"]) == (415, "gzip, deflate")
    assert error(response) == "the content encoding is not supported; send gzip, deflate or none"


PACKED = gzip.compress(V1, mtime=0)


@pytest.mark.parametrize(("encoding", "body"), [
    *(("gzip", PACKED[:size]) for size in (1, 2, 10, 15, len(PACKED) - 9, len(PACKED) - 1)),
    ("gzip", PACKED[:-8] + bytes(8)), ("gzip", PACKED + b"x"), ("gzip", PACKED + PACKED[:12]), ("gzip", V1),
    ("gzip", zlib.compress(V1)), ("gzip", raw_deflate(V1)),
    ("deflate", zlib.compress(V1)[:-1]), ("deflate", zlib.compress(V1) + b"x"), ("deflate", b"\xff" * 40),
    ("deflate", raw_deflate(V1)[:-1]), ("deflate", gzip.compress(V1)),
])  # fmt: skip
def test_a_stream_that_is_corrupt_cut_or_continued_is_a_400(send: Send, encoding: str, body: bytes) -> None:
    response = send(PREDICT, body, Content_Encoding=encoding)
    assert (response.status_code, error(response)) == (400, CORRUPT)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_an_empty_body_is_empty_under_every_encoding(send: Send, encoding: str) -> None:
    response = send(PREDICT, b"", Content_Encoding=encoding)
    assert (response.status_code, error(response)) == (400, "the body is empty; expected a JSON object")


# -- the limit ------------------------------------------------------------------------------------


@both
@framing
@pytest.mark.parametrize(("size", "status"), [(LIMIT - 1, 200), (LIMIT, 200), (LIMIT + 1, 413), (LIMIT * 5, 413)])
def test_the_limit_is_exact_on_the_wire(send: Send, path: str, chunked: bool, size: int, status: int) -> None:
    """A chunked body that is only cut at the limit would look complete, and be answered."""
    response = send(path, padded(BODIES[path], size), chunked=chunked)
    assert response.status_code == status
    if status == 413:
        assert error(response) == f"the body is larger than the limit of {LIMIT} bytes"


@both
@framing
@pytest.mark.parametrize(("encoding", "pack"), [
    ("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate),
])  # fmt: skip
def test_the_limit_is_exact_for_what_is_inflated(
    send: Send, path: str, chunked: bool, encoding: str, pack: Callable[[bytes], bytes],
) -> None:
    for size, status in ((LIMIT, 200), (LIMIT + 1, 413)):
        body = pack(padded(BODIES[path], size))
        assert send(path, body, chunked=chunked, Content_Encoding=encoding).status_code == status


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, raw_deflate])
def test_a_bomb_is_a_413(send: Send, pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(bytes(30_000_000))
    assert len(bomb) < LIMIT
    encoding = "gzip" if pack is gzip.compress else "deflate"
    assert send(PREDICT, bomb, Content_Encoding=encoding).status_code == 413


def test_the_limit_holds_over_all_members_of_a_gzip_body(send: Send) -> None:
    member = gzip.compress(b" " * 30_000)
    assert send(PREDICT, member * 2 + PACKED, Content_Encoding="gzip").status_code == 200
    assert send(PREDICT, member * 3 + PACKED, Content_Encoding="gzip").status_code == 413


class Stream:
    """A body as a server hands it over: in pieces, counting what is taken, with an end of its own."""

    def __init__(self, pieces: list[bytes], end: Exception | None = None) -> None:
        self._pieces = pieces
        self._end = end
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        if not self._pieces:
            if self._end is not None:
                raise self._end
            return b""
        piece = self._pieces[0][: size if size >= 0 else None]
        self._pieces[0] = self._pieces[0][len(piece) :]
        if not self._pieces[0]:
            self._pieces.pop(0)
        self.taken += len(piece)
        return piece


def reading(app: Flask, stream: Stream | Body, limit: int, length: int | None = None) -> bytes | MlapiError:
    """Return what reading a body gives or raises; chunked where it has no length."""
    environ = EnvironBuilder("/", method="POST").get_environ()
    environ |= {"wsgi.input": stream, "wsgi.input_terminated": True}
    environ |= {"HTTP_TRANSFER_ENCODING": "chunked"} if length is None else {"CONTENT_LENGTH": str(length)}
    with app.request_context(environ):
        try:
            return read_body(limit)
        except MlapiError as failure:
            return failure


def test_a_body_in_pieces_is_put_together(app: Flask) -> None:
    assert reading(app, Stream([b"ab", b"c", b"def"]), 6) == b"abcdef"


def test_an_endless_body_is_read_to_one_byte_beyond_the_limit(app: Flask) -> None:
    stream = Stream([b"x" * 10] * 1000)
    assert isinstance(reading(app, stream, 25), BodyTooLarge)
    assert stream.taken == 26


@pytest.mark.parametrize("end", [OSError("read failed"), ConnectionResetError(), TimeoutError()])
def test_a_body_that_breaks_off_is_a_fault_of_the_caller(app: Flask, end: Exception) -> None:
    failure = reading(app, Stream([b"{"], end), 100)
    assert isinstance(failure, InvalidRequest)
    assert str(failure) == BROKEN_OFF


def chunks(data: bytes) -> Body:
    """Return the stream that gunicorn makes of a chunked body."""
    request = SimpleNamespace(limit_request_field_size=0, max_buffer_headers=0)
    return Body(ChunkedReader(request, IterUnreader([data])))


def test_a_chunked_body_is_read_as_gunicorn_hands_it_over(app: Flask) -> None:
    assert reading(app, chunks(b'2\r\n{"\r\n5;x=y\r\na":1}\r\n0\r\n\r\n'), 100) == b'{"a":1}'


@pytest.mark.parametrize("data", [
    b"", b"5", b"5\r\n{}", b"zz\r\n{}\r\n0\r\n\r\n", b"\r\n{}", b"-2\r\n{}\r\n0\r\n\r\n", b"0x2\r\n{}\r\n0\r\n\r\n",
    b"2\r\n{}xx0\r\n\r\n", b"2\r\n{}\r\n", b"2\r\n{}\r\n0\r\n", b"2;\r\n{}\r\n0\r\n\r\n", b"2 2\r\n{}\r\n0\r\n\r\n",
    b"f" * 10_000,
])  # fmt: skip
def test_malformed_chunks_are_a_fault_of_the_caller(app: Flask, data: bytes) -> None:
    """Gunicorn tells of most of them by exceptions that are no OSError."""
    failure = reading(app, chunks(data), 100)
    assert isinstance(failure, InvalidRequest)
    assert str(failure) == BROKEN_OFF


@pytest.mark.parametrize("terminated", [{}, {"wsgi.input_terminated": True}])
def test_a_body_shorter_than_its_length_is_a_400(app: Flask, terminated: dict[str, bool]) -> None:
    environ = EnvironBuilder("/", method="POST").get_environ()
    environ |= {"wsgi.input": Stream([b"{}"]), "CONTENT_LENGTH": "50", **terminated}
    with app.request_context(environ), pytest.raises((InvalidRequest, ClientDisconnected)) as failure:
        read_body(100)
    assert on_error(failure.value).status_code == 400


def test_a_length_beyond_the_limit_is_refused_before_a_byte_is_read(app: Flask) -> None:
    stream = Stream([b"x" * 200])
    failure = reading(app, stream, 100, length=101)
    assert isinstance(failure, BodyTooLarge)
    assert stream.taken == 0
