"""/invocations: one model at the path that MLflow's and SageMaker's clients call."""

from flask import Response, request
from flask_restful import Resource

from mlapi.errors import ConfigError, InvalidRequest
from mlapi.inference.values import Target
from mlapi.registry.names import is_label, is_name, version_number
from mlapi.resources.api import Api
from mlapi.resources.body import MEDIA_TYPES, read_body
from mlapi.resources.calls import Call, answer, asked
from mlapi.schemas import invocations
from mlapi.serving.dataplane import DataPlane

_PREDICTIONS = invocations.Predictions()
SETTING = "MLAPI_INVOCATIONS_MODEL"
SHOWN = 10
ADVICE = f"send JSON as application/json, or a table as {', '.join(sorted(invocations.TABLES))}"


def install(api: Api, plane: DataPlane, limit: int, model: str | None) -> None:
    """Put /invocations on `api`: it asks `model`, such as iris, iris/2 or iris@stable; None is the only one there is.

    Bodies may have `limit` bytes. Raises ConfigError for a `model` that cannot name one.
    """
    needs = {"plane": plane, "limit": limit, "target": None if model is None else target_in(model)}
    api.add_resource(Invocations, "/invocations", endpoint="invocations", resource_class_kwargs=needs)


def target_in(text: str) -> Target:
    """Return what NAME, NAME/VERSION or NAME@LABEL means; raises ConfigError for anything else."""
    name, slash, version = text.partition("/")
    name, at, label = (name, "", "") if slash else text.partition("@")
    number = version_number(version)
    if not is_name(name) or (slash and number is None) or (at and not is_label(label)):
        msg = f"{SETTING} is '{text}'; expected a model, such as iris, iris/2 or iris@stable"
        raise ConfigError(msg)
    return Target(name, number, label or None)


class Invocations(Resource):
    """Predictions for rows in any of MLflow's forms."""

    init_every_request = False

    def __init__(self, plane: DataPlane, limit: int, target: Target | None) -> None:
        self._plane, self._limit, self._target = plane, limit, target

    def post(self) -> Response:
        """Return one prediction a row."""
        target = self._only_one() if self._target is None else self._target
        accept = request.headers.get("Accept-Encoding")
        call = Call(
            target,
            lambda body: invocations.load(body, request.mimetype, target, self._limit),
            lambda given, made: answer(invocations.dump(given, made), given.version),
            _PREDICTIONS, accept,
        )
        return asked(self._plane, call, lambda: read_body(self._limit, MEDIA_TYPES | invocations.TABLES, ADVICE))

    def _only_one(self) -> Target:
        names = [model.name for model in self._plane.live.models()]
        if len(names) == 1:
            return Target(names[0])
        more = "" if len(names) <= SHOWN else f" and {len(names) - SHOWN} more"
        there = f"the models are {', '.join(names[:SHOWN])}{more}" if names else "the registry has no model"
        raise InvalidRequest([f"/invocations does not know which model is meant: {there}; set {SETTING} to one"])

