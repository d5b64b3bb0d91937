"""One structured line in the log for every request, and the id that ties it to an answer."""

import logging
import re
import time
import uuid

from flask import Flask, Response, g, has_request_context, request

from mlapi.inference.values import InferenceEvent

GIVEN_ID = re.compile(r"[!-~]{1,128}", re.ASCII)
HEADER = "X-Request-Id"

log = logging.getLogger("mlapi.access")


def install(app: Flask) -> None:
    """Log every request of `app`, and name it in a header of its answer."""
    app.before_request(_begin)
    app.after_request(_end)


def request_id() -> str:
    """Return the id of the current request: the caller's where it is plain ASCII, else a new one."""
    if "request_id" not in g:
        given = request.headers.get(HEADER, "")
        g.request_id = given if GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
    return str(g.request_id)


def note(event: InferenceEvent) -> None:
    """Keep what an inference was for the line of its request; an observer of the data plane."""
    if has_request_context():
        g.inference = event


def _begin() -> None:
    g.began = time.perf_counter_ns()


def _end(response: Response) -> Response:
    response.headers[HEADER] = request_id()
    if log.isEnabledFor(logging.INFO):
        log.info("request", extra=_fields(response))
    return response


def _fields(response: Response) -> dict[str, object]:
    fields: dict[str, object] = {
        "method": request.method,
        "path": request.path,
        "status": response.status_code,
        "bytes": response.content_length,
        "ms": _ms(time.perf_counter_ns() - g.began) if "began" in g else None,
        "request_id": request_id(),
        "remote": request.remote_addr,
    }
    event: InferenceEvent | None = g.get("inference")
    if event is not None:
        fields |= {"model": event.target.model, "version": event.version, "rows": event.rows,
                   "predict_ms": _ms(event.predict_ns)}  # fmt: skip
    return fields


def _ms(nanoseconds: int) -> float:
    return round(nanoseconds / 1e6, 3)
