"""The paths of the document: each route of the app with its method, bodies and statuses."""

import re
from collections.abc import Mapping
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from mlapi.resources.api import template_of
from mlapi.resources.openapi.components import reference
from mlapi.resources.openapi.operations import FAULTS, OPERATIONS, Operation
from mlapi.rollouts.desk import VERBS
from mlapi.schemas.elements import Json
from mlapi.schemas.fault import Fault
from mlapi.schemas.invocations import TABLES

JSON, OCTETS, BINARY = "application/json", "application/octet-stream", {"type": "string", "format": "binary"}
TEXT = {name: {"schema": {"type": "string"}} for name in ("text/plain", "application/openmetrics-text")}
JSON_LENGTH = {
    "name": "Inference-Header-Content-Length", "in": "header", "required": False,
    "description": "Bytes of the JSON part, where raw tensors follow it.", "schema": {"type": "integer", "minimum": 0},
}  # fmt: skip
PARAMETERS = {
    "name": "The name of a model.",
    "version": "The number of a version.",
    "label": "A label that points to a version.",
    "rollout": "The id of a rollout.",
    "verb": "What is done with it.",
}
GRAMMAR = {
    "name": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
    "version": {"type": "string", "pattern": "^[1-9][0-9]{0,18}$"},
    "label": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
    "rollout": {"type": "string", "pattern": "^ro_[a-z0-9]{4,32}$"},
    "verb": {"type": "string", "enum": list(VERBS)},
}
"""What may exist; anything else is answered 404."""

QUERIES: Mapping[str, list[Json]] = {
    "v1-rollouts": [
        {"name": "model", "in": "query", "required": False, "description": "Only the rollouts of this model.",
         "schema": GRAMMAR["name"]},
    ],
    "v1-assignment": [
        {"name": "key", "in": "query", "required": False, "description": "Who asks; or else prediction_id.",
         "schema": {"type": "string"}, "example": "u42"},
        {"name": "prediction_id", "in": "query", "required": False,
         "description": "An id that an answer gave; or else key.", "schema": {"type": "string", "minLength": 1}},
    ],
}  # fmt: skip


def routes(app: Flask) -> list[tuple[str, Rule]]:
    """Return the routes that the document describes, with their paths; load behind unload.

    So whoever tries everything from top to bottom has all models in service at the end.
    """
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint in OPERATIONS]
    rules.sort(key=lambda rule: rule.endpoint == "v2-load")
    return [(template_of(rule.rule), rule) for rule in rules]


def operation(app: Flask, path: str, rule: Rule, shown: Mapping[str, str], example: Any) -> Json:  # noqa: ANN401 (any JSON)
    """Return the operation behind a route; `shown` are examples of its parameters, `example` is one of its body."""
    what = OPERATIONS[rule.endpoint]
    summary, description = words(app, rule.endpoint)
    found: Json = {
        "operationId": _identifier(what.method, path),
        "tags": [what.tag], "summary": summary, "description": description,
        "responses": responses(what, rule.endpoint),
    }  # fmt: skip
    parameters = [_parameter(name, shown.get(name)) for name in re.findall(r"{(\w+)}", path)]
    parameters += [JSON_LENGTH] if rule.endpoint == "v2-infer" else []
    parameters += QUERIES.get(rule.endpoint, [])
    if parameters:
        found["parameters"] = parameters
    if what.request is not None:
        found["requestBody"] = request_body(what, rule.endpoint, reference(what.request), example)
    return found


def words(app: Flask, endpoint: str) -> tuple[str, str]:
    """Return what an endpoint's class and method say of themselves."""
    view: Any = vars(app.view_functions[endpoint])["view_class"]  # Flask's as_view leaves it there
    method = getattr(view, OPERATIONS[endpoint].method)
    return view.__doc__.split("\n")[0].rstrip("."), " ".join(method.__doc__.split())


def request_body(what: Operation, endpoint: str, schema: Json, example: Any) -> Json:  # noqa: ANN401 (any JSON)
    """Return the body of a request: JSON, and what else the endpoint reads."""
    shown = {} if example is None else {"example": example}
    content: Json = {JSON: {"schema": schema, **shown}}
    if endpoint == "v2-infer":
        content[OCTETS] = {"schema": BINARY}
    if endpoint == "invocations":
        content |= {table: {"schema": BINARY} for table in sorted(TABLES)}
    return {"required": not what.optional, "content": content}


def responses(what: Operation, endpoint: str, schema: Json | None = None, example: Any = None) -> Json:  # noqa: ANN401 (any JSON)
    """Return the answers of an operation by status; `schema` is that of success, where it is a narrower one."""
    generic: Json = {"type": "object"} if what.answer is None else reference(what.answer)
    if what.many:
        generic = {"type": "array", "items": generic}
    content: Json = {JSON: {"schema": schema or generic, **({} if example is None else {"example": example})}}
    if endpoint == "v2-infer":
        content[OCTETS] = {"schema": BINARY}
    found: Json = {str(what.done): {"description": "Done.", "content": TEXT if what.text else content}}
    for status in sorted(what.faults):
        kind = what.unready if status == 503 and what.unready else Fault  # noqa: PLR2004 (Service Unavailable)
        found[str(status)] = {"description": FAULTS[status], "content": {JSON: {"schema": reference(kind)}}}
    return found


def _identifier(method: str, path: str) -> str:
    return "-".join([method, *re.findall(r"[\w.]+", path), *(["slash"] if path.endswith("/") else [])])


def _parameter(name: str, example: str | None) -> Json:
    shown = {} if example is None else {"example": example}
    schema = GRAMMAR[name]
    return {"name": name, "in": "path", "required": True, "description": PARAMETERS[name], "schema": schema, **shown}
