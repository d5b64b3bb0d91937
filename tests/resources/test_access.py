"""The access log: one record a request, what it was, and never what was in it."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pythonjsonlogger.json import JsonFormatter
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from mlapi.resources.access import LONGEST_ID
from mlapi.server.logs import configuration

MARKER = "marker-93a7"
ROW = {"size": 50.0, "year": 1980.5, "rooms": 3, "city": "oslo", "garden": True}


@pytest.fixture
def access(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], dict[str, Any]]]:
    """Return what gives the one record since the test began, as the server writes it: a JSON line."""
    options = configuration("info")["formatters"]["json"]
    formatter = JsonFormatter(options["format"], rename_fields=options["rename_fields"])

    def record() -> dict[str, Any]:
        (line,) = [formatter.format(record) for record in caplog.records if record.name == "mlapi.access"]
        assert "\n" not in line
        return dict(json.loads(line))

    with caplog.at_level(logging.INFO, "mlapi"):
        yield record


def test_an_inference_is_one_record_with_model_version_and_rows(
    client: FlaskClient, access: Callable[[], dict[str, Any]],
) -> None:
    response = client.post("/v1/models/homes:predict", json={"instances": [ROW, ROW]}, headers={"X-Request-Id": "id-7"})
    line = access()
    assert {key: line[key] for key in ("method", "path", "status", "request_id", "model", "version", "rows")} == {
        "method": "POST", "path": "/v1/models/homes:predict", "status": 200, "request_id": "id-7", "model": "homes",
        "version": 1, "rows": 2,
    }  # fmt: skip
    assert line["bytes"] == len(response.data)
    assert 0 < line["predict_ms"] <= line["ms"]


def test_a_refused_inference_is_recorded_with_what_is_known_of_it(
    client: FlaskClient, access: Callable[[], dict[str, Any]],
) -> None:
    client.post("/v1/models/homes:predict", json={"instances": [{**ROW, "city": MARKER}]})
    line = access()
    assert (line["status"], line["model"], line["version"], line["rows"]) == (400, "homes", 1, 0)


@pytest.mark.parametrize(("path", "status"), [("/v2", 200), ("/nowhere", 404), ("/v2/models/iris/infer", 405)])
def test_a_request_without_inference_is_one_record_too(
    client: FlaskClient, access: Callable[[], dict[str, Any]], path: str, status: int,
) -> None:
    client.get(path)
    line = access()
    assert (line["status"], line["path"]) == (status, path)
    assert "model" not in line


@pytest.mark.parametrize(("path", "body"), [
    ("/v1/models/homes:predict", {"instances": [{**ROW, "city": MARKER}]}),
    ("/v1/models/homes:predict", {"instances": [{**ROW, "rooms": MARKER}], "signature_name": "x"}),
    ("/v1/models/iris:predict", {"instances": [[1, 2, 3, MARKER]]}),
    ("/v1/models/nobody:predict", {"instances": [MARKER]}),
    ("/v2/models/homes/infer", {"inputs": [{"name": "city", "shape": [1], "datatype": "BYTES", "data": [MARKER]}]}),
    ("/v2/models/homes/infer", MARKER),
    ("/v2/models/homes/infer?" + MARKER, {}),
])  # fmt: skip
def test_neither_the_log_nor_the_answer_holds_what_was_sent(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, path: str, body: Any,
) -> None:
    with caplog.at_level(logging.DEBUG):
        response = client.post(path, json=body, headers={"Authorization": MARKER, "Cookie": MARKER})
    assert 400 <= response.status_code < 500
    assert MARKER.encode() not in response.data
    assert [record for record in caplog.records if MARKER in JsonFormatter().format(record)] == []


def test_control_characters_of_a_path_stay_in_one_line(
    app: Flask, access: Callable[[], dict[str, Any]],
) -> None:
    environ = {"PATH_INFO": "/a\r\n\x1b[31m\0", "REQUEST_METHOD": "GET", "SERVER_NAME": "x", "SERVER_PORT": "80",
               "wsgi.url_scheme": "http", "HTTP_HOST": "x"}  # fmt: skip
    assert Response.from_app(app, environ, buffered=True).status_code == 404
    assert access()["path"] == "/a\r\n\x1b[31m\0"


UTF_8 = "☃ é".encode().decode("latin-1")


@pytest.mark.parametrize("path", ["/v2", "/nowhere", "/v2/models/nobody"])
@pytest.mark.parametrize("given", [
    "a", "x" * 129, "x" * LONGEST_ID, "seldon-123/é", "!~", "a b", "a\tb", UTF_8, "\x80\xff",
])
def test_a_request_id_that_a_header_may_hold_is_echoed_octet_by_octet(
    client: FlaskClient, path: str, given: str,
) -> None:
    assert client.get(path, headers={"X-Request-Id": given}).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", [None, "", " ", "x" * (LONGEST_ID + 1), "a\x7f", "a\x1b[31m", "a\0b", "a\rb", "a\nb"])
def test_a_missing_or_unsafe_request_id_is_replaced_by_a_new_one(app: Flask, given: str | None) -> None:
    environ = EnvironBuilder("/v2").get_environ() | ({} if given is None else {"HTTP_X_REQUEST_ID": given})
    ids = {Response.from_app(app, dict(environ), buffered=True).headers["X-Request-Id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(len(one) == 32 and one.isalnum() for one in ids)


@pytest.mark.parametrize(("given", "text"), [
    (UTF_8, "☃ é"), ("\xe9", "é"), ("\x9b31m\t", "\x9b31m"), ("\u2028".encode().decode("latin-1"), "\u2028"),
])
def test_a_request_id_beyond_ascii_is_text_in_the_log_and_stays_in_one_line(
    client: FlaskClient, access: Callable[[], dict[str, Any]], caplog: pytest.LogCaptureFixture, given: str, text: str,
) -> None:
    client.get("/v2", headers={"X-Request-Id": given})
    assert access()["request_id"] == text
    (record,) = [record for record in caplog.records if record.name == "mlapi.access"]
    assert JsonFormatter(json_ensure_ascii=configuration("info")["formatters"]["json"]["json_ensure_ascii"]).format(
        record
    ).isascii()


def test_a_failure_is_logged_under_the_id_that_the_caller_gets(
    client: FlaskClient, caplog: pytest.LogCaptureFixture,
) -> None:
    response = client.post("/v1/models/exponent:predict", json={"instances": [[1000, 1]]})
    (record,) = [record for record in caplog.records if record.name == "mlapi.error"]
    assert response.get_json()["request_id"] == record.__dict__["request_id"] == response.headers["X-Request-Id"]
