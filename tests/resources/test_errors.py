"""The error table: every exception, on every kind of app, is the same JSON object with its own status."""

import inspect
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_restful import Resource
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.test import TestResponse

from mlapi import errors
from mlapi.resources.api import Api
from mlapi.resources.errors import BROKEN

SECRET = "secret-4f1d"  # noqa: S105 (a word to look for)

RAISED: dict[type[errors.MlapiError], tuple[Any, int]] = {
    errors.MlapiError: ((SECRET,), 500),
    errors.InvalidRequest: ((["a is wrong"],), 400),
    errors.SignatureMismatch: ((["a is wrong", "b too"],), 400),
    errors.UnsupportedMediaType: (("send JSON",), 415),
    errors.UnsupportedEncoding: (("send gzip",), 415),
    errors.BodyTooLarge: ((5,), 413),
    errors.NotFound: (("nothing there",), 404),
    errors.ModelNotFound: (("iriss", "iris"), 404),
    errors.VersionNotFound: (("iris", "9", (1, 2)), 404),
    errors.LabelNotFound: (("iris", "live", ("stable",)), 404),
    errors.RolloutNotFound: (("no such rollout",), 404),
    errors.RolloutConflict: (("it is paused",), 409),
    errors.ReplayFailed: (("m", 3, (SECRET,)), 500),
    errors.RolloutNotWritten: (("starting a rollout", OSError(30, "Read-only file system")), 503),
    errors.ModelNotReady: (("iris", 2, "it is being loaded"), 503),
    errors.RegistryGone: ((), 503),
    errors.VerbNotSupported: (("no probabilities",), 400),
    errors.NotExplainable: (("no explainer",), 501),
    errors.ModelRefusedInput: (("math domain error",), 400),
    errors.ModelFailed: ((SECRET,), 500),
    errors.GivenUp: ((SECRET,), 500),
    errors.InvalidAnswer: ((SECRET,), 500),
    errors.RegistryError: ((SECRET,), 500),
    errors.InvalidName: ((SECRET,), 500),
    errors.VersionRefused: (("iris", 2, SECRET), 500),
    errors.VersionInUse: (("iris", 2, (SECRET,)), 500),
    errors.PublishRefused: ((SECRET,), 500),
    errors.StorageFailed: ((SECRET, OSError(28, "No space left on device")), 500),
    errors.TrainingError: ((SECRET,), 500),
    errors.ConfigError: ((SECRET,), 500),
    errors.ServerUnreachable: ((SECRET,), 500),
}

FOREIGN: list[Exception] = [
    RuntimeError(SECRET), ValueError(SECRET), KeyError(SECRET), TypeError(SECRET), RecursionError(SECRET),
    MemoryError(SECRET), OSError(5, SECRET, f"/srv/{SECRET}"), ZeroDivisionError(),
    UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, "bad"), ValidationError(SECRET, data={"input": SECRET}),
]  # fmt: skip


class Thrower(Resource):
    """Raises what it is told to."""

    def __init__(self, thrown: list[Exception]) -> None:
        self._thrown = thrown

    def get(self) -> None:
        raise self._thrown[0]


@pytest.fixture(scope="module", params=[True, False], ids=["TESTING", "production"])
def throwing(
    request: pytest.FixtureRequest, make_app: Callable[..., Flask], tmp_path_factory: pytest.TempPathFactory,
) -> tuple[FlaskClient, list[Exception]]:
    """Return a client of an app like any other, with one resource more, and what that raises."""
    app = make_app(tmp_path_factory.mktemp("empty"))
    app.config["TESTING"] = request.param
    thrown: list[Exception] = []
    Api(app).add_resource(Thrower, "/thrower", resource_class_kwargs={"thrown": thrown})
    return app.test_client(), thrown


@pytest.fixture
def throw(throwing: tuple[FlaskClient, list[Exception]]) -> Callable[[Exception], TestResponse]:
    client, thrown = throwing

    def answer(error: Exception) -> TestResponse:
        thrown[:] = [error]
        return client.get("/thrower", headers={"X-Request-Id": "given-1"})

    return answer


