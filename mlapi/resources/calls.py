"""Inference calls: what a path and its headers ask for, whoever framed the request, and the answer as it is sent.

A resource reads a call off Flask's request; the server's express lane reads the same call off the bytes it framed.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flask import Response, request
from werkzeug.datastructures import Headers

from mlapi.inference.values import InferenceResponse, Target
from mlapi.resources.compression import encoded
from mlapi.serving.dataplane import DataPlane

JSON = "application/json"


class Answer(NamedTuple):
    """A 200: its body, and its headers in the order they are sent, without the length."""

    body: bytes
    headers: tuple[tuple[str, str], ...]


class Call(NamedTuple):
    """One inference: its target, what `load` makes of the body, and what `dump` makes of the answer to that.

    It holds nothing of one request but what its path and headers say, so that it may answer many.
    """

    target: Target
    load: Callable[[bytes], Any]
    dump: Callable[[InferenceResponse, Any], Answer]


Builder = Callable[[Mapping[str, str], Headers], Call]
"""From the segments of the path and the headers to the call; raises NotFound for a path that cannot exist."""


def answer(body: bytes, version: int, accept: str | None, more: tuple[tuple[str, str], ...] = (),
           content_type: str = JSON) -> Answer:  # fmt: skip
    """Return an answer of inference by `version`, compressed where it is worth it and `accept` allows it."""
    data, encoding = encoded(body, accept)
    headers = (("Content-Type", content_type), ("X-Model-Version", str(version)), *more, ("Vary", "Accept-Encoding"))
    return Answer(data, headers if encoding is None else (*headers, ("Content-Encoding", encoding)))


def asked(plane: DataPlane, call: Call, read: Callable[[], bytes]) -> Response:
    """Return Flask's answer to the current request as `call`; `read` gives its body, or refuses it."""
    given = plane.exchange(call.target, lambda: call.load(read()), call.dump)
    return Response(given.body, headers=list(given.headers))


def current_headers() -> Headers:
    """Return the headers of Flask's current request."""
    return request.headers
