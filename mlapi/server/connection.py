"""One client's connection: reads whole requests, hands them on one at a time, and writes what comes back.

Nothing is spent on a request before all of it is there, so that a slow or silent client costs a few hundred bytes
and no thread. Requests sent ahead (pipelined) wait in the buffer and are answered in order.
"""

import asyncio
import time
from typing import Any

from mlapi.server import answers
from mlapi.server.bodies import Body
from mlapi.server.chunks import Chunks, MalformedChunksError
from mlapi.server.heads import END, Head, Heads, MalformedHead, Peer
from mlapi.server.whole import Whole

LARGE = 64 * 1024
"""Bytes of a body beyond which its pieces are kept as they came, where it does not come at once."""

AHEAD = 256 * 1024
"""Bytes that may wait behind a request in work before the connection is read no further."""

LEAST_RATE = 64 * 1024
"""Bytes a second that a caller must keep up beyond the first seconds, in sending and in reading."""

LONGEST_UNREAD = 4096
"""Bytes of an unfinished head that are not yet worth a look."""

FIRST_SECONDS = 2.0
"""How long a connection that has brought no request yet is kept while the process leaves: one is most likely coming."""

LINGER_SECONDS = 2.0
"""How long what a caller still sends is read and dropped after a last answer, so that it can read that answer."""


