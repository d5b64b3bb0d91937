"""Paths and methods: what is not served is a JSON error, never HTML and never a redirect."""

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import example, given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from mlapi.errors import ModelNotFound, VersionNotFound
from mlapi.inference.values import Target
from mlapi.resources.api import target_of

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "HEAD", "BREW")
ROUTES = {
    "/v2": "GET", "/v2/": "GET", "/v2/health/live": "GET", "/v2/health/ready": "GET",
    "/v2/models/iris": "GET", "/v2/models/iris/versions/1": "GET",
    "/v2/models/iris/ready": "GET", "/v2/models/iris/versions/1/ready": "GET",
    "/v2/models/iris/infer": "POST", "/v2/models/iris/versions/1/infer": "POST",
    "/v1/models/iris": "GET", "/v1/models/iris/versions/1": "GET", "/v1/models/iris/labels/stable": "GET",
    "/v1/models/iris:predict": "POST", "/v1/models/iris/versions/1:predict": "POST",
    "/v1/models/iris/labels/stable:predict": "POST",
}  # fmt: skip


def raw(app: Flask, path: bytes, method: str = "GET", host: str = "localhost") -> Response:
    """Send a path as a server hands it over, percent-decoded bytes read as Latin-1; clients would mend it."""
    environ = EnvironBuilder(method=method).get_environ()
    return Response.from_app(app, {**environ, "PATH_INFO": path.decode("latin-1"), "HTTP_HOST": host}, buffered=True)


@pytest.mark.parametrize(("path", "method"), [
    (path, method) for path, right in ROUTES.items() for method in METHODS
    if method != right and (method, right) != ("HEAD", "GET")
])  # fmt: skip
def test_a_wrong_method_is_a_405_that_names_the_right_ones(client: FlaskClient, path: str, method: str) -> None:
    response = client.open(path, method=method)
    right = ROUTES[path]
    expected = {"GET", "HEAD"} if right == "GET" else {"POST"}
    assert response.status_code == 405
    assert response.headers["Content-Type"] == "application/json"
    assert set(response.headers["Allow"].replace(" ", "").split(",")) == expected
    if method != "HEAD":
        sentence = f"this method is not allowed here; allowed: {', '.join(sorted(expected))}"
        assert json.loads(response.data) == {"error": sentence}


@pytest.mark.parametrize("path", [path for path, method in ROUTES.items() if method == "GET"])
def test_every_page_is_json_without_a_charset_and_head_is_its_headers(client: FlaskClient, path: str) -> None:
    response, head = client.get(path), client.head(path)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert (head.status_code, head.headers["Content-Type"], head.data) == (200, "application/json", b"")
    assert client.get(f"{path}?a=b&a=%FF").data == response.data


@pytest.mark.parametrize("path", [
    b"*", b"/v3", b"/v2x", b"/v2//", b"/v2//health/live", b"/v2/health//live",
    b"/v2/health/live/", b"/v2/models/", b"/v2/models/iris/", b"/v2/models//ready", b"/v2/models/iris//ready",
    b"/v2/models/iris/infer/",
    b"/v2/models/iris/versions/", b"/v2/models/iris/versions",
    b"/v2/models/iris/labels/stable", b"/v2/models/iris:predict",
    b"/v2/models/iris/ready\n", b"/v2/health/live\n", b"/v2\n", b"/v2/models/iris/versions/1/ready\r\n",
    b"/v1/models/iris/versions/1/labels/stable", b"/v1/models/iris:classify2", b"/v1/models/iris:",
    b"/v1/models/:predict",
    b"/v1/models/iris:predict:predict", b"/v1/models/iris:predict/", b"/v1/models/iris:predict\n", b"/V2", b"/v2/../v2",
    b"/v2/./health/live", b"/static/x", b"/favicon.ico", b"/v2/models/\xff\xfe/x/y", b"/v2/models/a/b/c/d",
])  # fmt: skip
def test_a_path_that_is_not_served_is_a_404_and_no_redirect(app: Flask, path: bytes) -> None:
    response = raw(app, path)
    assert (response.status_code, response.headers["Content-Type"]) == (404, "application/json")
    assert json.loads(response.data) == {"error": "nothing is served at this path"}


