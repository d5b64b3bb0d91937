"""Request heads: judged by gunicorn's own parser, remembered by their bytes, and turned into WSGI environments.

A client that keeps its connection sends the same head again and again, often to the byte; what such a head
means is looked up, and everything else is read by the one parser that plain gunicorn would use. So is a head that
differs from a known one in nothing but the values of its X- headers, such as the user or the request that it names.
"""

import io
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from gunicorn.http import errors, wsgi
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

from mlapi.server.express import Route

END = b"\r\n\r\n"
LONGEST_KNOWN = 2048
MOST_KNOWN = 4096
VARYING = re.compile(rb"\r\n(X-(?!Forwarded)[A-Za-z0-9-]{1,48}|Traceparent): ([!-~]{1,128})(?=\r\n)", re.IGNORECASE)
"""Headers whose plain values neither the parser nor the server looks at; of X-Forwarded-Proto and such it does."""

SHORTEST_LIMIT = 1024
"""Bytes that a header field may have at least where a head is taken for another."""

REQUEST_ID = "HTTP_X_REQUEST_ID"

K = TypeVar("K")
V = TypeVar("V")
Peer = tuple[str, int] | str
Environ = dict[str, Any]


class MalformedHead(Exception):
    """A head that is no HTTP request; `status` and one sentence for the caller."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Sink:
    """Stands where gunicorn's response expects a socket, and keeps what it would send."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        """Keep `data`."""
        self.parts.append(bytes(data))

    def send(self, data: bytes) -> int:
        """Keep nothing: what gunicorn sends while it builds an environment is the interim 100, sent before."""
        return len(data)


class Head:
    """One judged head: how its body is framed, what gunicorn makes of it, and its place in the express lane.

    `length` is the bytes of the body, None for a chunked one.
    """

    __slots__ = ("environ", "expects", "keeps", "length", "request", "route")

    def __init__(self, request: Any, environ: Environ, route: Route | None) -> None:  # noqa: ANN401 (gunicorn's Request)
        self.request, self.environ, self.route = request, environ, route
        self.length = _length(request)
        self.expects = bool(request._expected_100_continue)  # noqa: SLF001 (gunicorn has no other word for it)
        self.keeps = not request.should_close()

    def with_headers(self, values: Environ) -> "Head":
        """Return this head with other values in its environment."""
        other = object.__new__(Head)
        other.request, other.length, other.expects, other.keeps = self.request, self.length, self.expects, self.keeps
        other.environ, other.route = {**self.environ, **values}, self.route
        if self.route is not None and REQUEST_ID in values:
            other.route = self.route._replace(request_id=values[REQUEST_ID])
        return other


class Template(NamedTuple):
    """A judged head without the values that vary; `keys` are where those stand in the environment."""

    head: Head
    keys: tuple[str, ...]


class Heads:
    """Judges heads for one listener and remembers the short ones."""

    def __init__(self, cfg: Any, server: Peer, route: Callable[[Environ], Route | None]) -> None:  # noqa: ANN401 (gunicorn's Config)
        self._cfg, self._server, self._route = cfg, server, route
        self._known: dict[bytes, Head] = {}
        self._templates: dict[tuple[bytes, ...], Template] = {}
        self._looked_at = frozenset(f"HTTP_{name.upper().replace('-', '_')}" for name in cfg.secure_scheme_headers)
        request_line = cfg.limit_request_line + 2
        self.longest = request_line + cfg.limit_request_fields * (cfg.limit_request_field_size + 2) + len(END)

    def known(self, head: bytes) -> Head | None:
        """Return what a head means that is known, or differs from a known one in values that vary; else None."""
        found = self._known.get(head)
        if found is not None or not self._templates or len(head) > LONGEST_KNOWN:
            return found
        shape, values = _varied(head)
        template = self._templates.get(shape)
        return None if template is None else _filled(template, values)

    def judge(self, head: bytes) -> Head:
        """Return what a head that ends in an empty line means; raises MalformedHead."""
        request = parsed(head, self._cfg)
        _, environ = wsgi.create(request, Sink(), ("", 0), self._server, self._cfg)
        environ["wsgi.multithread"] = True
        for name in ("gunicorn.socket", "wsgi.early_hints"):  # there is no socket to write to ahead of the answer
            environ.pop(name, None)
        judged = Head(request, environ, self._route(environ))
        if len(head) <= LONGEST_KNOWN:
            self._remember(head, judged)
        return judged

    def _remember(self, text: bytes, head: Head) -> None:
        shape, values = _varied(text)
        keys = tuple(f"HTTP_{name.decode().upper().replace('-', '_')}" for name in shape[1::2])
        if keys and self._may_vary(keys) and [head.environ[key].encode() for key in keys] == values:
            _keep(self._templates, shape, Template(head, keys))
        else:  # nothing varies, or a header stands twice, which makes one value of both
            _keep(self._known, text, head)

    def _may_vary(self, keys: tuple[str, ...]) -> bool:
        return self._looked_at.isdisjoint(keys) and self._cfg.limit_request_field_size >= SHORTEST_LIMIT

    def refusal(self, begun: bytes) -> MalformedHead | None:
        """Return why a head that has not ended yet can be refused already, or None."""
        line_end = begun.find(b"\r\n")
        if line_end > self._cfg.limit_request_line or (line_end < 0 and len(begun) > self._cfg.limit_request_line):
            return MalformedHead(414, f"the request line is longer than {self._cfg.limit_request_line} bytes")
        if len(begun) > self.longest:
            return MalformedHead(431, "the header fields are larger than the server takes")
        return None


