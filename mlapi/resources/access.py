"""One structured line in the log for every request, and the id that ties it to an answer."""

import itertools
import logging
import os
import re
import secrets
import time
from typing import NamedTuple

from flask import Flask, Response, g, has_request_context, request

from mlapi.inference.values import InferenceEvent

GIVEN_ID = re.compile(r"[!-~]{1,128}", re.ASCII)
HEADER = "X-Request-Id"
MESSAGE = "request"

log = logging.getLogger("mlapi.access")


def install(app: Flask) -> None:
    """Log every request of `app`, and name it in a header of its answer."""
    app.before_request(_begin)
    app.after_request(_end)


def request_id() -> str:
    """Return the id of the current request: the caller's where it is plain ASCII, else a new one."""
    if "request_id" not in g:
        g.request_id = given_id(request.headers.get(HEADER)) or new_id()
    return str(g.request_id)


def given_id(header: str | None) -> str | None:
    """Return the id that a caller gave in the header, or None where there is none that can be sent back."""
    return header if header is not None and GIVEN_ID.fullmatch(header) else None


def new_id() -> str:
    """Return an id of 32 hexadecimal digits that no other process and no other call returns."""
    if _ids.pid != os.getpid():
        _ids.begin()
    return f"{_ids.prefix}{next(_ids.numbers):012x}"


class _Ids:
    """Counts within a random prefix: a hundredth of what as many random ids cost."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start anew: a forked process must not go on where its parent was."""
        self.pid, self.prefix, self.numbers = os.getpid(), secrets.token_hex(10), itertools.count()


_ids = _Ids()


def note(event: InferenceEvent) -> None:
    """Keep what an inference was for the line of its request; an observer of the data plane."""
    if has_request_context():
        g.inference = event


def _begin() -> None:
    g.began = time.perf_counter_ns()


def _end(response: Response) -> Response:
    response.headers[HEADER] = request_id()
    if log.isEnabledFor(logging.INFO):
        took = time.perf_counter_ns() - g.began if "began" in g else None
        line = Line(request.method, request.path, response.status_code, response.content_length, took, request_id(),
                    request.remote_addr)  # fmt: skip
        log.info(MESSAGE, extra=fields_of(line, g.get("inference")))
    return response


class Line(NamedTuple):
    """What the log says of one request; `took` is nanoseconds, None where it was not measured."""

    method: str
    path: str
    status: int
    size: int | None
    took: int | None
    request_id: str
    remote: str | None
    lane: bool = False
    """Whether the server's express lane answered it."""


def fields_of(line: Line, event: InferenceEvent | None) -> dict[str, object]:
    """Return what the log says of one request, with what it asked of a model where it asked one."""
    fields: dict[str, object] = {
        "method": line.method,
        "path": line.path,
        "status": line.status,
        "bytes": line.size,
        "ms": None if line.took is None else _ms(line.took),
        "request_id": line.request_id,
        "remote": line.remote,
        "lane": line.lane,
    }
    if event is not None:
        fields |= {"model": event.target.model, "version": event.version, "rows": event.rows,
                   "predict_ms": _ms(event.predict_ns)}  # fmt: skip
    return fields


def _ms(nanoseconds: int) -> float:
    return round(nanoseconds / 1e6, 3)
