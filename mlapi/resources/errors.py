"""The error table: exception class to status, and the one body that every fault gets."""

import logging
import re
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from mlapi import errors
from mlapi.resources.access import request_id
from mlapi.resources.api import json_response
from mlapi.schemas import jsonbody

STATUS: dict[type[Exception], int] = {
    errors.InvalidRequest: 400,
    errors.ModelRefusedInput: 400,
    errors.VerbNotSupported: 400,
    errors.NotFound: 404,
    errors.RolloutConflict: 409,
    errors.BodyTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.ModelFailed: 500,
    errors.NotExplainable: 501,
    errors.ModelNotReady: 503,
    errors.RegistryGone: 503,
    errors.RolloutNotWritten: 503,
    errors.MlapiError: 500,
}
"""By method resolution order: the nearest class of an exception's own that stands here decides."""

RETRY_SECONDS = "1"
TAG = re.compile(r"<[^>]*>")
"""Werkzeug's descriptions are HTML here and there."""

TELLS_WHY = errors.ModelNotReady | errors.NotExplainable | errors.RegistryGone | errors.RolloutNotWritten
"""Server errors whose sentence is for the caller."""

BROKEN = "the server failed to answer; the detail is in its log under this request id"

log = logging.getLogger("mlapi.error")


def install(app: Flask) -> None:
    """Make every error of `app`, on every path, the same JSON object."""
    app.register_error_handler(Exception, on_error)


def on_error(error: Exception) -> Response:
    """Return the answer to any exception; what is not the caller's fault is logged with its traceback."""
    if isinstance(error, HTTPException):
        return _from_http(error)
    status = status_of(error)
    if status >= 500 and not isinstance(error, TELLS_WHY):  # noqa: PLR2004 (server errors)
        log.error("request failed", exc_info=error, extra={"request_id": request_id()})
        return answer(status, BROKEN, request_id=request_id())
    more = {"faults": list(error.faults)} if isinstance(error, errors.InvalidRequest) and error.total > 1 else {}
    response = answer(status, str(error), **more)
    if status == 503:  # noqa: PLR2004 (Service Unavailable)
        response.headers["Retry-After"] = RETRY_SECONDS
    if isinstance(error, errors.UnsupportedEncoding):  # and for no other 415: RFC 9110, section 12.5.3
        response.headers["Accept-Encoding"] = "gzip, deflate"
    return response


def status_of(error: Exception) -> int:
    """Return the status of an exception: that of the first of its classes in the table, else 500."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def answer(status: int, sentence: str, **more: object) -> Response:
    """Return the error object with one sentence and, where they help, further members."""
    return json_response(jsonbody.encode({"error": sentence, **more}), status)


def _from_http(error: HTTPException) -> Response:
    response = answer(error.code or 500, _words(error))
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = ", ".join(sorted(value.split(", "))) if name == "Allow" else value  # it is a set
    return response


def _words(error: Any) -> str:  # noqa: ANN401 (some HTTPException)
    if isinstance(error, NotFound):
        return "nothing is served at this path"
    if isinstance(error, MethodNotAllowed):
        return f"this method is not allowed here; allowed: {', '.join(sorted(error.valid_methods or ()))}"
    return " ".join(TAG.sub("", error.description or error.name).split())
