"""Answers that the server gives itself, before or instead of the application: always JSON, always the last."""

import time
from email.utils import formatdate
from http import HTTPStatus

from gunicorn import SERVER

from mlapi.schemas import jsonbody

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
RETRY_SECONDS = 1


def fault(status: int, sentence: str, *, retry: bool = False) -> bytes:
    """Return a whole response with one sentence, which closes the connection; `retry` says when to come again."""
    body = jsonbody.encode({"error": sentence})
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Server: {SERVER}", f"Date: {date()}",
             "Connection: close", "Content-Type: application/json", f"Content-Length: {len(body)}"]  # fmt: skip
    if retry:
        lines.append(f"Retry-After: {RETRY_SECONDS}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


Fields = tuple[tuple[str, str], ...]


def begun(headers: Fields, *, keep: bool) -> str:
    """Return how a 200 with these headers begins, up to its length; good for this second, as the date in it is."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    kept = "keep-alive" if keep else "close"
    return f"HTTP/1.1 200 OK\r\nServer: {SERVER}\r\nDate: {date()}\r\nConnection: {kept}\r\n{lines}Content-Length: "


def ok(beginning: str, named: Fields, request_id: str, body: bytes) -> bytes:
    """Return a whole 200, its headers in the order in which gunicorn and Flask send them; `named` stand last."""
    last = "".join([f"{name}: {value}\r\n" for name, value in named]) if named else ""
    return f"{beginning}{len(body)}\r\n{last}X-Request-Id: {request_id}\r\n\r\n".encode("latin-1") + body


class _Date:
    """The date of this second, written once a second (RFC 9110, section 5.6.7)."""

    second = 0
    text = ""


def date() -> str:
    """Return the value of the Date header."""
    now = int(time.time())
    if now != _Date.second:
        _Date.second, _Date.text = now, formatdate(now, usegmt=True)
    return _Date.text
