"""GET /docs: Swagger UI on the document, from files that come along; nothing is fetched from elsewhere."""

from importlib.resources import files

from flask import Response, request
from flask_restful import Resource
from markupsafe import escape
from werkzeug.exceptions import NotFound

from mlapi.resources.api import Api

PACKAGE = "flask_swagger_ui"
SHIPPED = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
"""The files of the package that the page needs, and what they are."""

START = "start.js"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # kept, and asked again whether it is still the same
}
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>mlapi</title>
<link rel="stylesheet" href="{root}/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="{root}/docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{root}/docs/swagger-ui-bundle.js"></script>
<script src="{root}/docs/start.js"></script>
</body>
</html>
"""
SCRIPT = """"use strict";
SwaggerUIBundle({
  url: new URL("../openapi.json", document.currentScript.src).href,
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "none",
  tryItOutEnabled: true,
  validatorUrl: null
});
"""


def install(api: Api) -> None:
    """Put the page and its files on `api`."""
    api.add_resource(Page, "/docs", "/docs/", endpoint="docs")
    api.add_resource(File, "/docs/<segment:file>", endpoint="docs-file", resource_class_kwargs={"read": shipped()})


def shipped() -> dict[str, tuple[bytes, str]]:
    """Return bytes and media type of every file of the page, by name."""
    folder = files(PACKAGE) / "dist"
    read = {name: ((folder / name).read_bytes(), kind) for name, kind in SHIPPED.items()}
    return {**read, START: (SCRIPT.encode(), "text/javascript; charset=utf-8")}


class Page(Resource):
    """The page."""

    init_every_request = False

    def get(self) -> Response:
        """Return the HTML, the same with and without a slash behind it."""
        return _answer(PAGE.format(root=escape(request.script_root)).encode(), "text/html; charset=utf-8")


class File(Resource):
    """Its files."""

    init_every_request = False

    def __init__(self, read: dict[str, tuple[bytes, str]]) -> None:
        self._read = read

    def get(self, file: str) -> Response:
        """Return a file; 404 for any other name."""
        if file not in self._read:
            raise NotFound
        return _answer(*self._read[file])


def _answer(body: bytes, kind: str) -> Response:
    response = Response(body, content_type=kind)
    response.headers.update(HEADERS)
    response.add_etag()
    response.make_conditional(request)
    return response
