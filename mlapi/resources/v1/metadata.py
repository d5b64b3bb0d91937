"""Which models and versions are there, in what state, with which signatures."""

from flask import Response
from flask_restful import Resource

from mlapi.inference.values import Target
from mlapi.registry.status import UNLOADED, ModelStatus, VersionStatus
from mlapi.resources.api import Api, document, target_of
from mlapi.resources.errors import RETRY_SECONDS
from mlapi.resources.v1.paths import MODELS, WHICH
from mlapi.schemas.v1 import documents, metadata
from mlapi.serving.dataplane import DataPlane

STATES = {"READY": "AVAILABLE", "LOADING": "LOADING", "UNAVAILABLE": "END"}
"""States of the registry in the words of TensorFlow Serving (get_model_status.proto)."""

_ALIVE, _LIST, _STATUS, _METADATA = documents.Alive(), documents.ModelList(), documents.Status(), documents.Metadata()


def install(api: Api, plane: DataPlane) -> None:
    """Put liveness, the list, status and metadata on `api`."""
    needs = {"plane": plane}
    api.add_resource(Alive, "/", endpoint="v1-alive", strict_slashes=False)  # an empty path is no redirect
    api.add_resource(Models, MODELS, endpoint="v1-models", resource_class_kwargs=needs)
    api.add_resource(Status, *WHICH, endpoint="v1-status", resource_class_kwargs=needs)
    paths = (f"{path}/metadata" for path in WHICH)
    api.add_resource(Metadata, *paths, endpoint="v1-metadata", resource_class_kwargs=needs)


class Alive(Resource):
    """Whether the server answers at all, as KServe asks it."""

    init_every_request = False

    def get(self) -> Response:
        """Return 200."""
        return document(_ALIVE, {"status": "alive"})


class _OfModels(Resource):
    """A resource that asks the data plane."""

    init_every_request = False

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane


class Models(_OfModels):
    """The names of all models."""

    def get(self) -> Response:
        """Return each name once."""
        names = [model.name for model in self._plane.live.models()]
        return document(_LIST, {"models": names})


class Status(_OfModels):
    """Which versions of a model are there, and in what state."""

    def get(self, name: str, version: str | None = None, label: str | None = None) -> Response:
        """Return the status body: 200 where one of the versions asked for answers, else 503."""
        target = target_of(name, version, label)
        model = self._plane.status(target.model)
        return _answer(model, _asked(model, target))


class Metadata(_OfModels):
    """The signatures of a version, as TensorFlow Serving describes them."""

    def get(self, name: str, version: str | None = None, label: str | None = None) -> Response:
        """Return the metadata of the version that the path names."""
        manifest = self._plane.model(target_of(name, version, label)).manifest
        body = metadata.document(
            manifest.name, manifest.version, manifest.signature, classifier=manifest.classes is not None,
        )
        return document(_METADATA, body, version=manifest.version)


def _asked(model: ModelStatus, target: Target) -> list[VersionStatus]:
    version = target.version if target.label is None else model.labelled(target.label)
    return list(model.versions.values()) if version is None else [model.require(version)]


def _answer(model: ModelStatus, asked: list[VersionStatus]) -> Response:
    ready = any(status.state == "READY" for status in asked)
    body = {"name": model.name, "ready": ready, "model_version_status": [_version(status) for status in asked]}
    if ready:
        return document(_STATUS, body)
    body["error"] = f"model '{model.name}' is not ready: {asked[-1].reason}"
    response = document(_STATUS, body, 503)
    response.headers["Retry-After"] = RETRY_SECONDS
    return response


def _version(status: VersionStatus) -> dict[str, object]:
    failed = status.state == "UNAVAILABLE" and status.reason != UNLOADED
    detail = {"error_code": "INTERNAL" if failed else "OK", "error_message": status.reason if failed else ""}
    return {"version": str(status.version), "state": STATES[status.state], "status": detail}
