"""The model repository: index, load, unload (Triton, "Model repository extension")."""

from flask import Response
from flask_restful import Resource

from mlapi.errors import InvalidRequest
from mlapi.resources.api import Api, document, target_of
from mlapi.resources.body import read_body
from mlapi.schemas.v2 import documents
from mlapi.serving.repository import ModelRepository

REPOSITORY = "/v2/repository"
_INDEX, _LOADED, _UNLOADED = documents.IndexRow(many=True), documents.Loaded(), documents.Unloaded()


def install(api: Api, repository: ModelRepository, limit: int) -> None:
    """Put the repository on `api`; bodies may have `limit` bytes."""
    needs = {"repository": repository, "limit": limit}
    model = f"{REPOSITORY}/models/<segment:name>"
    api.add_resource(Index, f"{REPOSITORY}/index", endpoint="v2-index", resource_class_kwargs=needs)
    api.add_resource(Load, f"{model}/load", endpoint="v2-load", resource_class_kwargs=needs)
    api.add_resource(Unload, f"{model}/unload", endpoint="v2-unload", resource_class_kwargs=needs)


class _OfRepository(Resource):
    """A resource that asks the repository."""

    init_every_request = False

    def __init__(self, repository: ModelRepository, limit: int) -> None:
        self._repository, self._limit = repository, limit


class Index(_OfRepository):
    """Every version of every model."""

    def post(self) -> Response:
        """Return one row a version, loaded or not; only ready ones where that is asked for."""
        only_ready = documents.load_index(read_body(self._limit))
        rows = [
            {"name": name, "version": str(status.version), "state": status.state, "reason": status.reason}
            for name, status in self._repository.index()
            if status.state == "READY" or not only_ready
        ]
        return document(_INDEX, rows)


class Load(_OfRepository):
    """Loading a model again."""

    def post(self, name: str) -> Response:
        """Return when every worker serves the model as the registry has it now."""
        unsupported = [key for key in documents.load_order(read_body(self._limit)) if _replaces(key)]
        if unsupported:
            raise InvalidRequest([f"parameter '{key[:20]}' is not supported; publish a version" for key in unsupported])
        self._repository.load(target_of(name).model)
        return document(_LOADED, {"name": name, "load": True})


class Unload(_OfRepository):
    """Taking a model out of service."""

    def post(self, name: str) -> Response:
        """Return when no worker answers for the model any more."""
        documents.load_order(read_body(self._limit))
        self._repository.unload(target_of(name).model)
        return document(_UNLOADED, {"name": name, "unload": True})


def _replaces(key: str) -> bool:
    """Triton lets a client bring its own configuration or files; a registry of immutable versions does not."""
    return key == "config" or key.startswith("file:")
