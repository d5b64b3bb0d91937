"""/docs: Swagger UI from local files, under a strict policy, without a redirect."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.wrappers import Response

FILES = ["swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"]


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_the_page_answers_directly_with_and_without_a_slash(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.mimetype) == (200, "text/html")
    assert client.get("/docs").data == client.get("/docs/").data


def test_the_page_loads_nothing_but_files_that_are_here(client: FlaskClient) -> None:
    page = client.get("/docs").get_data(as_text=True)
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sorted(links) == sorted(f"/docs/{name}" for name in FILES)
    assert [link for link in links if client.get(link).status_code != 200] == []
    assert "http:" not in page
    assert "https:" not in page
    assert not re.search(r"<script>|<style>|\son\w+=", page)


@pytest.mark.parametrize("path", ["/docs", "/docs/", *(f"/docs/{name}" for name in FILES)])
def test_every_file_has_the_strict_policy(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' data:",
        "connect-src": "'self'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
    }  # fmt: skip
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", [
    "/docs/nothing", "/docs/index.html", "/docs//", "/docs///", "/docs/..", "/docs/../wsgi.py",
    "/docs/%2e%2e%2fwsgi.py", "/docs/swagger-ui.css/", "/docs/a/b", "/Docs", "/openapi.json/", "/openapi.yaml",
])  # fmt: skip
def test_any_other_path_is_our_404_and_never_a_redirect(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.headers["Content-Type"]) == (404, "application/json")
    assert response.get_json()["error"]


@pytest.mark.parametrize("path", ["", "/", "//", "///", "//docs", "///docs/"])
@pytest.mark.parametrize("prefix", ["", "/models"])
def test_no_slash_and_several_are_no_redirect_either(app: Flask, path: str, prefix: str) -> None:
    """As a server hands them over: Werkzeug's client would read the second part of //docs as a host."""
    environ = {"PATH_INFO": path, "SCRIPT_NAME": prefix, "REQUEST_METHOD": "GET", "SERVER_NAME": "x",
               "SERVER_PORT": "80", "wsgi.url_scheme": "http", "HTTP_HOST": "x"}  # fmt: skip
    response = Response.from_app(app, environ, buffered=True)
    assert (response.status_code, response.mimetype) == (200, "text/html" if "docs" in path else "application/json")


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/docs/start.js", "/openapi.json"])
def test_another_method_is_our_405(client: FlaskClient, path: str) -> None:
    response = client.post(path)
    assert (response.status_code, response.headers["Content-Type"]) == (405, "application/json")
    assert set(response.headers["Allow"].split(", ")) >= {"GET"}
    assert response.get_json()["error"]


def test_a_browser_that_has_a_file_is_not_sent_it_again(client: FlaskClient) -> None:
    first = client.get("/docs/swagger-ui-bundle.js")
    again = client.get("/docs/swagger-ui-bundle.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_behind_a_proxy_with_a_prefix_the_page_finds_its_files(client: FlaskClient) -> None:
    page = client.get("/docs", base_url="http://localhost/models").get_data(as_text=True)
    assert 'src="/models/docs/start.js"' in page
