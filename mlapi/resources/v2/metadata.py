"""What the server and its models are, and whether they answer."""

from flask import Response
from flask_restful import Resource

from mlapi import __version__
from mlapi.errors import ModelNotReady
from mlapi.inference.signature import TensorSpec
from mlapi.resources.api import Api, document, target_of
from mlapi.resources.errors import RETRY_SECONDS, answer
from mlapi.resources.v2.paths import MODELS, WHICH, under
from mlapi.runtimes.formats import FORMATS
from mlapi.schemas.v2 import documents
from mlapi.serving.dataplane import DataPlane

EXTENSIONS = (
    "binary_tensor_data", "classification", "model_repository", "statistics", "parameters", "model_configuration",
)  # fmt: skip
"""Triton's names of the protocol extensions that are implemented."""

LARGEST_BATCH = 2**31 - 1
"""Any batch is taken; Triton's 0 would say that the shapes have no batch dimension at all."""

TYPES = {"BYTES": "TYPE_STRING"}
"""Triton's configuration words for datatypes, where they are not TYPE_ and the datatype."""

_SERVER, _LIVE, _READY = documents.Server(), documents.ServerLive(), documents.ServerReady()
_LIST, _MODEL, _CONFIG = documents.ModelList(), documents.Model(), documents.Config()
_MODEL_READY = documents.ModelReady()


def install(api: Api, plane: DataPlane) -> None:
    """Put metadata, health and configuration on `api`."""
    needs = {"plane": plane}
    api.add_resource(Server, "/v2", "/v2/", endpoint="v2-server")
    api.add_resource(Live, "/v2/health/live", endpoint="v2-live")
    api.add_resource(Ready, "/v2/health/ready", endpoint="v2-ready", resource_class_kwargs=needs)
    api.add_resource(Models, MODELS, endpoint="v2-models", resource_class_kwargs=needs)
    api.add_resource(Model, *WHICH, endpoint="v2-model", resource_class_kwargs=needs)
    api.add_resource(ModelReady, *under("ready"), endpoint="v2-model-ready", resource_class_kwargs=needs)
    api.add_resource(Config, *under("config"), endpoint="v2-config", resource_class_kwargs=needs)


class Server(Resource):
    """Server metadata."""

    init_every_request = False

    def get(self) -> Response:
        """Return name, version and the extensions that exist."""
        body = {"name": "mlapi", "version": __version__, "extensions": list(EXTENSIONS)}
        return document(_SERVER, body)


class Live(Resource):
    """Whether the process answers at all."""

    init_every_request = False

    def get(self) -> Response:
        """Return 200."""
        return document(_LIVE, {"live": True})


class _OfModels(Resource):
    """A resource that asks the data plane."""

    init_every_request = False

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane


class Ready(_OfModels):
    """Whether every version that can be served is."""

    def get(self) -> Response:
        """Return 200, or 503 while versions are still being loaded."""
        if self._plane.live.is_ready():
            return document(_READY, {"ready": True, "live": True})
        return _not_ready("models are still being loaded")


class Models(_OfModels):
    """The names of all models."""

    def get(self) -> Response:
        """Return the names."""
        names = [model.name for model in self._plane.live.models()]
        return document(_LIST, {"models": names})


class Model(_OfModels):
    """Metadata of a version."""

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
        return document(_MODEL, body, version=loaded.manifest.version)


class ModelReady(_OfModels):
    """Whether a version answers."""

    def get(self, name: str, version: str | None = None) -> Response:
        """Return 200, or 503 with the reason; 404 for what is not in the registry."""
        try:
            self._plane.model(target_of(name, version))
        except ModelNotReady as error:
            return _not_ready(str(error))
        return document(_MODEL_READY, {"name": name, "ready": True})


class Config(_OfModels):
    """The configuration that Triton's tools read."""

    def get(self, name: str, version: str | None = None) -> Response:
        """Return tensors without their batch dimension, and a batch size that no body within the limit reaches."""
        loaded = self._plane.model(target_of(name, version))
        body = {
            "name": loaded.manifest.name,
            "platform": FORMATS[loaded.manifest.runtime].platform,
            "backend": FORMATS[loaded.manifest.runtime].backend,
            "max_batch_size": LARGEST_BATCH,
            "version_policy": {"latest": {"num_versions": 1}},
            "input": [_config_tensor(spec) for spec in loaded.signature.inputs],
            "output": [_config_tensor(spec) for spec in loaded.signature.outputs],
        }
        return document(_CONFIG, body, version=loaded.manifest.version)


def _tensor(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _config_tensor(spec: TensorSpec) -> dict[str, object]:
    data_type = TYPES.get(spec.datatype, f"TYPE_{spec.datatype}")
    return {"name": spec.name, "data_type": data_type, "dims": list(spec.shape[1:])}


def _not_ready(sentence: str) -> Response:
    response = answer(503, sentence, ready=False)
    response.headers["Retry-After"] = RETRY_SECONDS
    return response
