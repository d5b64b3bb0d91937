"""Rollouts at the edge: what a caller says of itself, and what an answer says of the rollout it was given in."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from flask import Flask, Response, g

from mlapi.errors import InvalidRequest
from mlapi.inference.values import Assignment
from mlapi.rollouts.caller import Caller
from mlapi.schemas import jsonbody

HEADER = "header"
NOT_PREFIXED = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})
JSON_LENGTH = "HTTP_INFERENCE_HEADER_CONTENT_LENGTH"
DRAWN = "mlapi.drawn"
"""The member of a WSGI environment that keeps the number drawn for its request, whichever road it took before."""

TICKET = "mlapi.ticket"
"""The member that keeps what a rollout decided, for a server that gives requests up."""

LARGEST_KEPT = 1024 * 1024
"""Up to this size a body is read for the caller's key."""


def install(app: Flask) -> None:
    """Name the rollout, the variant and the prediction in the headers of every answer that a rollout decided."""
    app.after_request(_named)


class Sender(Caller):
    """The caller of a request over HTTP, by its WSGI environment and its body.

    `header:X-User-Id` is a header; `field:user.id` a member of a JSON body, text or a whole number.
    """

    __slots__ = ("_body", "_environ", "_members")

    def __init__(self, environ: Mapping[str, Any], body: bytes = b"") -> None:
        super().__init__(drawn=environ.get(DRAWN), ticket=environ.get(TICKET))
        self._environ, self._body = environ, body
        self._members: dict[str, Any] | None = None

    def sent(self, body: bytes) -> None:
        """Take the body, inflated; it is read only where somebody is told by a member of it."""
        if len(body) <= LARGEST_KEPT:
            self._body = body

    def told(self, source: str) -> bytes | None:
        """Return what was sent under a source, its bytes as they came; None for nothing."""
        header, path = _place(source)
        if header is not None:
            return self._environ.get(header, "").encode("latin-1") or None
        return _key(self._member(path))

    def _member(self, path: tuple[str, ...]) -> Any:  # noqa: ANN401 (decoded JSON)
        if self._members is None:
            self._members = self._decoded()
        value: Any = self._members
        for step in path:
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list) and step.isascii() and step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
            else:
                return None
        return value

    def _decoded(self) -> dict[str, Any]:
        length = self._environ.get(JSON_LENGTH, "")
        part = self._body[: int(length)] if length.isascii() and length.isdecimal() else self._body
        try:
            return jsonbody.decode(part)
        except InvalidRequest:  # a table, or raw bytes
            return {}


def headers_of(assignment: Assignment) -> tuple[tuple[str, str], ...]:
    """Return what an answer says of the rollout that decided it, in the order it is sent."""
    headers = [("X-Mlapi-Rollout", assignment.rollout), ("X-Mlapi-Variant", assignment.served)]
    if assignment.fell_back:
        headers.append(("X-Mlapi-Fallback", "true"))
    if assignment.prediction_id is not None:
        headers.append(("X-Mlapi-Prediction-Id", assignment.prediction_id))
    return tuple(headers)


@lru_cache(1024)
def _place(source: str) -> tuple[str | None, tuple[str, ...]]:
    """Return where a source stands: its name in a WSGI environment (PEP 3333), or the path of a member of the body."""
    kind, _, name = source.partition(":")
    if kind != HEADER:
        return None, tuple(name.split("."))
    key = name.upper().replace("-", "_")
    return key if key in NOT_PREFIXED else f"HTTP_{key}", ()


def _key(value: object) -> bytes | None:
    if type(value) is int:
        return str(value).encode()
    return value.encode() or None if isinstance(value, str) else None


def _named(response: Response) -> Response:
    event = g.get("inference")  # that the access log keeps
    for assignment in () if event is None else event.assignments:
        for name, value in headers_of(assignment):
            response.headers[name] = value
    return response
