"""The end of a chunked body: found wherever the bytes are cut, where gunicorn's own decoder finds it, or refused."""

import pytest
from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from mlapi.server.chunks import MOST_CHUNKS, Chunks, MalformedChunksError
from mlapi.server.heads import parsed

HEAD = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
LIMIT = 1000


def encoded(parts: list[bytes], extension: bytes = b"", trailer: bytes = b"") -> bytes:
    """Return the parts as chunks (RFC 9112, section 7.1)."""
    chunks = b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts if part)
    return chunks + b"0" + extension + b"\r\n" + trailer + b"\r\n"


bodies = st.builds(
    encoded, st.lists(st.binary(max_size=30), max_size=6), st.sampled_from([b"", b";a=b", b" ;x"]),
    st.sampled_from([b"", b"Later: x\r\n", b"A: b\r\nC: d\r\n"]),
)


@given(body=bodies, behind=st.binary(max_size=9), cuts=st.lists(st.integers(0, 200), max_size=6))
def test_the_end_is_found_wherever_the_bytes_are_cut(body: bytes, behind: bytes, cuts: list[int]) -> None:
    data, chunks, found = bytearray(), Chunks(0, LIMIT), None
    whole = body + behind
    for cut in sorted({*(c for c in cuts if c < len(whole)), len(whole)}):
        data += whole[len(data) : cut]
        found = chunks.end(data)
        if found is not None:
            break
        assert len(data) < len(body)
    assert found == len(body)


@given(body=bodies)
def test_gunicorn_finds_the_same_end(body: bytes) -> None:
    config = Config()
    request = parsed(HEAD + body + b"BEHIND", config)
    while request.body.read(7):
        pass
    assert request.unreader.read() == b"BEHIND"
    assert Chunks(0, LIMIT).end(bytearray(body + b"BEHIND")) == len(body)


@pytest.mark.parametrize("body", [
    b"Z\r\n", b"-1\r\n", b"+1\r\n", b"0x1\r\n", b" 1\r\n", b"\r\n", b"1_0\r\n", b"f" * 16 + b"\r\n", b"1" * 1024,
    encoded([b"a" * LIMIT, b"b"]), b"1\r\na\r\n" * (MOST_CHUNKS + 1), "٣\r\n".encode(),
])  # fmt: skip
def test_what_is_no_chunk_or_too_much_of_it_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedChunksError):
        Chunks(0, LIMIT).end(bytearray(body))


def test_as_much_as_the_limit_is_allowed() -> None:
    body = encoded([b"a" * LIMIT])
    assert Chunks(0, LIMIT).end(bytearray(body)) == len(body)


def test_the_body_may_begin_anywhere() -> None:
    assert Chunks(3, LIMIT).end(bytearray(b"xyz0\r\n\r\n")) == 8
