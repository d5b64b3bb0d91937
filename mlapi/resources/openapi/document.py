"""GET /openapi.json: the document of the API as it is now, made again when what is served has changed."""

import threading
from typing import Any

from apispec import APISpec
from flask import Flask, Response, current_app
from flask_restful import Resource

from mlapi import __version__
from mlapi.bootstrap import Services
from mlapi.errors import ModelNotReady, NotFound
from mlapi.inference.values import Target
from mlapi.registry.live import LiveRegistry
from mlapi.registry.loading import LoadedModel
from mlapi.registry.status import ModelStatus
from mlapi.resources.api import Api, json_response
from mlapi.resources.invocations import target_in
from mlapi.resources.openapi import components, models
from mlapi.resources.openapi.operations import OPERATIONS, TAGS
from mlapi.resources.openapi.paths import operation, request_body, responses, routes, words
from mlapi.schemas import jsonbody
from mlapi.schemas.elements import Json
from mlapi.schemas.examples import v1_body

LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
PREDICT = "v1-predict"
ABOUT = (
    "Every path, and for the newest {newest} ready versions of each model paths of their own, with typed bodies and "
    "an example from their reference rows: {shown} of {ready} ready versions, at most {most}. The others are asked "
    "through the general paths. Every status of 400 or more is a Fault."
)


def install(api: Api, services: Services) -> None:
    """Put the document on `api`."""
    needs = {"live": services.live, "invoked": services.config.invocations_model}
    api.add_resource(Document, "/openapi.json", endpoint="openapi", resource_class_kwargs=needs)


class Document(Resource):
    """This document."""

    init_every_request = False

    def __init__(self, live: LiveRegistry, invoked: str | None) -> None:
        self._live, self._invoked = live, invoked
        self._lock = threading.Lock()
        self._made: tuple[int, bytes] = (-1, b"")

    def get(self) -> Response:
        """Return the OpenAPI 3.1 document of the whole API, with the models that are ready now."""
        return json_response(self._current())

    def _current(self) -> bytes:
        token, body = self._made
        if token == self._live.token:
            return body
        with self._lock:  # one makes it, the others wait for that
            token = self._live.token  # before the models are read: a change in between makes it again
            if self._made[0] != token:
                document = describe(current_app, self._live.models(), self._behind_invocations())
                self._made = token, jsonbody.encode(document)
            return self._made[1]

    def _behind_invocations(self) -> LoadedModel | None:
        names = [model.name for model in self._live.models()]
        target = target_in(self._invoked) if self._invoked else Target(names[0]) if len(names) == 1 else None
        try:
            return None if target is None else self._live.get(target)
        except (NotFound, ModelNotReady):
            return None
NO_ID = "as the header X-Mlapi-Prediction-Id gave it"
"""In an example that is to work anywhere: the receipt says that it is none."""


def describe(app: Flask, known: tuple[ModelStatus, ...], invoked: LoadedModel | None = None) -> Json:
    """Return the document of an app that serves the models `known`; `invoked` is the version behind /invocations."""
    typed = models.described(known)
    about = ABOUT.format(
        newest=models.NEWEST, most=models.MOST, shown=len(typed), ready=sum(len(model.ready) for model in known),
    )
    spec = components.start(
        "mlapi", __version__, info={"description": about, "license": LICENSE},
        servers=[{"url": "/"}], tags=[{"name": name, "description": text} for name, text in TAGS.items()],
    )
    bodies, shown = _examples(typed, known, spec.components.schemas)
    if invoked is not None:
        bodies["invocations"] = v1_body(invoked.signature, invoked.reference.inputs)
    bodies |= {**_rollout(known), "v1-outcomes": {"outcomes": [{"prediction_id": NO_ID, "value": 1}]}}
    shown["v1-rollout-verb"] = {"verb": "pause"}
    for path, rule in routes(app):
        method, endpoint = OPERATIONS[rule.endpoint].method, rule.endpoint
        found = operation(app, path, rule, shown.get(endpoint, shown[PREDICT]), bodies.get(endpoint))
        spec.path(path, operations={method: found})
    for loaded in typed:
        _add_version(app, spec, loaded)
    made: Json = spec.to_dict()
    about_it = {"title": made["info"]["title"], "version": made["info"]["version"], **made["info"]}
    return {"openapi": made["openapi"], "info": about_it, **{name: made[name] for name in made if name != "info"}}


def _rollout(known: tuple[ModelStatus, ...]) -> dict[str, Any]:
    """Return an order that starts a rollout: to the newest ready version of a model that has one before it."""
    able = next((model for model in known if len(model.ready) > 1), None)
    if able is None:
        return {}
    control, candidate = able.ready[-2:]
    return {"v1-rollout-start": {"model": able.name, "candidate": str(candidate), "control": str(control)}}


def _add_version(app: Flask, spec: APISpec, loaded: LoadedModel) -> None:
    tag = f"{loaded.manifest.name} {loaded.manifest.version}"
    spec.tag({"name": tag, "description": loaded.manifest.note or loaded.manifest.estimator})
    for one in models.operations(loaded, spec.components.schemas):
        what = OPERATIONS[one.endpoint]
        verb = one.endpoint.split("-")[-1]
        names = [f"{loaded.manifest.name}.{loaded.manifest.version}.{verb}.{part}" for part in ("request", "answer")]
        kinds = (what.request, what.answer)
        for name, kind, members in zip(names, kinds, (one.request, one.answer), strict=True):
            generic = spec.components.schemas[components.name_of(kind)]
            spec.components.schema(name, component=models.narrowed(generic, members, name))
        asked, got = ({"$ref": f"#/components/schemas/{name}"} for name in names)
        spec.path(one.path, operations={what.method: {
            "operationId": f"{loaded.manifest.name}.{loaded.manifest.version}.{verb}", "tags": [tag],
            "summary": f"{verb.capitalize()} with version {loaded.manifest.version} of {loaded.manifest.name}",
            "description": words(app, one.endpoint)[1],
            "requestBody": request_body(what, one.endpoint, asked, one.asks),
            "responses": responses(what, one.endpoint, got, one.gets),
        }})  # fmt: skip


def _examples(
    typed: list[LoadedModel], known: tuple[ModelStatus, ...], generic: Json,
) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """Return bodies and path parameters that work as they stand, by endpoint: those of a version that can do it."""
    bodies: dict[str, Any] = {name: {} for name, what in OPERATIONS.items() if what.optional}
    shown: dict[str, dict[str, str]] = {PREDICT: {}}
    labels = {(model.name, version): label for model in known for label, version in model.labels.items()}
    newest = {loaded.manifest.name: loaded for loaded in typed}.values()
    # a path has all its parameters of one version: those with a label first, since a name goes with its label
    labelled = [one for one in typed if (one.manifest.name, one.manifest.version) in labels]
    for loaded in (*labelled, *newest):
        key = loaded.manifest.name, loaded.manifest.version
        parameters = {"name": key[0], "version": str(key[1])} | ({"label": labels[key]} if key in labels else {})
        for one in models.operations(loaded, generic):
            bodies.setdefault(one.endpoint, one.asks)
            shown[one.endpoint] = shown.get(one.endpoint) or parameters
    return {**bodies, "v1-explain": bodies.get(PREDICT)}, shown