def parsed(data: bytes, cfg: Any) -> Any:  # noqa: ANN401 (gunicorn's Config, and its Request)
    """Return gunicorn's request for the bytes of one; raises MalformedHead."""
    try:
        return Request(cfg, IterUnreader(iter([data])), ("", 0))
    except errors.ParseException as error:
        raise _refused(error, cfg) from error
    except (StopIteration, ValueError) as error:  # it ran out of bytes, or met a number of thousands of digits
        raise MalformedHead(400, "the request head is malformed") from error


def environ_of(head: Head, body: bytes, peer: Peer) -> Environ:
    """Return the WSGI environment of a request with a body of known length."""
    environ = head.environ.copy()
    environ["wsgi.input"] = io.BytesIO(body)
    name_peer(environ, peer)
    return environ


def name_peer(environ: Environ, peer: Peer) -> None:
    """Put the caller's address into an environment (PEP 3333; RFC 3875, section 4.1.8)."""
    if isinstance(peer, str):
        environ["REMOTE_ADDR"] = peer
        environ.pop("REMOTE_PORT", None)
    else:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = peer[0], str(peer[1])


def response_bytes(app: Any, environ: Environ, request: Any, cfg: Any, *, keep: bool) -> tuple[bytes, bool]:  # noqa: ANN401 (WSGI, and gunicorn's types)
    """Return all that a WSGI application answers, framed by gunicorn, and whether the connection may be kept."""
    sink = Sink()
    response = wsgi.Response(request, sink, cfg)
    if not keep:
        response.force_close()
    answer = app(environ, response.start_response)
    try:
        for part in answer:
            response.write(part)
        response.close()
    finally:
        if hasattr(answer, "close"):
            answer.close()
    return b"".join(sink.parts), not response.should_close()


def _keep(known: dict[K, V], key: K, value: V) -> None:
    if len(known) >= MOST_KNOWN:
        known.clear()
    known[key] = value


def _varied(head: bytes) -> tuple[tuple[bytes, ...], list[bytes]]:
    """Return a head around the values that vary, every second part the name of one, and those values."""
    parts = VARYING.split(head)
    values = parts[2::3]
    del parts[2::3]
    return tuple(parts), values


def _filled(template: Template, values: list[bytes]) -> Head:
    return template.head.with_headers(dict(zip(template.keys, map(bytes.decode, values), strict=True)))


def _length(request: Any) -> int | None:  # noqa: ANN401 (gunicorn's Request)
    for name, value in request.headers:
        if name == "CONTENT-LENGTH":
            return int(value)
        if name == "TRANSFER-ENCODING":
            return None
    return 0


def _refused(error: errors.ParseException, cfg: Any) -> MalformedHead:  # noqa: ANN401 (gunicorn's Config)
    """The statuses of gunicorn's own `Worker.handle_error`, in words that repeat nothing of the request."""
    if isinstance(error, errors.LimitRequestLine):
        return MalformedHead(414, f"the request line is longer than {cfg.limit_request_line} bytes")
    if isinstance(error, errors.LimitRequestHeaders):
        most, size = cfg.limit_request_fields, cfg.limit_request_field_size
        return MalformedHead(431, f"the header fields are too many or too large; at most {most} of {size} bytes each")
    if isinstance(error, errors.ExpectationFailed):
        return MalformedHead(417, "the expectation cannot be met; only 100-continue is known")
    if isinstance(error, errors.UnsupportedTransferCoding):
        return MalformedHead(501, "the transfer coding is not supported; send chunked or a Content-Length")
    what = {
        errors.InvalidRequestLine: "the request line is malformed",
        errors.InvalidRequestMethod: "the request method is malformed",
        errors.InvalidHTTPVersion: "the HTTP version is not supported; use HTTP/1.1",
        errors.InvalidHeaderName: "a header name is malformed",
        errors.InvalidHeader: "a header is malformed or contradicts another",
        errors.ObsoleteFolding: "a header is folded over lines, which is obsolete",
    }
    return MalformedHead(400, next((text for kind, text in what.items() if isinstance(error, kind)),
                                   "the request head is malformed"))  # fmt: skip