@pytest.mark.parametrize("path", [b"/v2", b"/v2/", b"//v2", b"//v2/health/live"])
def test_slashes_at_the_end_and_at_the_beginning_are_answered_in_place(app: Flask, path: bytes) -> None:
    """The client of Triton does not follow redirects; Werkzeug reads several leading slashes as one."""
    response = raw(app, path)
    assert (response.status_code, response.headers.get("Location")) == (200, None)


NAMES = [b"..", b".", b"...", b".hidden", b"-x", b"_x", b"i..s", b"iris\0", b"\0", b"iris\r\nX-Evil=1", b"iris\n",
         b"iris ", b"stats", b"STATS", b"HEAD", b"\xff\xfe", "írís".encode(), b"a" * 129, b"iris%00", b"%2e%2e",
         b"iris\\..", b"~"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("method", "path"), [
    ("GET", b"/v2/models/%s"), ("GET", b"/v2/models/%s/ready"), ("POST", b"/v2/models/%s/infer"),
    ("GET", b"/v1/models/%s"), ("POST", b"/v1/models/%s:predict"),
])  # fmt: skip
def test_a_name_outside_the_grammar_is_an_unknown_model(
    app: Flask, method: str, path: bytes, name: bytes,
) -> None:
    if (path, name) == (b"/v2/models/%s", b"stats"):
        return  # the statistics of all models stand there, which is why no model may have the name
    response = raw(app, path.replace(b"%s", name), method)
    sentence = json.loads(response.data)["error"]
    assert (response.status_code, response.headers["Content-Type"]) == (404, "application/json")
    assert sentence.startswith("model '")
    assert sentence.endswith("' is unknown")
    assert sentence.replace("…", "").isascii()
    assert sentence.isprintable()
    assert "X-Evil" not in response.headers


VERSIONS = [b"0", b"01", b"+1", b"-1", b"1.0", b" 1", b"1 ", b"1\n", b"1e0", b"0x1", b"one", b"1_0",
            "\u0661".encode(), "\uff11".encode(), "\u00b2".encode(), b"9" * 23, str(2**63).encode(), b"..", b"\0",
            b"1\0"]  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("method", "path"), [
    ("GET", b"/v2/models/iris/versions/%s"), ("GET", b"/v2/models/iris/versions/%s/ready"),
    ("POST", b"/v2/models/iris/versions/%s/infer"), ("GET", b"/v1/models/iris/versions/%s"),
    ("POST", b"/v1/models/iris/versions/%s:predict"),
])  # fmt: skip
def test_a_version_that_is_no_plain_number_is_an_unknown_version(
    app: Flask, method: str, path: bytes, version: bytes,
) -> None:
    response = raw(app, path.replace(b"%s", version), method)
    assert (response.status_code, response.headers["Content-Type"]) == (404, "application/json")
    assert json.loads(response.data)["error"].startswith("model 'iris' has no version '")


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=30), st.sampled_from(["GET", "POST"]))
@example("/v2/models/%s/infer", "POST")
@settings(max_examples=150)
def test_no_path_at_all_is_anything_but_json_below_500(app: Flask, path: str, method: str) -> None:
    for prefix in ("/", "/v2/models/", "/v1/models/iris", "/v2/models/iris/versions/", "/v1/models/iris/labels/"):
        response = raw(app, (prefix + path).encode("latin-1"), method)
        assert response.status_code == 200 or 400 <= response.status_code < 500
        assert response.headers["Content-Type"] == "application/json"
        assert json.loads(response.data)


@pytest.mark.parametrize("host", ["", "a b", "[", "a:b:c", "\x01", "evil.example:99999", "ü", "localhost:x"])
def test_a_strange_host_is_answered_with_json(app: Flask, host: str) -> None:
    response = raw(app, b"/v2", host=host)
    assert response.status_code in {200, 400}
    assert response.headers["Content-Type"] == "application/json"


def test_a_path_becomes_a_target() -> None:
    assert target_of("iris") == Target("iris")
    assert target_of("iris", "9223372036854775807") == Target("iris", 2**63 - 1)
    assert target_of("iris", None, "stable") == Target("iris", None, "stable")


def test_names_and_versions_that_cannot_exist_are_not_found() -> None:
    for name in ("..", "stats", "a" * 129):
        with pytest.raises(ModelNotFound):
            target_of(name)
    for version in ("0", "01", "٣", "9" * 19):
        with pytest.raises(VersionNotFound):
            target_of("iris", version)
