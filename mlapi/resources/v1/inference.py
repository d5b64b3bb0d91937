"""Predict, classify and regress."""

from collections.abc import Callable, Mapping, Sequence

from flask import Response, request
from flask_restful import Resource
from marshmallow import Schema
from werkzeug.datastructures import Headers

from mlapi.errors import VerbNotSupported
from mlapi.inference.values import Assignment, InferenceRequest, InferenceResponse, Target
from mlapi.resources.api import Api, target_of
from mlapi.resources.body import read_body
from mlapi.resources.calls import Answer, Call, answer, asked, headers
from mlapi.resources.v1.paths import WHICH
from mlapi.schemas.v1 import answers, batch, examples, predict
from mlapi.serving.alike import Batch
from mlapi.serving.dataplane import DataPlane

PREDICT = "v1-predict"
_PREDICTED, _CLASSIFIED, _REGRESSED = answers.Predicted(), answers.Classified(), answers.Regressed()


def install(api: Api, plane: DataPlane, limit: int) -> None:
    """Put the verbs on `api`; bodies may have `limit` bytes."""
    for verb, resource in (("predict", Predict), ("classify", Classify), ("regress", Regress)):
        paths, needs = (f"{path}:{verb}" for path in WHICH), {"plane": plane, "limit": limit}
        api.add_resource(resource, *paths, endpoint=f"v1-{verb}", resource_class_kwargs=needs)


def predict_call(segments: Mapping[str, str], sent: Headers) -> Call:
    """Return what a path with `segments` asks of :predict; raises NotFound."""
    target, accept = target_of(**segments), sent.get("Accept-Encoding")
    return Call(
        target,
        lambda body: predict.load(body, target),
        lambda given, request: answer(predict.dump(given, request), given.version),
        _PREDICTED, accept, _BATCH,
    )


def _apart(
    given: InferenceResponse, request: InferenceRequest, _: Sequence[Assignment | None],
) -> list[Answer] | None:
    bodies, named = batch.scatter(given, request), headers(given.version)
    return None if bodies is None else [Answer(body, named) for body in bodies]


_BATCH = Batch(batch.cut, batch.gather, _apart)


class _Verb(Resource):
    """A resource that asks the data plane."""

    init_every_request = False

    def __init__(self, plane: DataPlane, limit: int) -> None:
        self._plane, self._limit = plane, limit

    def _body(self) -> bytes:
        return read_body(self._limit)

    def _asked_for_examples(
        self, segments: Mapping[str, str], signature: str,
        dump: Callable[[InferenceResponse, InferenceRequest], bytes], schema: Schema,
    ) -> Response:
        target = target_of(**segments)

        def load(body: bytes) -> InferenceRequest:
            _require(self._plane, target, signature)
            return examples.load(body, target, signature)

        call = Call(target, load, lambda given, made: answer(dump(given, made), given.version), schema,
                    request.headers.get("Accept-Encoding"))  # fmt: skip
        return asked(self._plane, call, self._body)


class Predict(_Verb):
    """Predictions for rows (`instances`) or columns (`inputs`)."""

    def post(self, **segments: str) -> Response:
        """Return the predictions of the version that the path names."""
        return asked(self._plane, predict_call(segments, request.headers), self._body)


class Classify(_Verb):
    """Classes with their scores, for examples of named features."""

    def post(self, **segments: str) -> Response:
        """Return label and score of every class, an example."""
        return self._asked_for_examples(segments, examples.CLASSIFY, examples.dump_classes, _CLASSIFIED)


class Regress(_Verb):
    """Numbers, for examples of named features."""

    def post(self, **segments: str) -> Response:
        """Return one number an example."""
        return self._asked_for_examples(segments, examples.REGRESS, examples.dump_numbers, _REGRESSED)


def _require(plane: DataPlane, target: Target, signature: str) -> None:
    loaded = plane.model(target)
    classifier = loaded.manifest.classes is not None
    if signature == examples.CLASSIFY and "predict_proba" not in loaded.signature.output_names:
        raise VerbNotSupported(f"model '{target.model}' gives no class probabilities; ask it to :predict")
    if signature == examples.REGRESS and (classifier or loaded.signature.outputs[0].datatype == "BYTES"):
        raise VerbNotSupported(f"model '{target.model}' is no regressor; ask it to :predict or :classify")
