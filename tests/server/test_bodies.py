"""Bodies that come in pieces: what is handed on, what is behind them, and what is held meanwhile."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlapi.server.bodies import SMALL, Body
from mlapi.server.connection import AHEAD, LARGE, Connection
from tests.server.test_heads import head, heads

PATTERN = bytes(range(251)) * 2000


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Return `data` in pieces of these sizes, over and over."""
    pieces, at, turn = [], 0, 0
    while at < len(data):
        pieces.append(data[at : at + sizes[turn % len(sizes)]])
        at, turn = at + sizes[turn % len(sizes)], turn + 1
    return pieces


@given(
    length=st.integers(0, 30_000), first=st.integers(0, 5000), behind=st.integers(0, 9000),
    sizes=st.lists(st.integers(1, 2 * SMALL), min_size=1, max_size=5),
)
def test_a_body_is_its_pieces_and_not_what_is_behind_them(
    length: int, first: int, behind: int, sizes: list[int],
) -> None:
    first = min(first, length)
    data = PATTERN[: length + behind]
    body = Body(length, data[:first])
    rest = b"".join(body.take(piece) for piece in cut(data[first:], sizes))
    assert (body.is_whole, body.joined(), rest) == (True, data[:length], data[length:])


def test_small_pieces_cost_no_object_each() -> None:
    body = Body(10 * SMALL, b"")
    for at in range(8 * SMALL):
        assert body.take(PATTERN[at : at + 1]) == b""
        assert not body.is_whole
    assert len(body._pieces) == 1


class Server:
    """Stands where the worker does: keeps the bodies, and answers each at once, or when it is told to."""

    limit, read_seconds, idle_seconds, write_seconds, draining = 10**7, 10.0, 10.0, 10.0, False

    def __init__(self, *, at_once: bool) -> None:
        self.bodies: list[bytes] = []
        self.refusals: list[int] = []
        self.held, self.most, self._at_once = 0, 10**9, at_once

    def request(self, connection: Connection, _: Any, body: bytes, __: bytes | None) -> None:
        self.bodies.append(body)
        if self._at_once:
            connection.answer(b"", keep=True)

    def reserve(self, size: int) -> bool:
        self.held += size
        return self.held <= self.most

    def refused(self, status: int) -> None:
        self.refusals.append(status)

    def closed(self, _: Connection) -> None:
        """Nothing is kept of it."""


class Wire:
    """Stands where the loop's transport does."""

    def __init__(self) -> None:
        self.written, self.reads, self.closed = b"", True, False

    def get_extra_info(self, _: str) -> None:
        return None

    def write(self, data: bytes) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True


def connected(server: Server) -> tuple[Connection, Wire]:
    connection, wire = Connection(server, heads()), Wire()
    connection.connection_made(wire)
    return connection, wire


def posted(body: bytes) -> bytes:
    return head(("Host", "a"), ("Content-Length", str(len(body)))) + body


@settings(max_examples=60)
@given(
    lengths=st.lists(st.sampled_from([0, 10, LARGE, LARGE + 1, 150_000]), min_size=1, max_size=4),
    sizes=st.lists(st.sampled_from([1000, SMALL - 1, SMALL, 20_000, LARGE, 300_000]), min_size=1, max_size=3),
    at_once=st.booleans(),
)
def test_requests_of_any_size_in_pieces_of_any_size_are_handed_on_whole(
    lengths: list[int], sizes: list[int], at_once: bool,
) -> None:
    server = Server(at_once=at_once)
    connection, _ = connected(server)
    bodies = [PATTERN[number : number + length] for number, length in enumerate(lengths)]
    for piece in cut(b"".join(map(posted, bodies)), sizes):
        connection.data_received(piece)
    while not at_once and connection.busy:
        connection.answer(b"", keep=True)
    assert server.bodies == bodies
    assert server.held == 0


def test_what_is_held_of_a_large_body_is_counted_and_refused_where_it_is_too_much() -> None:
    server = Server(at_once=True)
    server.most = 100_000
    connection, wire = connected(server)
    for piece in cut(posted(PATTERN[:200_000]), [30_000]):
        connection.data_received(piece)
    assert wire.written.startswith(b"HTTP/1.1 503 ")
    assert (server.bodies, server.held, server.refusals) == ([], 0, [503])


def test_a_large_body_that_is_not_whole_when_its_caller_leaves_is_given_back() -> None:
    server = Server(at_once=True)
    connection, _ = connected(server)
    connection.data_received(posted(PATTERN[:200_000])[:-1])
    assert server.held > LARGE
    connection.connection_lost(None)
    assert (server.bodies, server.held) == ([], 0)


def test_what_is_sent_ahead_of_an_answer_waits_and_is_read_no_further() -> None:
    server = Server(at_once=False)
    connection, wire = connected(server)
    connection.data_received(posted(b"first"))
    for piece in cut(posted(PATTERN[: AHEAD + 50_000]), [50_000]):
        connection.data_received(piece)
    assert (server.bodies, wire.reads) == ([b"first"], False)
    connection.answer(b"", keep=True)
    assert (len(server.bodies), wire.reads, server.held) == (2, True, 0)


@pytest.mark.parametrize("large", [False, True])
def test_what_came_while_an_answer_was_not_read_is_handed_on_when_it_is(large: bool) -> None:
    server = Server(at_once=False)
    connection, wire = connected(server)
    connection.data_received(posted(b"first"))
    connection.pause_writing()
    connection.answer(b"", keep=True)
    data = posted(PATTERN[: AHEAD + 100_000 if large else 10])
    seen = 0
    while seen < len(data) and wire.reads:
        connection.data_received(data[seen : seen + 50_000])
        seen += 50_000
    assert (len(server.bodies), wire.reads) == (1, not large)
    connection.resume_writing()
    assert wire.reads
    for piece in cut(data[seen:], [50_000]):
        connection.data_received(piece)
    assert [len(body) for body in server.bodies] == [5, AHEAD + 100_000 if large else 10]
    assert server.held == 0


def test_a_body_that_got_whole_while_the_interim_answer_was_not_read_is_handed_on() -> None:
    server = Server(at_once=True)
    connection, _ = connected(server)
    body = PATTERN[: LARGE + 10]
    connection.data_received(posted(body)[:-10])
    connection.pause_writing()
    connection.data_received(body[-10:])
    connection.resume_writing()
    assert (server.bodies, server.held) == ([body], 0)


def test_an_empty_line_between_requests_holds_nothing() -> None:
    """A connection that has sent one is idle (RFC 9112, section 2.2), and leaves when the process does."""
    server = Server(at_once=True)
    connection, wire = connected(server)
    connection.data_received(posted(b"first") + b"\r\n")
    assert (server.bodies, server.held) == ([b"first"], 0)
    connection.drain(0.0)
    assert (wire.closed, wire.written) == (True, b"")


@pytest.mark.parametrize("late", [False, True])
def test_a_large_body_may_take_longer_the_more_of_it_is_there(late: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(at_once=True)
    monkeypatch.setattr("mlapi.server.connection.time.monotonic", lambda: 1000.0)
    connection, wire = connected(server)
    connection.data_received(posted(PATTERN[:200_000])[:-1])
    seconds = server.read_seconds + server.held / (64 * 1024)
    connection.sweep(1000.0 + seconds + (0.1 if late else -0.1))
    assert wire.written.startswith(b"HTTP/1.1 408 ") == late
    assert server.refusals == [408] * late
