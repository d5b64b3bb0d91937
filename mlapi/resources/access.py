"""Every request counted, and told by one structured line in the log; and the id that ties it to an answer."""

import itertools
import logging
import os
import re
import secrets
import time
from functools import partial
from typing import NamedTuple

from flask import Flask, Response, g, has_request_context, request

from mlapi.inference.values import InferenceEvent
from mlapi.monitoring.traffic import Traffic
from mlapi.resources.api import template_of

HEADER = "X-Request-Id"
MESSAGE = "request"
BEGUN = "mlapi.begun"
"""The member of a WSGI environment that keeps when a request was whole, in ns of the performance counter."""

UNKNOWN = "unknown"
"""The route of requests for a path that there is none for."""

LONGEST_ID = 8190
"""Octets of a caller's id that are echoed: as many as the server lets a header have."""
GIVEN_ID = re.compile(rf"[\t -~\x80-\xff]{{1,{LONGEST_ID}}}")
"""What RFC 9110 (5.5) allows in a header: visible characters, blanks between them, and octets of other alphabets."""

log = logging.getLogger("mlapi.access")


def install(app: Flask, traffic: Traffic) -> None:
    """Count and log every request of `app`, and name it in a header of its answer."""
    app.before_request(_begin)
    app.after_request(partial(_end, traffic))


def request_id() -> str:
    """Return the id of the current request as text: the caller's where a header may hold it, else a new one.

    Octets beyond ASCII are read as UTF-8, or as Latin-1 where they are none.
    """
    octets = _octets().encode("latin-1")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _octets() -> str:
    """The id as WSGI has headers, a character an octet, so that it goes back as it came (PEP 3333)."""
    if "request_id" not in g:
        given = request.headers.get(HEADER, "").strip(" \t")
        g.request_id = given if GIVEN_ID.fullmatch(given) else new_id()
    return str(g.request_id)


def new_id() -> str:
    """Return an id of 32 hexadecimal digits that no other process and no other call returns."""
    return f"{_ids.prefix}{next(_ids.numbers):012x}"


class _Ids:
    """Counts within a random prefix: a hundredth of what as many random ids cost."""

    def __init__(self) -> None:
        self.begin()
        os.register_at_fork(after_in_child=self.begin)  # a forked process must not go on where its parent was

    def begin(self) -> None:
        """Start anew."""
        self.prefix, self.numbers = secrets.token_hex(10), itertools.count()


_ids = _Ids()


def note(event: InferenceEvent) -> None:
    """Keep what an inference was for the line of its request; an observer of the data plane."""
    if has_request_context():
        g.inference = event


def _begin() -> None:
    g.began = request.environ.get(BEGUN) or time.perf_counter_ns()


def _end(traffic: Traffic, response: Response) -> Response:
    response.headers[HEADER] = _octets()
    took = time.perf_counter_ns() - g.began if "began" in g else None
    route = UNKNOWN if request.url_rule is None else template_of(request.url_rule.rule)
    traffic.answered(request.method, route, response.status_code, took or 0)
    if log.isEnabledFor(logging.INFO):
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
