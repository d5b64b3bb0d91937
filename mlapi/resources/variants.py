"""Rollouts at the edge: what a caller says of itself, and what an answer says of the rollout it was given in."""

from typing import Any

from flask import Flask, Response, g, has_request_context, request

from mlapi.errors import InvalidRequest
from mlapi.schemas import jsonbody

HEADER, FIELD = "header", "field"
JSON_LENGTH = "Inference-Header-Content-Length"


def install(app: Flask) -> None:
    """Name the rollout, the variant and the prediction in the headers of every answer that a rollout decided."""
    app.after_request(_named)


def told(source: str) -> bytes | None:
    """Return what the current request sent under a source, its bytes as they came; None for nothing or no request.

    `header:X-User-Id` is a header; `field:user.id` a member of a JSON body, text or a whole number.
    """
    if not has_request_context():
        return None
    kind, _, name = source.partition(":")
    if kind == HEADER:
        return request.headers.get(name, "").encode("latin-1") or None
    return _key(_member(name.split("."))) if kind == FIELD else None


def _member(path: list[str]) -> Any:  # noqa: ANN401 (decoded JSON)
    if "members" not in g:
        g.members = _decoded()
    value = g.members
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _decoded() -> dict[str, Any]:
    body: bytes = g.get("body", b"")
    length = request.headers.get(JSON_LENGTH, "")
    part = body[: int(length)] if length.isascii() and length.isdecimal() else body
    try:
        return jsonbody.decode(part)
    except InvalidRequest:  # a table, or raw bytes
        return {}


def _key(value: object) -> bytes | None:
    if type(value) is int:
        return str(value).encode()
    return value.encode() or None if isinstance(value, str) else None


def _named(response: Response) -> Response:
    assignment = getattr(g.get("inference"), "assignment", None)  # of the event that the access log keeps
    if assignment is None:
        return response
    response.headers["X-Mlapi-Rollout"] = assignment.rollout
    response.headers["X-Mlapi-Variant"] = assignment.served
    if assignment.fell_back:
        response.headers["X-Mlapi-Fallback"] = "true"
    if assignment.prediction_id is not None:
        response.headers["X-Mlapi-Prediction-Id"] = assignment.prediction_id
    return response
