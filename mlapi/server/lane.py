"""The lane on the event loop: requests that are ready at the same moment are answered together."""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from mlapi.server.express import Express, Reply, Waiting
from mlapi.server.polling import Polling
from mlapi.server.threads import Threads

LANE_SECONDS = 0.005
"""How long the lane may answer before connections are looked at again; observers are told in the next turn."""

MOST_TOGETHER = 64
"""Requests that are looked at together."""


class Lane:
    """Answers requests on `loop`, never waiting for more; `leave` takes those that the application must answer."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, express: Express, threads: Threads, leave: Callable[[Waiting], None],
    ) -> None:
        self.draining = False
        self._loop, self._express, self._threads, self._leave = loop, express, threads, leave
        self._waiting: list[Waiting] = []
        self._polling, self._polls = Polling(), False

    def take(self, one: Waiting) -> None:
        """Take a request, to be answered at the loop's next turn."""
        if not self._waiting:
            self._polling.came(one.begun)
            self._loop.call_soon(self._look_again)
        self._waiting.append(one)

    def _look_again(self) -> None:
        """Look at the sockets once more before several are answered, without waiting.

        Those who were answered a moment ago may have asked again: what they ask is then part of this batch, and not
        the beginning of the next, for which the others would wait.
        """
        if len(self._waiting) > 1:
            self._loop.call_soon(self._run)
        else:
            self._run()

    def _run(self) -> None:
        """Answer what is ready, for as long as the loop can spare."""
        until, together = time.perf_counter() + LANE_SECONDS, 0
        while self._waiting and time.perf_counter() < until:
            ready, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
            together += len(ready)
            replies = self._express.answered(ready, draining=self.draining)
            self._loop.call_soon(partial(self._tell, replies))  # the loop sends the answers before that
            for one, reply in zip(ready, replies, strict=True):
                if reply is None:
                    self._leave(one)
                else:
                    one.connection.answer(reply.response, keep=one.head.keeps)
        if self._waiting:
            self._loop.call_soon(self._run)
        elif self._polling.answered(time.perf_counter_ns(), together) and not self._polls:
            self._polls = True
            self._poll()

    def _tell(self, replies: list[Reply | None]) -> None:
        self._express.tell([reply for reply in replies if reply is not None])

    def _poll(self) -> None:
        """Keep the loop from sleeping: whatever is called soon lets it look at its sockets without waiting for them."""
        self._polls = self._threads.is_idle and self._polling.goes_on(time.perf_counter_ns())
        if self._polls:
            self._loop.call_soon(self._poll)
