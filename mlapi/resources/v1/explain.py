"""Explain: predictions, and what each column contributed to them."""

from typing import Any

from flask import Response, request
from flask_restful import Resource

from mlapi.explain.explainers import Explainer, Explainers
from mlapi.explain.values import Explanation
from mlapi.inference.conform import conform
from mlapi.inference.values import InferenceRequest, InferenceResponse
from mlapi.registry.loading import LoadedModel
from mlapi.resources.api import Api, target_of
from mlapi.resources.body import read_body
from mlapi.resources.calls import Call, answer, asked
from mlapi.resources.v1.paths import WHICH
from mlapi.schemas.v1 import answers, explain
from mlapi.serving.dataplane import DataPlane

_EXPLAINED = answers.Explained()


def install(api: Api, plane: DataPlane, explainers: Explainers, limit: int) -> None:
    """Put the verb on `api`; bodies may have `limit` bytes."""
    paths, needs = (f"{path}:explain" for path in WHICH), {"plane": plane, "explainers": explainers, "limit": limit}
    api.add_resource(Explain, *paths, endpoint="v1-explain", resource_class_kwargs=needs)


class Explain(Resource):
    """Predictions with their explanations, for the rows or columns of a predict request."""

    init_every_request = False

    def __init__(self, plane: DataPlane, explainers: Explainers, limit: int) -> None:
        self._plane, self._explainers, self._limit = plane, explainers, limit

    def post(self, name: str, version: str | None = None, label: str | None = None) -> Response:
        """Return the predictions of the version that the path names, and an explanation of each."""
        loaded = self._plane.model(target_of(name, version, label))
        target = target_of(name, str(loaded.manifest.version))  # one version predicts and is explained
        explainer = self._explainers.of(loaded)
        accept = request.headers.get("Accept-Encoding")
        call = Call(
            target,
            lambda body: explain.load(body, target),
            lambda given, made: answer(_explained(given, made, loaded, explainer), given.version),
            _EXPLAINED, accept,
        )
        return asked(self._plane, call, lambda: read_body(self._limit))


def _explained(
    given: InferenceResponse, request: InferenceRequest, loaded: LoadedModel, explainer: Explainer,
) -> bytes:
    found = explainer.explain(conform(request.inputs, loaded.signature))
    return explain.dump(given, found.method, [_document(one) for one in found.rows])


def _document(one: Explanation) -> dict[str, Any]:
    document = {"base_value": one.base_value, "contributions": one.contributions, "output": one.output}
    return document if one.label is None else {**document, "label": one.label}
