"""Inference on tensors."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from flask import Response, request
from flask_restful import Resource
from werkzeug.datastructures import Headers

from mlapi.inference.values import Assignment, InferenceResponse
from mlapi.resources.api import Api, target_of
from mlapi.resources.body import read_body
from mlapi.resources.calls import Answer, Call, answer, asked
from mlapi.resources.v2.paths import under
from mlapi.schemas import v2
from mlapi.schemas.v2 import batch
from mlapi.schemas.v2.answer import Inferred
from mlapi.serving.alike import Batch
from mlapi.serving.dataplane import DataPlane

INFER = "v2-infer"
JSON_LENGTH = "Inference-Header-Content-Length"
OCTETS = "application/octet-stream"
_INFERRED = Inferred()


def install(api: Api, plane: DataPlane, limit: int) -> None:
    """Put inference on `api`; bodies may have `limit` bytes."""
    api.add_resource(Infer, *under("infer"), endpoint=INFER, resource_class_kwargs={"plane": plane, "limit": limit})


def infer_call(segments: Mapping[str, str], headers: Headers) -> Call:
    """Return what a path with `segments` asks of infer; raises NotFound."""
    target, accept, json_length = target_of(**segments), headers.get("Accept-Encoding"), headers.get(JSON_LENGTH)
    return Call(
        target,
        lambda body: v2.load(body, target, json_length),
        _written,
        _INFERRED, accept, Batch(lambda body: batch.cut(body, json_length), batch.gather, _apart),
    )


class Infer(Resource):
    """Inference on tensors, in JSON, as raw bytes behind it, or both."""

    init_every_request = False

    def __init__(self, plane: DataPlane, limit: int) -> None:
        self._plane = plane
        self._limit = limit

    def post(self, **segments: str) -> Response:
        """Return the outputs asked for; the answer carries the request's id, or a new one."""
        return asked(self._plane, infer_call(segments, request.headers), lambda: read_body(self._limit))


def _written(given: InferenceResponse, request: v2.Asked) -> Answer:
    named = given if given.id is not None else replace(given, id=str(uuid.uuid4()))
    return _answer(v2.dump(named, request), given.version)


def _apart(
    given: InferenceResponse, request: v2.Asked, assignments: Sequence[Assignment | None],
) -> list[Answer] | None:
    dumped = batch.scatter(given, request, [str(uuid.uuid4()) for _ in assignments], assignments)
    return None if dumped is None else [_answer(one, given.version) for one in dumped]


def _answer(dumped: v2.Dumped, version: int) -> Answer:
    if dumped.json_length is None:
        return answer(dumped.body, version)
    return Answer(dumped.body, _headers(version, dumped.json_length), dumped.json_length)


@lru_cache(1024)
def _headers(version: int, json_length: int) -> tuple[tuple[str, str], ...]:
    return (("Content-Type", OCTETS), ("X-Model-Version", str(version)), (JSON_LENGTH, str(json_length)),
            ("Vary", "Accept-Encoding"))  # fmt: skip
