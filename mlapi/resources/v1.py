"""/v1: the TensorFlow Serving REST API together with the KServe V1 protocol."""

from flask import Response
from flask_restful import Resource

from mlapi.errors import ModelNotFound, VersionNotFound
from mlapi.inference.values import Target
from mlapi.registry.live import ModelStatus, VersionStatus
from mlapi.resources.api import Api, json_response, target_of
from mlapi.resources.body import read_body
from mlapi.resources.errors import RETRY_SECONDS
from mlapi.schemas import jsonbody, v1
from mlapi.serving.dataplane import DataPlane

MODEL = "/v1/models/<segment:name>"
WHICH = (MODEL, f"{MODEL}/versions/<segment:version>", f"{MODEL}/labels/<segment:label>")
STATES = {"READY": "AVAILABLE", "LOADING": "LOADING", "UNAVAILABLE": "END"}
"""States of the registry in the words of TensorFlow Serving (get_model_status.proto)."""

_STATUS = v1.StatusSchema()


def install(api: Api, plane: DataPlane, limit: int) -> None:
    """Put the paths of /v1 on `api`; bodies may have `limit` bytes."""
    api.add_resource(Status, *WHICH, endpoint="v1-status", resource_class_kwargs={"plane": plane})
    api.add_resource(
        Predict, *(f"{path}:predict" for path in WHICH), endpoint="v1-predict",
        resource_class_kwargs={"plane": plane, "limit": limit},
    )


class Status(Resource):
    """Which versions of a model are there, and in what state."""

    init_every_request = False

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    def get(self, name: str, version: str | None = None, label: str | None = None) -> Response:
        """Return the status body: 200 where one of the versions asked for answers, else 503."""
        target = target_of(name, version, label)
        model = self._plane.status(target.model)
        return _answer(model, _asked(self._plane, model, target))


class Predict(Resource):
    """Predictions for rows (`instances`) or columns (`inputs`)."""

    init_every_request = False

    def __init__(self, plane: DataPlane, limit: int) -> None:
        self._plane = plane
        self._limit = limit

    def post(self, name: str, version: str | None = None, label: str | None = None) -> Response:
        """Return the predictions of the version that the path names."""
        request = v1.load(read_body(self._limit), target_of(name, version, label))
        response = self._plane.infer(request)
        return json_response(v1.dump(response, request), version=response.version)


def _asked(plane: DataPlane, model: ModelStatus, target: Target) -> list[VersionStatus]:
    if target.label is not None:
        version: int | None = plane.live.labelled(model, target.label)
    else:
        version = target.version
    if version is None:
        if not model.versions:  # the last one was deleted a moment ago
            raise ModelNotFound(model.name)
        return list(model.versions.values())
    if version not in model.versions:
        raise VersionNotFound(model.name, str(version), tuple(model.versions))
    return [model.versions[version]]


def _answer(model: ModelStatus, asked: list[VersionStatus]) -> Response:
    ready = any(status.state == "READY" for status in asked)
    body = {"name": model.name, "ready": ready, "model_version_status": [_version(status) for status in asked]}
    if ready:
        return json_response(jsonbody.encode(_STATUS.dump(body)))
    body["error"] = f"model '{model.name}' is not ready: {asked[-1].reason}"
    response = json_response(jsonbody.encode(_STATUS.dump(body)), 503)
    response.headers["Retry-After"] = RETRY_SECONDS
    return response


def _version(status: VersionStatus) -> dict[str, object]:
    failed = status.state == "UNAVAILABLE"
    detail = {"error_code": "INTERNAL" if failed else "OK", "error_message": status.reason if failed else ""}
    return {"version": str(status.version), "state": STATES[status.state], "status": detail}