def test_the_table_of_this_test_has_every_class() -> None:
    classes = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.MlapiError)}
    assert RAISED.keys() == classes


@pytest.mark.parametrize("kind", RAISED, ids=lambda kind: kind.__name__)
def test_an_error_of_ours_has_its_status_and_one_sentence(
    throw: Callable[[Exception], TestResponse], kind: type[errors.MlapiError],
) -> None:
    arguments, status = RAISED[kind]
    error = kind(*arguments)
    response = throw(error)
    body = json.loads(response.data)
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/json"
    assert body["error"] == (BROKEN if status == 500 else str(error))
    assert ("request_id" in body) == (status == 500)
    assert SECRET.encode() not in response.data
    assert response.headers.get("Retry-After") == ("1" if status == 503 else None)
    assert response.headers["X-Request-Id"] == "given-1"


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
def test_any_other_exception_is_a_500_that_tells_nothing_but_the_id(
    throw: Callable[[Exception], TestResponse], error: Exception, caplog: pytest.LogCaptureFixture,
) -> None:
    response = throw(error)
    assert (response.status_code, response.headers["Content-Type"]) == (500, "application/json")
    assert json.loads(response.data) == {"error": BROKEN, "request_id": "given-1"}
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert record.__dict__["request_id"] == "given-1"


def test_a_fault_of_the_caller_leaves_no_traceback_in_the_log(
    throw: Callable[[Exception], TestResponse], caplog: pytest.LogCaptureFixture,
) -> None:
    for error in (errors.InvalidRequest(["a"]), errors.ModelNotFound("m"), errors.ModelNotReady("m", 1, "why")):
        throw(error)
    assert [record for record in caplog.records if record.exc_info or record.levelno >= logging.WARNING] == []


def test_several_faults_are_also_a_list(throw: Callable[[Exception], TestResponse]) -> None:
    body = json.loads(throw(errors.SignatureMismatch(["a is wrong", "b too"])).data)
    assert body == {"error": "2 faults: (1) a is wrong; (2) b too", "faults": ["a is wrong", "b too"]}


def test_only_a_refused_encoding_is_answered_with_the_encodings_that_are_read(
    throw: Callable[[Exception], TestResponse],
) -> None:
    """RFC 9110, section 12.5.3: a 415 for the media type must not carry the header."""
    assert throw(errors.UnsupportedEncoding("x")).headers["Accept-Encoding"] == "gzip, deflate"
    assert "Accept-Encoding" not in throw(errors.UnsupportedMediaType("x")).headers


@pytest.mark.parametrize("kind", default_exceptions.values(), ids=lambda kind: str(kind.code))
def test_an_exception_of_the_framework_keeps_its_status_and_becomes_the_same_object(
    throw: Callable[[Exception], TestResponse], kind: type[HTTPException],
) -> None:
    response = throw(kind())
    body = json.loads(response.data)
    assert (response.status_code, response.headers["Content-Type"]) == (kind.code, "application/json")
    assert isinstance(body["error"], str)
    assert body["error"].strip()
    assert "<" not in body["error"]
    assert "\n" not in body["error"]


def test_headers_of_an_exception_of_the_framework_are_kept(throw: Callable[[Exception], TestResponse]) -> None:
    response = throw(default_exceptions[405](valid_methods=["PUT", "GET"]))
    assert set(response.headers["Allow"].replace(" ", "").split(",")) == {"GET", "PUT"}
    assert json.loads(response.data)["error"] == "this method is not allowed here; allowed: GET, PUT"
    assert throw(default_exceptions[503](retry_after=7)).headers["Retry-After"] == "7"
    assert throw(default_exceptions[416](length=5)).headers["Content-Range"] == "bytes */5"


def test_an_error_before_the_resource_is_reached_is_answered_alike(
    make_app: Callable[..., Flask], tmp_path: Path,
) -> None:
    def broken() -> None:
        raise RuntimeError(SECRET)

    app = make_app(tmp_path)
    app.before_request_funcs[None].insert(0, broken)
    response = app.test_client().get("/v2")
    assert (response.status_code, response.headers["Content-Type"]) == (500, "application/json")
    assert SECRET.encode() not in response.data
