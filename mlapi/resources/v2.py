"""/v2: the Open Inference Protocol."""

import uuid
from dataclasses import replace

from flask import Response
from flask_restful import Resource

from mlapi import __version__
from mlapi.errors import ModelNotReady
from mlapi.inference.signature import TensorSpec
from mlapi.resources.api import Api, json_response, target_of
from mlapi.resources.body import read_body
from mlapi.resources.errors import RETRY_SECONDS
from mlapi.runtimes.formats import FORMATS
from mlapi.schemas import jsonbody, v2
from mlapi.serving.dataplane import DataPlane

MODEL = "/v2/models/<segment:name>"
WHICH = (MODEL, f"{MODEL}/versions/<segment:version>")
EXTENSIONS: tuple[str, ...] = ()
"""Triton's names of the protocol extensions that are implemented; a name stands here with its code."""

_SERVER, _MODEL = v2.ServerSchema(), v2.ModelSchema()


def install(api: Api, plane: DataPlane, limit: int) -> None:
    """Put the paths of /v2 on `api`; bodies may have `limit` bytes."""
    api.add_resource(Server, "/v2", "/v2/", endpoint="v2-server")
    api.add_resource(Live, "/v2/health/live", endpoint="v2-live")
    needs = {"plane": plane}
    api.add_resource(Ready, "/v2/health/ready", endpoint="v2-ready", resource_class_kwargs=needs)
    api.add_resource(Model, *WHICH, endpoint="v2-model", resource_class_kwargs=needs)
    api.add_resource(
        ModelReady, *(f"{path}/ready" for path in WHICH), endpoint="v2-model-ready", resource_class_kwargs=needs,
    )
    api.add_resource(
        Infer, *(f"{path}/infer" for path in WHICH), endpoint="v2-infer",
        resource_class_kwargs={**needs, "limit": limit},
    )


class Server(Resource):
    """Server metadata."""

    init_every_request = False

    def get(self) -> Response:
        """Return name, version and the extensions that exist."""
        body = {"name": "mlapi", "version": __version__, "extensions": list(EXTENSIONS)}
        return json_response(jsonbody.encode(_SERVER.dump(body)))


class Live(Resource):
    """Whether the process answers at all."""

    init_every_request = False

    def get(self) -> Response:
        """Return 200."""
        return json_response(jsonbody.encode({"live": True}))


class Ready(Resource):
    """Whether every version that can be served is."""

    init_every_request = False

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    def get(self) -> Response:
        """Return 200, or 503 while versions are still being loaded."""
        if self._plane.live.is_ready():
            return json_response(jsonbody.encode({"ready": True, "live": True}))
        return _not_ready("models are still being loaded")


class Model(Resource):
    """Metadata of a version."""

    init_every_request = False

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    def get(self, name: str, version: str | None = None) -> Response:
        """Return the tensors of a version and the versions that may be asked."""
        loaded = self._plane.model(target_of(name, version))
        signature = loaded.signature
        body = {
            "name": loaded.manifest.name,
            "versions": [str(number) for number in self._plane.status(name).ready],
            "platform": FORMATS[loaded.manifest.runtime].platform,
            "inputs": [_tensor(spec) for spec in signature.inputs],
            "outputs": [_tensor(spec) for spec in signature.outputs],
        }
        return json_response(jsonbody.encode(_MODEL.dump(body)), version=loaded.manifest.version)


class ModelReady(Resource):
    """Whether a version answers."""

    init_every_request = False

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    def get(self, name: str, version: str | None = None) -> Response:
        """Return 200, or 503 with the reason; 404 for what is not in the registry."""
        try:
            self._plane.model(target_of(name, version))
        except ModelNotReady as error:
            return _not_ready(str(error))
        return json_response(jsonbody.encode({"name": name, "ready": True}))


class Infer(Resource):
    """Inference on tensors."""

    init_every_request = False

    def __init__(self, plane: DataPlane, limit: int) -> None:
        self._plane = plane
        self._limit = limit

    def post(self, name: str, version: str | None = None) -> Response:
        """Return the outputs asked for; the answer carries the request's id, or a new one."""
        request = v2.load(read_body(self._limit), target_of(name, version))
        response = self._plane.infer(request)
        named = response if response.id is not None else replace(response, id=str(uuid.uuid4()))
        return json_response(v2.dump(named), version=response.version)


def _tensor(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _not_ready(sentence: str) -> Response:
    response = json_response(jsonbody.encode({"error": sentence, "ready": False}), 503)
    response.headers["Retry-After"] = RETRY_SECONDS
    return response
