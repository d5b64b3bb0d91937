"""What a refused body, or an odd header, leaves on a connection that is kept alive (contract, A.2 and B.7)."""

import http.client
import io
import json
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from mlapi.registry.publishing import publish
from tests.server.conftest import Server

pytestmark = pytest.mark.server

ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [6.0, 8.0]])
PATH = "/v1/models/sum:predict"
BODY = json.dumps({"instances": [[1, 2]]}).encode()
LIMIT = 1000
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
"""What a body is made of, so that a server that takes it for requests answers each with 404."""


@pytest.fixture
def server(serve: Callable[..., Server], tmp_path: Path) -> Server:
    """Return a server whose bodies may have 1,000 bytes."""
    publish(LinearRegression().fit(ROWS, ROWS.sum(axis=1)), "sum", sample=ROWS, registry=tmp_path / "registry")
    return serve(tmp_path / "registry", MLAPI_MAX_BODY_BYTES=str(LIMIT), MLAPI_WORKERS="1")


def head(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: x", *headers, "", "")).encode("latin-1")


GOOD = head("POST", PATH, f"Content-Length: {len(BODY)}", "X-Request-Id: second", "Connection: close") + BODY
FILL = SMUGGLED * 200
CHUNKED = b"".join(f"{len(FILL):x}\r\n".encode() + FILL + b"\r\n" for _ in range(3)) + b"0\r\n\r\n"
SIZED = f"Content-Length: {len(FILL)}"
REFUSED = {
    "too-long": (413, head("POST", PATH, SIZED) + FILL),
    "too-long-v2": (413, head("POST", "/v2/models/sum/infer", SIZED) + FILL),
    "too-long-invocation": (413, head("POST", "/invocations", SIZED) + FILL),
    "too-long-chunked": (413, head("POST", PATH, "Transfer-Encoding: chunked") + CHUNKED),
    "media-type": (415, head("POST", PATH, SIZED, "Content-Type: application/xml") + FILL),
    "encoding": (415, head("POST", PATH, SIZED, "Content-Encoding: br") + FILL),
    "encoding-chunked": (
        415, head("POST", PATH, "Transfer-Encoding: chunked", "Content-Encoding: br") + CHUNKED,
    ),
    "model": (404, head("POST", "/v1/models/nope:predict", SIZED) + FILL),
    "path": (404, head("POST", "/nope", SIZED) + FILL),
    "method": (405, head("DELETE", PATH, SIZED) + FILL),
    "body-of-a-get": (200, head("GET", "/v2/health/live", SIZED) + FILL),
}  # fmt: skip


def answers(received: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Return status, headers and body of each answer in a stream of them."""
    found, rest = [], io.BytesIO(received)

    class Replay:
        def makefile(self, *_: object) -> io.BytesIO:
            return io.BytesIO(rest.read())  # HTTPResponse reads on from here

    while rest.tell() < len(received):
        begin = rest.tell()
        answer = http.client.HTTPResponse(Replay())  # type: ignore[arg-type]
        answer.begin()
        body = answer.read()
        found.append((answer.status, dict(answer.headers), body))
        rest.seek(begin + received[begin:].index(b"\r\n\r\n") + 4 + len(body))
    return found


def converse(server: Server, *parts: bytes) -> bytes:
    """Send `parts` on one connection and return all that comes back until the server closes it."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:  # closed already, which is one of the two right ways
                break
        try:
            while part := connection.recv(65536):
                received += part
        except ConnectionError:
            pass
    return received


def test_a2_a_body_that_was_never_read_does_not_poison_the_connection(server: Server) -> None:
    """The next request, pipelined behind the body, is answered, or the connection is closed before it."""
    for name, (status, request) in REFUSED.items():
        found = answers(converse(server, request + GOOD))
        assert (name, found[0][0]) == (name, status)
        assert (name, [each[0] for each in found[1:]]) in ((name, [200]), (name, []))
        if len(found) == 2:
            assert found[1][1]["X-Request-Id"] == "second"
            assert json.loads(found[1][2])["predictions"] == pytest.approx([3.0])


def test_a2_a_refused_body_that_never_ends_does_not_keep_the_server_from_others(server: Server) -> None:
    request = head("POST", PATH, "Content-Length: 100000000") + FILL
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as stalled:
        stalled.sendall(request)
        assert stalled.recv(65536).split()[1] == b"413"
        assert answers(converse(server, GOOD))[0][0] == 200
        rest = b"x"
        while rest:  # it is closed without another answer
            rest = stalled.recv(65536)
            assert b"HTTP/1.1" not in rest


def test_b7_the_octets_of_a_request_id_come_back_and_the_log_stays_ascii_lines(server: Server) -> None:
    for given in (b"x" * 4000, "☃ 東京".encode(), b"caf\xe9", b"a\tb"):
        request = b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: " + given + b"\r\n\r\n"
        assert b"X-Request-Id: " + given + b"\r\n" in converse(server, request)
    for given in (b"a\0b", b"a\x1b[31m", b"a\x7f"):
        request = b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: " + given + b"\r\n\r\n"
        assert given not in converse(server, request)
    assert server.stop() == 0
    log = server.log.read_bytes()
    assert log.isascii()
    assert all(json.loads(line) for line in log.splitlines())
