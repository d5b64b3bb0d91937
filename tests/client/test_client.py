"""The Python client, against a server of the standard library that answers as it is told."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from mlapi.client import Client
from mlapi.errors import InvalidRequest, MlapiError, ModelNotReady, NotFound, ServerUnreachable


class Told(HTTPServer):
    """Answers what it is told to, and remembers what it was asked."""

    status: int = 200
    answer: bytes = b"{}"
    raw: bytes | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, Any]] = []

    def tell(self, document: Any, status: int = 200) -> Client:
        self.status, self.answer = status, document if isinstance(document, bytes) else json.dumps(document).encode()
        return Client(f"http://127.0.0.1:{self.server_port}/", timeout=10)


class Handler(BaseHTTPRequestHandler):
    """Speaks for `Told`."""

    server: Told

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, json.loads(body) if body else None))
        if self.server.raw is not None:
            self.wfile.write(self.server.raw)
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def told() -> Iterator[Told]:
    with Told() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


BODY = {"instances": [[1.0]]}


def test_predictions_of_rows_and_of_columns(told: Told) -> None:
    assert told.tell({"predictions": [1, 2]}).predict("m", BODY) == [1, 2]
    assert told.tell({"outputs": [3]}).predict("m", {"inputs": [[1.0]]}) == [3]
    assert told.asked[0] == ("POST", "/v1/models/m:predict", BODY)


def test_versions_and_labels_stand_in_the_path(told: Told) -> None:
    client = told.tell({"predictions": [], "model_version_status": [{"version": "7"}]})
    client.predict("m", BODY, version=3)
    client.predict("m", BODY, label="stable")
    client.metadata("m")
    client.metadata("m", 3)
    assert client.labelled("m", "stable") == 7
    assert [path for _, path, _ in told.asked] == [
        "/v1/models/m/versions/3:predict", "/v1/models/m/labels/stable:predict", "/v2/models/m",
        "/v2/models/m/versions/3", "/v1/models/m/labels/stable",
    ]  # fmt: skip


def test_names_cannot_change_the_path(told: Told) -> None:
    told.tell({"predictions": []}).predict("../x?y#z", BODY, label="a/b")
    assert told.asked[0][1] == "/v1/models/..%2Fx%3Fy%23z/labels/a%2Fb:predict"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, NotFound), (400, InvalidRequest), (413, InvalidRequest), (415, InvalidRequest), (503, ModelNotReady),
     (500, ServerUnreachable), (429, ServerUnreachable)],
)  # fmt: skip
def test_errors_are_raised_with_the_servers_own_sentence_in_one_line(
    told: Told, status: int, kind: type[MlapiError],
) -> None:
    with pytest.raises(kind) as caught:
        told.tell({"error": "it said\nso"}, status).predict("m", BODY)
    assert str(caught.value) == "it said so"


@pytest.mark.parametrize("answer", [b"", b"<html>", {}, {"error": None}, [], "text", b"\xff"], ids=str)
def test_an_error_without_a_sentence_tells_its_status(told: Told, answer: Any) -> None:
    with pytest.raises(ServerUnreachable) as caught:
        told.tell(answer, 500).metadata("m")
    assert str(caught.value) in {"the server answered 500 Internal Server Error", "None"}


@pytest.mark.parametrize("answer", [b"", b"<html>", b"\xff", [], "text", 5, None, {}, {"predictions": 5}], ids=str)
def test_an_answer_that_is_none_is_a_server_that_is_not_there(told: Told, answer: Any) -> None:
    with pytest.raises(ServerUnreachable) as caught:
        told.tell(answer).predict("m", BODY)
    assert "\n" not in str(caught.value)
    with pytest.raises(ServerUnreachable):
        told.tell(answer).labelled("m", "stable")


@pytest.mark.parametrize("raw", [b"", b"hello\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", b"\0" * 100,
                                 b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"], ids=str)  # fmt: skip
def test_bytes_that_are_no_http_are_a_server_that_is_not_there(told: Told, raw: bytes) -> None:
    client = told.tell({})
    told.raw = raw
    with pytest.raises(ServerUnreachable) as caught:
        client.metadata("m")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://", "http://no host", "gopher://x", "http://[::1",
                                 "http://127.0.0.1:port", ""])  # fmt: skip
def test_a_url_that_is_none_or_leads_nowhere_is_a_server_that_is_not_there(url: str) -> None:
    with pytest.raises(ServerUnreachable, match="no answer from"):
        Client(url, timeout=5).metadata("m")
