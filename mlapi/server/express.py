"""The express lane: well-formed inference whose cost is known to be small, answered on the event loop.

It frames; everything else is the application's own: routes by the app's URL map, reads and writes by the calls of
the resources, predicts and observes through the data plane. Whatever it cannot answer with a plain 200 at once goes
to the application, which finds the words.
"""

import logging
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request

from mlapi.errors import NotFound
from mlapi.monitoring.traffic import Traffic
from mlapi.resources import access
from mlapi.resources.api import template_of
from mlapi.resources.body import is_plain
from mlapi.resources.calls import Builder, Call, compressed
from mlapi.resources.v1.inference import PREDICT, predict_call
from mlapi.resources.v2.inference import INFER, infer_call
from mlapi.resources.variants import Sender, headers_of
from mlapi.server import answers
from mlapi.server.lines import Lines
from mlapi.serving.alike import Answered
from mlapi.serving.dataplane import DataPlane

CALLS: Mapping[str, Builder] = {PREDICT: predict_call, INFER: infer_call}
"""The endpoints whose calls may take the lane."""

PROBES = frozenset({"alive", "ready", "v1-alive", "v2-live", "v2-ready"})
"""The endpoints that orchestrators ask, which must answer whatever the threads do; none of them ever waits."""

PLAIN_ID = re.compile(r"[!-~]{1,128}", re.ASCII)
"""A caller's id that goes into header and log as it is; of any other the application takes care."""

OK = 200
LONGEST_BODY = 64 * 1024
"""Bytes; to read more than these takes longer than a probe should wait."""


class Route(NamedTuple):
    """What a head means for the lane: an inference call, or (None) a probe, which the loop answers itself."""

    call: Call | None
    request_id: str | None
    method: str
    path: str
    template: str
    """The path as the API describes it, see `template_of`."""


class Waiting:
    """A whole request in the lane: what it asks, who waits for its answer, and since when, in ns."""

    __slots__ = ("_sender", "begun", "body", "call", "connection", "head", "route")

    def __init__(self, route: Route, call: Call, body: bytes, head: Any, connection: Any, begun: int) -> None:  # noqa: ANN401, PLR0913, PLR0917 (what is known of a request)
        self.route, self.call, self.body = route, call, body
        self.head, self.connection, self.begun = head, connection, begun
        self._sender: Sender | None = None

    @property
    def caller(self) -> Sender:
        """Who asks, which nobody wants to know but a rollout."""
        if self._sender is None:
            self._sender = Sender(self.head.environ, self.body)
        return self._sender

    @property
    def drawn(self) -> int | None:
        """The number that a rollout drew for it, None where none did."""
        return None if self._sender is None else self._sender.drawn


class Reply(NamedTuple):
    """A whole response, and what is told of it: whose it is, its id and the bytes of its body, and ns that it took."""

    response: bytes
    waiting: Waiting
    found: Answered
    request_id: str
    size: int
    took: int


class Express:
    """Knows which requests may take the lane, and answers those that are ready."""

    def __init__(self, app: Flask, plane: DataPlane, traffic: Traffic) -> None:
        self._urls, self._plane, self._traffic = app.url_map, plane, traffic
        self._lines = Lines()

    def route(self, environ: dict[str, Any]) -> Route | None:
        """Return where a request of this head goes beside the threads, or None where it goes to them."""
        request = Request(environ)
        try:
            rule, segments = self._urls.bind_to_environ(environ).match(return_rule=True)
        except HTTPException:
            return None
        request_id = request.headers.get(access.HEADER)
        if request_id is not None and PLAIN_ID.fullmatch(request_id) is None:
            return None
        endpoint, template = rule.endpoint, template_of(rule.rule)
        if endpoint in PROBES and request.method == "GET":
            return Route(None, request_id, "GET", request.path, template)
        plain = request.content_length is not None and request.environ["SERVER_PROTOCOL"] == "HTTP/1.1"
        if endpoint not in CALLS or not plain or not is_plain(request):
            return None
        try:
            return Route(CALLS[endpoint](segments, request.headers), request_id, "POST", request.path, template)
        except NotFound:
            return None

    def answered(self, waiting: Sequence[Waiting], *, draining: bool) -> list[Reply | None]:
        """Return the answer to each request, in order; None for one that the application must answer."""
        answered = self._plane.exchange_ready(waiting)
        beginnings: dict[tuple[answers.Fields, bool], str] = {}
        replies: list[Reply | None] = []
        now = time.perf_counter_ns()
        for one, found in zip(waiting, answered, strict=True):
            if found is None:
                replies.append(None)
                continue
            call, keep = one.call, one.head.keeps and not draining
            body, headers, _ = found.answer if call.accept is None else compressed(found.answer, call.accept)
            request_id = one.route.request_id or access.new_id()
            beginning = beginnings.get((headers, keep))
            if beginning is None:
                beginning = beginnings[headers, keep] = answers.begun(headers, keep=keep)
            assignment = found.assignment
            named = () if assignment is None else headers_of(assignment)
            response = answers.ok(beginning, named, request_id, body)
            took = (now if call.accept is None else time.perf_counter_ns()) - one.begun  # with the compression
            replies.append(Reply(response, one, found, request_id, len(body), took))
        return replies

    def tell(self, replies: Sequence[Reply]) -> None:
        """Tell the observers, the counters and the log of answers that were sent."""
        self._plane.tell([reply.found for reply in replies])
        by_route: dict[str, list[int]] = {}
        for reply in replies:
            by_route.setdefault(reply.waiting.route.template, []).append(reply.took)
        for template, each in by_route.items():
            self._traffic.answered("POST", template, OK, *each)
        if access.log.isEnabledFor(logging.INFO):
            for _, one, found, request_id, size, took in replies:
                line = access.Line(
                    "POST", one.route.path, OK, size, took, request_id, one.connection.remote, lane=True,
                )
                self._lines.add(access.fields_of(line, found.event))
            self._lines.flush()
