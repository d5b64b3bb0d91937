"""Explain: predictions, and what each column contributed to them."""

from typing import Any

from flask import Response
from flask_restful import Resource

from mlapi.explain.explainers import Explainer, Explainers
from mlapi.explain.values import Explanation
from mlapi.inference.conform import conform
from mlapi.inference.values import InferenceRequest, InferenceResponse
from mlapi.registry.loading import LoadedModel
from mlapi.resources.api import Api, json_response, target_of
from mlapi.resources.body import read_body
from mlapi.resources.compression import compressed
from mlapi.resources.v1.paths import WHICH
from mlapi.schemas.v1 import explain
from mlapi.serving.dataplane import DataPlane


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
        return self._plane.exchange(
            target, lambda: explain.load(read_body(self._limit), target),
            lambda answer, request: _explained(answer, request, loaded, explainer),
        )


def _explained(
    answer: InferenceResponse, request: InferenceRequest, loaded: LoadedModel, explainer: Explainer,
) -> Response:
    found = explainer.explain(conform(request.inputs, loaded.signature))
    body = explain.dump(answer, found.method, [_document(one) for one in found.rows])
    return compressed(json_response(body, version=answer.version))


def _document(one: Explanation) -> dict[str, Any]:
    document = {"base_value": one.base_value, "contributions": one.contributions, "output": one.output}
    return document if one.label is None else {**document, "label": one.label}
