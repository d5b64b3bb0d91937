"""Inference on tensors."""

import uuid
from dataclasses import replace

from flask import Response, request
from flask_restful import Resource

from mlapi.inference.values import InferenceResponse
from mlapi.resources.api import JSON, Api, target_of
from mlapi.resources.body import read_body
from mlapi.resources.compression import compressed
from mlapi.resources.v2.paths import under
from mlapi.schemas import v2
from mlapi.serving.dataplane import DataPlane

JSON_LENGTH = "Inference-Header-Content-Length"
OCTETS = "application/octet-stream"


def install(api: Api, plane: DataPlane, limit: int) -> None:
    """Put inference on `api`; bodies may have `limit` bytes."""
    api.add_resource(
        Infer, *under("infer"), endpoint="v2-infer", resource_class_kwargs={"plane": plane, "limit": limit},
    )


class Infer(Resource):
    """Inference on tensors, in JSON, as raw bytes behind it, or both."""

    init_every_request = False

    def __init__(self, plane: DataPlane, limit: int) -> None:
        self._plane = plane
        self._limit = limit

    def post(self, name: str, version: str | None = None) -> Response:
        """Return the outputs asked for; the answer carries the request's id, or a new one."""
        target, json_length = target_of(name, version), request.headers.get(JSON_LENGTH)
        return self._plane.exchange(target, lambda: v2.load(read_body(self._limit), target, json_length), _response)


def _response(answer: InferenceResponse, asked: v2.Asked) -> Response:
    named = answer if answer.id is not None else replace(answer, id=str(uuid.uuid4()))
    dumped = v2.dump(named, asked)
    response = Response(dumped.body, content_type=JSON if dumped.json_length is None else OCTETS)
    response.headers["X-Model-Version"] = str(answer.version)
    if dumped.json_length is not None:
        response.headers[JSON_LENGTH] = str(dumped.json_length)
    return compressed(response)
