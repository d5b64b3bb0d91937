"""Predict, classify and regress."""

from collections.abc import Mapping

from flask import Response
from flask_restful import Resource
from werkzeug.datastructures import Headers

from mlapi.errors import VerbNotSupported
from mlapi.inference.values import InferenceRequest, Target
from mlapi.resources.api import Api, target_of
from mlapi.resources.body import read_body
from mlapi.resources.calls import Call, answer, asked, current_headers
from mlapi.resources.v1.paths import WHICH
from mlapi.schemas.v1 import answers, examples, predict
from mlapi.serving.dataplane import DataPlane

PREDICT = "v1-predict"
_PREDICTED, _CLASSIFIED, _REGRESSED = answers.Predicted(), answers.Classified(), answers.Regressed()


def install(api: Api, plane: DataPlane, limit: int) -> None:
    """Put the verbs on `api`; bodies may have `limit` bytes."""
    for verb, resource in (("predict", Predict), ("classify", Classify), ("regress", Regress)):
        paths, needs = (f"{path}:{verb}" for path in WHICH), {"plane": plane, "limit": limit}
        api.add_resource(resource, *paths, endpoint=f"v1-{verb}", resource_class_kwargs=needs)


def predict_call(segments: Mapping[str, str], headers: Headers) -> Call:
    """Return what a path with `segments` asks of :predict; raises NotFound."""
    target, accept = target_of(**segments), headers.get("Accept-Encoding")
    return Call(
        target,
        lambda body: predict.load(body, target),
        lambda given, request: answer(predict.dump(given, request), given.version),
        _PREDICTED, accept,
    )


class _Verb(Resource):
    """A resource that asks the data plane."""

    init_every_request = False

    def __init__(self, plane: DataPlane, limit: int) -> None:
        self._plane, self._limit = plane, limit

    def _body(self) -> bytes:
        return read_body(self._limit)

    def _examples(self, body: bytes, target: Target, signature: str) -> InferenceRequest:
        _require(self._plane, target, signature)
        return examples.load(body, target, signature)


class Predict(_Verb):
    """Predictions for rows (`instances`) or columns (`inputs`)."""

    def post(self, **segments: str) -> Response:
        """Return the predictions of the version that the path names."""
        return asked(self._plane, predict_call(segments, current_headers()), self._body)


class Classify(_Verb):
    """Classes with their scores, for examples of named features."""

    def post(self, **segments: str) -> Response:
        """Return label and score of every class, an example."""
        target, accept = target_of(**segments), current_headers().get("Accept-Encoding")
        call = Call(
            target,
            lambda body: self._examples(body, target, examples.CLASSIFY),
            lambda given, request: answer(examples.dump_classes(given, request), given.version),
            _CLASSIFIED, accept,
        )
        return asked(self._plane, call, self._body)


class Regress(_Verb):
    """Numbers, for examples of named features."""

    def post(self, **segments: str) -> Response:
        """Return one number an example."""
        target, accept = target_of(**segments), current_headers().get("Accept-Encoding")
        call = Call(
            target,
            lambda body: self._examples(body, target, examples.REGRESS),
            lambda given, request: answer(examples.dump_numbers(given, request), given.version),
            _REGRESSED, accept,
        )
        return asked(self._plane, call, self._body)


def _require(plane: DataPlane, target: Target, signature: str) -> None:
    loaded = plane.model(target)
    classifier = loaded.manifest.classes is not None
    if signature == examples.CLASSIFY and "predict_proba" not in loaded.signature.output_names:
        raise VerbNotSupported(f"model '{target.model}' gives no class probabilities; ask it to :predict")
    if signature == examples.REGRESS and (classifier or loaded.signature.outputs[0].datatype == "BYTES"):
        raise VerbNotSupported(f"model '{target.model}' is no regressor; ask it to :predict or :classify")
