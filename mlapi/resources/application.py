"""Flask, without what it does for applications of another kind on every request.

Which resource answers a path is worked out by its rules one after the other, each a regular expression; the same paths
come again and again, so that what was found is remembered. And there is no coroutine among the functions that Flask
calls, so that it need not look at each of them before it does.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.ctx import RequestContext

MOST_PATHS = 1024
LONGEST_PATH = 256
"""Characters. Paths are the caller's to choose, so that what is remembered of them must have an end."""

Known = dict[tuple[str, str, bool], tuple[Any, dict[str, Any]]]


class Application(Flask):
    """The application; `known` are the rule and the segments by path, method, and whether it is a web socket."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 (Flask's)
        super().__init__(*args, **options)
        self.known: Known = {}

    def request_context(self, environ: dict[str, Any]) -> RequestContext:
        """Return a context that looks at what is known first."""
        return _Context(self, environ)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, which is none of the asynchronous ones that Flask would have to wrap."""
        return func


class _Context(RequestContext):
    """One request."""

    app: Application

    def match_request(self) -> None:
        """Find the rule for the path, or the reason why there is none."""
        urls = self.url_adapter
        if urls is None:
            return
        key = urls.path_info, urls.default_method, urls.websocket
        found = self.app.known.get(key)
        if found is not None:
            self.request.url_rule, self.request.view_args = found[0], dict(found[1])
            return
        super().match_request()
        if self.request.routing_exception is None and len(urls.path_info) <= LONGEST_PATH:
            if len(self.app.known) >= MOST_PATHS:
                self.app.known.clear()
            self.app.known[key] = self.request.url_rule, dict(self.request.view_args or {})
