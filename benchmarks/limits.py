"""The bare limits: servers that read a body and answer a constant, without a model and without a framework.

`wsgi` runs under gunicorn's gthread worker, as a plain Flask application would. `python limits.py PORT` runs an
event loop (uvloop) with a parser in C (httptools): the most that one Python process answers.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable
from typing import Any

import httptools
import uvloop

ANSWER = b'{"predictions":[1.0]}'
_HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(ANSWER)))]
_BYTES = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Read the body and answer."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", list(_HEADERS))
    return [ANSWER]


class _Connection(asyncio.Protocol):
    """One connection: every complete request is answered at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(_BYTES)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