class Connection(asyncio.Protocol):
    """Frames the requests of one client."""

    def __init__(self, whole: Whole, heads: Heads) -> None:
        self._whole, self._heads = whole, heads
        self._transport: Any = None
        self.peer: Peer = ""
        self._buffer = bytearray()
        self._reserved = 0
        self._head: Head | None = None
        self._start = 0  # of the body
        self._chunks: Chunks | None = None
        self._body: Body | None = None
        self.busy = False
        self._served = False
        self._since = time.monotonic()  # of the first byte awaited or got, or of the last answer
        self._lingering = False
        self._stalled: tuple[float, int] | None = None
        self._paused, self._ended = False, False

    @property
    def is_last(self) -> bool:
        """Whether the request in work is the last of this connection, whatever its head says."""
        return self._lingering

    @property
    def has_ended(self) -> bool:
        """Whether the caller has left, or sends no more and may have left."""
        return self._ended or self._transport is None

    @property
    def remote(self) -> str:
        """The address of the caller; empty on a Unix socket."""
        return self.peer if isinstance(self.peer, str) else self.peer[0]

    # -- what the event loop tells ---------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 (uvloop's transport has no types)
        """Remember where the bytes go."""
        self._transport = transport
        name = transport.get_extra_info("peername")
        self.peer = (str(name[0]), int(name[1])) if isinstance(name, tuple) and name else ""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        """Forget what was buffered; an answer in work has nobody to go to."""
        self._transport = None
        self._drop()
        self._whole.closed(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a whole request in one piece whose head is known is handed on without being copied."""
        if self._lingering:
            return
        if not self._reserved and not self.busy and self._stalled is None:
            if self._served:
                self._since = time.monotonic()
            end = data.find(END) + len(END)
            head = self._heads.known(data[:end])
            if head is not None and head.length == len(data) - end:
                self._hand_on(head, data[end:], None)
                return
        self._buffer += data if self._body is None else self._body.take(data)
        self._reserved += len(data)
        fits = self._whole.reserve(len(data))
        if self.busy or self._stalled is not None:
            if self._reserved > AHEAD:
                self._pause_reading()
        elif fits:
            self._advance()
        else:
            self._last(503, "the server holds as many unfinished requests as it may; try again", retry=True)

    def eof_received(self) -> bool:
        """Tell the loop to close, but for a caller that has sent all of a request and waits."""
        self._ended = True
        return self.busy or self._stalled is not None

    def pause_writing(self) -> None:
        """Note that the caller does not read as fast as it is answered."""
        self._stalled = (time.monotonic(), self._transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Go on with what waits."""
        self._stalled = None
        if not self.busy and not self._lingering:
            self._resume_reading()
            if self._reserved:
                self._advance()

    # -- what the worker tells -------------------------------------------------------------------

    def answer(self, data: bytes, *, keep: bool) -> None:
        """Write the response to the request in work, and turn to the next one or close."""
        self.busy = False
        if self._transport is None:
            return
        self._transport.write(data)
        if not keep or self._whole.draining:
            self._finish()
            return
        self._served, self._since = True, time.monotonic()
        self._resume_reading()
        if self._buffer and self._stalled is None:
            self._advance()
        if self._ended and not self.busy and self._transport is not None:
            self._transport.close()

    def sweep(self, now: float) -> None:
        """Close what takes longer than it may: a request, the silence between two, the reading of an answer."""
        if self._transport is None:
            return
        if self._stalled is not None:
            self._sweep_writing(now, *self._stalled)
        elif self._lingering and not self.busy:
            if now - self._since > LINGER_SECONDS:
                self._transport.close()
        elif not self.busy:
            self._sweep_reading(now)

    def drain(self, now: float) -> None:
        """Close as soon as nothing of a request is here, and none is on its way that nobody else would answer.

        A caller may send again on a new connection what it sent on one that it had used before (RFC 9110, section
        9.2.2), but takes the loss of one that is new for an error.
        """
        if self.busy or self._reserved or self._transport is None:
            return
        if self._served or now - self._since > FIRST_SECONDS:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # -- framing ---------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Hand on the request at the front of the buffer if all of it is there."""
        try:
            head = self._head or self._read_head()
            if head is None:
                return
            self._read_body(head)
        except MalformedHead as error:
            self._last(error.status, str(error))

    def _read_head(self) -> Head | None:
        while self._buffer.startswith(b"\r\n"):  # RFC 9112, section 2.2
            self._cut(2)
        end = self._buffer.find(END)
        if end < 0:
            refusal = self._heads.refusal(bytes(self._buffer)) if len(self._buffer) > LONGEST_UNREAD else None
            if refusal is not None:
                raise refusal
            return None
        text = bytes(self._buffer[: end + len(END)])
        head = self._heads.known(text) or self._heads.judge(text)
        self._head, self._start = head, len(text)
        self._chunks = Chunks(len(text), self._whole.limit) if head.length is None else None
        if head.expects and (head.length or 0) <= self._whole.limit and len(self._buffer) == self._start:
            self._transport.write(answers.CONTINUE)
        return head

    def _read_body(self, head: Head) -> None:
        length = head.length or 0  # None for chunks
        if self._chunks is not None:
            self._read_chunks(head, self._chunks)
        elif self._body is not None:
            if self._body.is_whole:
                self._give_back(len(self._buffer))
                self._hand_on(head, self._body.joined(), None)
        elif length > self._whole.limit:
            self._hand_on(head, b"", None, leave=True)
        elif len(self._buffer) - self._start >= length:
            end = self._start + length
            body = bytes(memoryview(self._buffer)[self._start : end])
            self._cut(end)
            self._hand_on(head, body, None)
        elif length > LARGE:
            self._body = Body(length, bytes(memoryview(self._buffer)[self._start :]))
            self._buffer = bytearray()

    def _read_chunks(self, head: Head, chunks: Chunks) -> None:
        try:
            end = chunks.end(self._buffer)
        except MalformedChunksError:
            self._hand_on(head, b"", bytes(self._buffer), leave=True)
            return
        if end is not None:
            raw = bytes(memoryview(self._buffer)[:end])
            self._cut(end)
            self._hand_on(head, b"", raw)

    def _hand_on(self, head: Head, body: bytes, raw: bytes | None, *, leave: bool = False) -> None:
        """Give a request away; `leave`: what follows it on the wire is not to be understood."""
        self._head = self._chunks = self._body = None
        self.busy = True
        if leave:
            self._drop()
            self._lingering = True
        self._whole.request(self, head, body, raw)

    def _cut(self, end: int) -> None:
        del self._buffer[:end]
        self._give_back(len(self._buffer))

    def _drop(self) -> None:
        self._buffer, self._body = bytearray(), None
        self._give_back(0)

    def _give_back(self, left: int) -> None:
        self._whole.reserve(left - self._reserved)
        self._reserved = left

    # -- endings ---------------------------------------------------------------------------------

    def _last(self, status: int, sentence: str, *, retry: bool = False) -> None:
        """Answer without the application, and close."""
        if self._transport is None:
            return
        self._whole.refused(status)
        self._transport.write(answers.fault(status, sentence, retry=retry))
        self._finish()

    def _finish(self) -> None:
        """Close; where the caller may still be sending, only after it had the time to read the answer."""
        if self._lingering or self._reserved or self._paused:
            self._head = self._chunks = None
            self._drop()
            self._lingering, self._since = True, time.monotonic()
            self._resume_reading()
            if self._transport.can_write_eof():
                self._transport.write_eof()
        else:
            self._transport.close()

    def _sweep_reading(self, now: float) -> None:
        if not self._reserved and self._served:
            if now - self._since > self._whole.idle_seconds:
                self._transport.close()
        elif now - self._since > self._whole.read_seconds + self._reserved / LEAST_RATE:
            self._last(408, f"the request was not complete after {self._whole.read_seconds:g} seconds")

    def _sweep_writing(self, now: float, since: float, size: int) -> None:
        left = self._transport.get_write_buffer_size()
        if size - left >= LEAST_RATE * self._whole.write_seconds:
            self._stalled = (now, left)
        elif now - since > self._whole.write_seconds:
            self._transport.abort()

    def _pause_reading(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
