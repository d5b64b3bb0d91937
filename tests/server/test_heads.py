"""A head that is known but for its values means what gunicorn's parser makes of it, or is read by that parser."""

from typing import Any

import pytest
from gunicorn.config import Config
from hypothesis import example, given
from hypothesis import strategies as st

from mlapi.server.heads import MOST_KNOWN, Environ, Head, Heads, MalformedHead

NAMES = st.sampled_from(["X-User-Id", "x-user-id", "X-Request-Id", "Traceparent", "X-Forwarded-Proto", "X-Scheme",
                         "X_User_Id", "X-Forwarded-For", "Host", "Content-Length"])  # fmt: skip
VALUES = st.sampled_from(["a", "7", "a b", "caf\u00e9", "a,b", "https", "on", "", " ", "x" * 200])
NEVER_THE_SAME = {"wsgi.input", "wsgi.errors", "wsgi.input_terminated", "gunicorn.socket"}


def heads(**settings: Any) -> Heads:
    config = Config()
    for name, value in settings.items():
        config.set(name, value)
    return Heads(config, ("127.0.0.1", 8000), lambda _: None)


def head(*headers: tuple[str, str], line: str = "POST /v1/models/iris:predict HTTP/1.1") -> bytes:
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in headers), "", ""]).encode("latin-1")


def meaning(found: Head) -> tuple[Environ, Any]:
    environ = {key: value for key, value in found.environ.items() if key not in NEVER_THE_SAME}
    return environ, (found.length, found.keeps, found.expects)


def parsed(text: bytes, **settings: Any) -> tuple[Environ, Any] | int:
    try:
        return meaning(heads(**settings).judge(text))
    except MalformedHead as error:
        return error.status


def test_another_user_of_a_known_head_is_not_parsed_again() -> None:
    own = heads()
    own.judge(head(("Host", "a"), ("X-User-Id", "u1"), ("X-Request-Id", "r1"), ("Content-Length", "2")))
    other = head(("Host", "a"), ("X-User-Id", "u2"), ("X-Request-Id", "r2"), ("Content-Length", "2"))
    found = own.known(other)
    assert found is not None
    assert (found.environ["HTTP_X_USER_ID"], found.environ["HTTP_X_REQUEST_ID"], found.length) == ("u2", "r2", 2)
    assert meaning(found) == parsed(other)
    again = own.known(head(("Host", "a"), ("X-User-Id", "u1"), ("X-Request-Id", "r1"), ("Content-Length", "2")))
    assert again is not None
    assert again.environ["HTTP_X_USER_ID"] == "u1", "a head that was filled left nothing behind"


@pytest.mark.parametrize("second", [
    head(("Host", "b"), ("X-User-Id", "u1"), ("Content-Length", "2")),
    head(("Host", "a"), ("X-User-Id", "u1"), ("Content-Length", "3")),
    head(("Host", "a"), ("X-User-Id", "u 1"), ("Content-Length", "2")),
    head(("Host", "a"), ("X-User-Id", "u\u00e9"), ("Content-Length", "2")),
    head(("Host", "a"), ("X-User-Id", ""), ("Content-Length", "2")),
    head(("Host", "a"), ("X-User-Id", "u" * 129), ("Content-Length", "2")),
    head(("Host", "a"), ("X-User-Idle", "u1"), ("Content-Length", "2")),
    head(("Host", "a"), ("Content-Length", "2")),
    head(("X-User-Id", "u1"), ("Host", "a"), ("Content-Length", "2")),
    head(("Host", "a"), ("X-User-Id", "u1"), ("X-User-Id", "u2"), ("Content-Length", "2")),
    head(("Host", "a"), ("X-User-Id", "u1"), ("Content-Length", "2"), line="GET /livez HTTP/1.1"),
])  # fmt: skip
def test_what_differs_in_more_than_a_plain_value_goes_to_the_parser(second: bytes) -> None:
    own = heads()
    own.judge(head(("Host", "a"), ("X-User-Id", "u1"), ("Content-Length", "2")))
    assert own.known(second) is None


def test_a_header_that_stands_twice_is_known_by_its_bytes_only() -> None:
    own, twice = heads(), head(("X-User-Id", "a"), ("X-User-Id", "b"), ("Content-Length", "0"))
    judged = own.judge(twice)
    assert judged.environ["HTTP_X_USER_ID"] == "a,b"
    assert own.known(twice) is judged
    assert own.known(head(("X-User-Id", "a"), ("X-User-Id", "c"), ("Content-Length", "0"))) is None


@pytest.mark.parametrize("settings", [
    {"secure_scheme_headers": {"X-User-Id": "ssl"}, "forwarded_allow_ips": "*"}, {"limit_request_field_size": 100},
])  # fmt: skip
def test_headers_that_the_parser_looks_at_do_not_vary(settings: dict[str, Any]) -> None:
    own = heads(**settings)
    own.judge(head(("X-User-Id", "u1"), ("Content-Length", "2")))
    assert own.known(head(("X-User-Id", "ssl"), ("Content-Length", "2"))) is None
    assert own.known(head(("X-User-Id", "u1"), ("Content-Length", "2"))) is not None, "by its bytes"


@given(st.lists(st.tuples(NAMES, VALUES, VALUES), max_size=5))
@example([("X-User-Id", "a", "b"), ("x-user-id", "c", "d")])
@example([("X-User-Id", "a", "b"), ("X_User_Id", "c", "d")])
@example([("Traceparent", "a", "b"), ("X-Request-Id", "c", "d")])
def test_whatever_varies_a_head_means_what_the_parser_says(headers: list[tuple[str, str, str]]) -> None:
    own, length = heads(), ("Content-Length", "2")
    first = head(*((name, value) for name, value, _ in headers), length)
    second = head(*((name, value) for name, _, value in headers), length)
    try:
        own.judge(first)
    except MalformedHead:
        return
    for text in (first, second):
        found = own.known(text)
        assert found is None or meaning(found) == parsed(text)


def test_no_more_shapes_are_kept_than_there_is_room_for() -> None:
    own = heads()
    for number in range(MOST_KNOWN + 10):
        own.judge(head(("X-User-Id", "u1"), (f"X-{number}", "a"), ("Content-Length", "2")))
    assert own.known(head(("X-User-Id", "u2"), ("X-0", "a"), ("Content-Length", "2"))) is None
    assert own.known(head(("X-User-Id", "u2"), (f"X-{MOST_KNOWN + 9}", "b"), ("Content-Length", "2"))) is not None
