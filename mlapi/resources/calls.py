"""Inference calls: what a path and its headers ask for, whoever framed the request, and the answer as it is sent.

A resource reads a call off Flask's request; the server's express lane reads the same call off the bytes it framed.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from flask import Response, request
from marshmallow import Schema
from werkzeug.datastructures import Headers

from mlapi.inference.values import InferenceRequest, InferenceResponse, Target
from mlapi.resources.api import JSON, valid
from mlapi.resources.compression import encoded
from mlapi.resources.variants import Sender
from mlapi.serving.alike import Batch
from mlapi.serving.dataplane import DataPlane

LONGEST_READ_BACK = 64 * 1024
"""Bytes of an answer of a predict or infer; a longer one of finite numbers is a small one with more of them, written
from arrays that were held against the signature: to read it back would take as long as to predict and write it."""


class Answer(NamedTuple):
    """A 200: its body, and its headers in the order they are sent, without the length.

    `json_length` is the bytes of the body that are JSON, None for all.
    """

    body: bytes
    headers: tuple[tuple[str, str], ...]
    json_length: int | None = None


class Call(NamedTuple):
    """One inference: its target, what `load` makes of the body, and what `dump` makes of the answer to that.

    `schema` describes the JSON that is sent; `accept` is the header Accept-Encoding; `batch` is how many bodies are
    read as one. A call holds nothing of one request but what its path and headers say, so that it may answer many.
    """

    target: Target
    load: Callable[[bytes], Any]
    dump: Callable[[InferenceResponse, Any], Answer]
    schema: Schema
    accept: str | None
    batch: Batch | None = None


Builder = Callable[[Mapping[str, str], Headers], Call]
"""From the segments of the path and the headers to the call; raises NotFound for a path that cannot exist."""


def answer(body: bytes, version: int) -> Answer:
    """Return JSON as the answer of inference by `version`."""
    return Answer(body, headers(version))


@lru_cache(1024)
def headers(version: int) -> tuple[tuple[str, str], ...]:
    """Return the headers of JSON as the answer of inference by `version`; the same object each time."""
    return ("Content-Type", JSON), ("X-Model-Version", str(version)), ("Vary", "Accept-Encoding")


def compressed(given: Answer, accept: str | None) -> Answer:
    """Return an answer, compressed where it is worth it and `accept` allows it."""
    if accept is None:
        return given
    data, encoding = encoded(given.body, accept)
    return given if encoding is None else Answer(data, (*given.headers, ("Content-Encoding", encoding)))


def _is_of_numbers(response: InferenceResponse, asked: InferenceRequest) -> bool:
    """Tell whether all outputs are finite numbers and were asked for as such."""
    arrays = response.outputs.values()
    return not asked.wants_texts and all(one.dtype.kind in "fiub" and np.isfinite(one).all() for one in arrays)


def asked(plane: DataPlane, call: Call, read: Callable[[], bytes]) -> Response:
    """Return Flask's answer to the current request as `call`; `read` gives its body, or refuses it."""

    def dump(response: InferenceResponse, loaded: Any) -> Answer:  # noqa: ANN401 (what `load` made)
        given = call.dump(response, loaded)
        if call.batch is None or len(given.body) <= LONGEST_READ_BACK or not _is_of_numbers(response, loaded):
            valid(given.body[: given.json_length], call.schema)
        return compressed(given, call.accept)

    sender = Sender(request.environ)

    def load() -> Any:  # noqa: ANN401 (see dump)
        body = read()
        sender.sent(body)
        return call.load(body)

    given = plane.exchange(call.target, load, dump, sender)
    return Response(given.body, headers=list(given.headers))
