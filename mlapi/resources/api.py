"""Flask-RESTful, with its error handling handed back to Flask, and the path segments of both faces."""

import re
from functools import cache, lru_cache
from typing import Any

import flask_restful
from flask import Response, current_app
from marshmallow import Schema
from werkzeug.routing import BaseConverter

from mlapi.errors import ModelNotFound, VersionNotFound
from mlapi.inference.faults import quoted
from mlapi.inference.values import Target
from mlapi.registry.names import is_name, version_number
from mlapi.schemas import jsonbody
from mlapi.schemas.envelope import check_answer

JSON = "application/json"
VALIDATE = "MLAPI_VALIDATE_RESPONSES"
_SEGMENT = re.compile(r"<segment:(\w+)>")


class Api(flask_restful.Api):
    """Lets the app's one error table answer for every resource.

    Flask-RESTful 0.3.10 answers errors of its own endpoints itself, and otherwise in tests than in
    production; Flask 3.2 will pass one argument more, hence `*args`.
    """

    def error_router(self, original_handler: Any, *args: Any) -> Any:  # noqa: ANN401 (Flask's own handlers)
        """Return what Flask would have answered."""
        return original_handler(*args)


@cache
def template_of(rule: str) -> str:
    """Return the path of a routing rule with its parameters in braces, such as `/v1/models/{name}:predict`."""
    return _SEGMENT.sub(r"{\1}", rule)


class Segment(BaseConverter):
    """One path segment that ends at a slash or at the colon before a verb. The grammar comes later."""

    regex = "[^/:]+"


@lru_cache(1024)
def target_of(name: str, version: str | None = None, label: str | None = None) -> Target:
    """Return what the path names, the same object for the same; raises ModelNotFound or VersionNotFound."""
    if not is_name(name):
        raise ModelNotFound(quoted(name)[1:-1])
    if version is None:
        return Target(name, None, None if label is None else quoted(label)[1:-1])
    number = version_number(version)
    if number is None:
        raise VersionNotFound(name, quoted(version)[1:-1])
    return Target(name, number)


def document(schema: Schema, value: object, status: int = 200, version: int | None = None) -> Response:
    """Return `value` as `schema` writes it, checked as it left (see `valid`)."""
    return json_response(valid(jsonbody.encode(schema.dump(value)), schema), status, version)


def valid(body: bytes, schema: Schema) -> bytes:
    """Return `body` after checking that it is what `schema` describes; unchecked where the app's setting says so.

    Raises InvalidAnswer.
    """
    if current_app.config.get(VALIDATE, True):
        check_answer(schema, body)
    return body


def json_response(body: bytes, status: int = 200, version: int | None = None) -> Response:
    """Return `body` as exactly `application/json`; a version that answered is named in a header."""
    response = Response(body, status, content_type=JSON)
    if version is not None:
        response.headers["X-Model-Version"] = str(version)
    return response
