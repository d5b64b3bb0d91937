"""Predict, classify and regress."""

from flask import Response
from flask_restful import Resource

from mlapi.errors import VerbNotSupported
from mlapi.inference.values import InferenceRequest, InferenceResponse, Target
from mlapi.resources.api import Api, json_response, target_of
from mlapi.resources.body import read_body
from mlapi.resources.compression import compressed
from mlapi.resources.v1.paths import WHICH
from mlapi.schemas.v1 import examples, predict
from mlapi.serving.dataplane import DataPlane


def install(api: Api, plane: DataPlane, limit: int) -> None:
    """Put the verbs on `api`; bodies may have `limit` bytes."""
    for verb, resource in (("predict", Predict), ("classify", Classify), ("regress", Regress)):
        paths, needs = (f"{path}:{verb}" for path in WHICH), {"plane": plane, "limit": limit}
        api.add_resource(resource, *paths, endpoint=f"v1-{verb}", resource_class_kwargs=needs)


class _Verb(Resource):
    """A resource that asks the data plane."""

    init_every_request = False

    def __init__(self, plane: DataPlane, limit: int) -> None:
        self._plane, self._limit = plane, limit

    def _examples(self, target: Target, signature: str) -> InferenceRequest:
        _require(self._plane, target, signature)
        return examples.load(read_body(self._limit), target, signature)


class Predict(_Verb):
    """Predictions for rows (`instances`) or columns (`inputs`)."""

    def post(self, name: str, version: str | None = None, label: str | None = None) -> Response:
        """Return the predictions of the version that the path names."""
        target = target_of(name, version, label)
        return self._plane.exchange(target, lambda: predict.load(read_body(self._limit), target), _predictions)


class Classify(_Verb):
    """Classes with their scores, for examples of named features."""

    def post(self, name: str, version: str | None = None, label: str | None = None) -> Response:
        """Return label and score of every class, an example."""
        target = target_of(name, version, label)
        return self._plane.exchange(target, lambda: self._examples(target, examples.CLASSIFY), _classes)


class Regress(_Verb):
    """Numbers, for examples of named features."""

    def post(self, name: str, version: str | None = None, label: str | None = None) -> Response:
        """Return one number an example."""
        target = target_of(name, version, label)
        return self._plane.exchange(target, lambda: self._examples(target, examples.REGRESS), _numbers)


def _require(plane: DataPlane, target: Target, signature: str) -> None:
    loaded = plane.model(target)
    classifier = loaded.manifest.classes is not None
    if signature == examples.CLASSIFY and "predict_proba" not in loaded.signature.output_names:
        raise VerbNotSupported(f"model '{target.model}' gives no class probabilities; ask it to :predict")
    if signature == examples.REGRESS and (classifier or loaded.signature.outputs[0].datatype == "BYTES"):
        raise VerbNotSupported(f"model '{target.model}' is no regressor; ask it to :predict or :classify")


def _predictions(answer: InferenceResponse, request: InferenceRequest) -> Response:
    return compressed(json_response(predict.dump(answer, request), version=answer.version))


def _classes(answer: InferenceResponse, request: InferenceRequest) -> Response:
    return compressed(json_response(examples.dump_classes(answer, request), version=answer.version))


def _numbers(answer: InferenceResponse, request: InferenceRequest) -> Response:
    return compressed(json_response(examples.dump_numbers(answer, request), version=answer.version))
