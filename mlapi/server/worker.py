"""The gunicorn worker: one event loop owns every connection, a few threads run the application.

Whole requests come from the connections. Plain inference goes through the express lane, with all that are ready at
the same moment; probes are answered on the loop; everything else waits, boundedly, for a thread. What runs too
long is answered with 504 without its thread, and a process whose threads do not come back is replaced.
"""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from functools import partial
from typing import Any

import uvloop
from gunicorn.sock import ssl_context
from gunicorn.workers.base import Worker as GunicornWorker

from mlapi.resources.access import BEGUN
from mlapi.resources.errors import BROKEN
from mlapi.resources.variants import DRAWN, TICKET
from mlapi.rollouts.caller import Ticket
from mlapi.server import answers
from mlapi.server.connection import Connection
from mlapi.server.express import LONGEST_BODY, Express, Waiting
from mlapi.server.heads import Environ, Head, Heads, MalformedHead, environ_of, name_peer, parsed, response_bytes
from mlapi.server.lane import Lane
from mlapi.server.threads import Job, Threads
from mlapi.server.turns import Turns
from mlapi.serving import metrics

TICK_SECONDS = 0.1
SWITCH_SECONDS = 0.001
"""How long a thread may keep the interpreter while the loop waits for it; Python's own 5 ms would slow every probe."""

COLLECTED = (20_000, 20, 50)
"""Objects before a look for cycles, which requests do not make; Python's own 700 come with every thirty requests."""

BROKEN_STATUS = 500
MOST_DESCRIPTORS, SPARE_DESCRIPTORS = 65_536, 128
"""Descriptors that a process asks the system for, and of them those kept for files."""

MOST_ACCEPTED = 8
"""Connections taken at one look at the listener by a worker that is the only one; of several each takes one at a look,
so that those which come at once do not all go to the worker that wakes first."""

LEAVE_SECONDS = 5.0
"""How long a process whose threads are stuck waits for its other requests."""

TURN_SECONDS = 30.0
"""How long it waits for another to be replaced before it: that one may not come back."""

TURNS = Turns()
"""Made where this module is imported first, which is before the fork."""

log = logging.getLogger("mlapi.server")


class Worker(GunicornWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves one process."""

    def init_process(self) -> None:
        """Make the loop, after the fork, then do what every gunicorn worker does."""
        self.loop = uvloop.new_event_loop()
        asyncio.set_event_loop(self.loop)
        super().init_process()

    def run(self) -> None:
        """Serve until told to stop; then finish what is in work, and leave."""
        services = self.wsgi.extensions["mlapi"]
        config = services.config
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.freeze()
        gc.set_threshold(*COLLECTED)
        self.limit, self.draining = config.max_body_bytes, False
        self.read_seconds, self.write_seconds = config.read_seconds, config.write_seconds
        self.idle_seconds = float(self.cfg.keepalive)
        self._deadline = config.request_seconds
        self._held, self._most_held = 0, max(4 * self.limit, 256 * 2**20)
        self._connections: set[Connection] = set()
        self._resting: list[tuple[socket.socket, Heads, Any]] = []
        self._most_connections = _descriptors() - SPARE_DESCRIPTORS
        self._at_a_look = MOST_ACCEPTED if self.cfg.workers == 1 else 1
        self._threads = Threads(self.cfg.threads, config.queue)
        self._plane, self._traffic = services.plane, services.traffic
        self._express = Express(self.wsgi, services.plane, services.traffic)
        self._lane = Lane(self.loop, self._express, self._threads, self._leave_lane)
        self._lane_is_open = config.express == "on"
        self._stuck_since: float | None = None
        services.process.tell({
            metrics.CONNECTIONS: lambda: len(self._connections), metrics.WAITING: lambda: self._threads.waiting,
            metrics.RUNNING: lambda: self._threads.running,
        })  # fmt: skip
        self.loop.run_until_complete(self._serve())
        self.loop.close()
        if self._threads.hung:  # the interpreter would wait for what they hold
            self.cfg.worker_exit(self, self)
            os._exit(0)

    # -- the process -----------------------------------------------------------------------------

    def _end(self) -> None:
        self.alive = False

    async def _serve(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):  # until here they were gunicorn's
            self.loop.add_signal_handler(number, self._end)
        self.loop.add_signal_handler(signal.SIGUSR1, self.log.reopen_files)
        context = ssl_context(self.cfg) if self.cfg.is_ssl else None
        for listener in self.sockets:
            heads = Heads(self.cfg, listener.getsockname(), self._express.route)
            listener.setblocking(False)  # noqa: FBT003 (the socket module takes it by position only)
            self.loop.add_reader(listener.sock.fileno(), self._accept, listener.sock, heads, context)
        TURNS.give()
        stuck = False
        while self.alive and not stuck:
            self.notify()
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            self._sweep(now)
            stuck = self._is_replaced(now)
            if os.getppid() != self.ppid:
                log.warning("the parent process is gone; leaving")
                break
        if stuck:
            log.error("requests do not come back from their threads; this process is replaced")
        await self._drain(LEAVE_SECONDS if stuck else float(self.cfg.graceful_timeout))

    def _is_replaced(self, now: float) -> bool:
        """Tell whether the threads are stuck and it is this process's turn; until then its loop still answers."""
        if not self._threads.is_stuck(now, self._deadline):
            self._stuck_since = None
            return False
        if self._stuck_since is None:
            self._stuck_since = now
        return TURNS.take() or now - self._stuck_since > TURN_SECONDS

    async def _drain(self, seconds: float) -> None:
        """Take no more connections; end as soon as all answers are out, or when the time is over."""
        self.draining = self._lane.draining = True
        for listener in self.sockets:
            self.loop.remove_reader(listener.sock.fileno())
        await asyncio.sleep(0)  # what was taken at this very look becomes a connection
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._connections and not (
            self._threads.is_stuck(time.monotonic(), self._deadline) and not self._in_work()
        ):
            for connection in tuple(self._connections):
                connection.drain(time.monotonic())
            self.notify()
            await asyncio.sleep(TICK_SECONDS / 4)
            self._sweep(time.monotonic())
        for connection in tuple(self._connections):
            connection.abort()
        await asyncio.sleep(0)

    def _in_work(self) -> bool:
        return any(connection.busy for connection in self._connections)

    def _sweep(self, now: float) -> None:
        while self._resting and not self.draining:
            listener, heads, context = self._resting.pop()
            self.loop.add_reader(listener.fileno(), self._accept, listener, heads, context)
        for connection in tuple(self._connections):
            connection.sweep(now)
        for job in self._threads.late(now, self._deadline):
            job.abandoned = True
            sentence = f"no answer within {self._deadline:g} seconds; the request was given up"
            self._refuse(job.connection, 504, sentence)
            self._plane.give_up(job.ticket)

    def _accept(self, listener: socket.socket, heads: Heads, context: Any) -> None:  # noqa: ANN401 (an SSLContext or None)
        """Take a few connections; the others may go to another process, which then has less to do."""
        for _ in range(min(self._at_a_look, self._most_connections - len(self._connections))):
            try:
                client, _ = listener.accept()
            except OSError as error:  # there is none, or another process was faster, or there is no descriptor left
                if error.errno in {errno.EMFILE, errno.ENFILE}:
                    break
                return
            client.setblocking(False)  # noqa: FBT003 (the socket module takes it by position only)
            if client.family in {socket.AF_INET, socket.AF_INET6}:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.loop.create_task(self._connect(client, heads, context))
        else:
            if len(self._connections) < self._most_connections:
                return
        self.loop.remove_reader(listener.fileno())  # until the next sweep: it would be readable all the while
        self._resting.append((listener, heads, context))

    async def _connect(self, client: socket.socket, heads: Heads, context: Any) -> None:  # noqa: ANN401 (see _accept)
        with contextlib.suppress(OSError):  # a TLS handshake that fails, a caller that is gone
            await self.loop.connect_accepted_socket(partial(self._connection, heads), client, ssl=context)

    def _connection(self, heads: Heads) -> Connection:
        connection = Connection(self, heads)
        self._connections.add(connection)
        return connection

    # -- for connections -------------------------------------------------------------------------

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    def reserve(self, size: int) -> bool:
        """Count `size` bytes (negative: fewer) as held for unfinished requests; tell whether so many may be."""
        self._held += size
        return bool(self._held <= self._most_held)

    def request(self, connection: Connection, head: Head, body: bytes, raw: bytes | None) -> None:
        """Send a whole request where it belongs."""
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
        route, begun = head.route, time.perf_counter_ns()
        if route is None or raw is not None or connection.is_last:
            self._to_thread(connection, head, body, raw, {BEGUN: begun})
        elif route.call is None:
            self._finish(connection, self._answer(connection, head, body, None, {BEGUN: begun}))
        elif len(body) > LONGEST_BODY or not self._lane_is_open:
            self._to_thread(connection, head, body, raw, {BEGUN: begun})
        else:
            self._lane.take(Waiting(route, route.call, body, head, connection, begun))

    def refused(self, status: int) -> None:
        """Count an answer that the application was not asked for."""
        self._traffic.refused(status)

    # -- the roads -------------------------------------------------------------------------------

    def _leave_lane(self, one: Waiting) -> None:
        self._to_thread(one.connection, one.head, one.body, None, {BEGUN: one.begun, DRAWN: one.drawn})

    def _to_thread(self, connection: Connection, head: Head, body: bytes, raw: bytes | None, more: Environ) -> None:
        ticket = Ticket()
        known = {**more, TICKET: ticket}
        job = Job(connection, partial(self._answer, connection, head, body, raw, known), self._done, ticket)
        refused = self._threads.submit(job)
        if refused is not None:
            self._refuse(refused.connection, 503, "the server is busy; try again", retry=True)

    def _refuse(self, connection: Connection, status: int, sentence: str, *, retry: bool = False) -> None:
        self.refused(status)
        connection.answer(answers.fault(status, sentence, retry=retry), keep=False)

    def _done(self, job: Job, outcome: Any) -> None:  # noqa: ANN401 (what _answer returns)
        """Come back from a thread, in the thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is leaving
            self.loop.call_soon_threadsafe(self._back, job, outcome)

    def _back(self, job: Job, outcome: Any) -> None:  # noqa: ANN401 (see _done)
        self._threads.forget(job)
        if not job.abandoned:
            self._finish(job.connection, outcome)

    def _finish(self, connection: Connection, outcome: tuple[bytes, bool]) -> None:
        connection.answer(outcome[0], keep=outcome[1])

    def _answer(
        self, connection: Connection, head: Head, body: bytes, raw: bytes | None, more: Environ,
    ) -> tuple[bytes, bool]:
        """Run the application; return the response, and whether the connection may be kept.

        `more` is what the application should know besides: when the request was whole, what a rollout drew for it.
        """
        request, environ = head.request, {}
        try:
            if raw is None:
                environ = environ_of(head, body, connection.peer)
            else:
                request = parsed(raw, self.cfg)
                environ = {**head.environ, "wsgi.input": request.body}
                name_peer(environ, connection.peer)
            environ |= more
            keep = not (connection.is_last or self.draining)
            return response_bytes(self.wsgi, environ, request, self.cfg, keep=keep)
        except MalformedHead as error:
            self.refused(error.status)
            return answers.fault(error.status, str(error)), False
        except BaseException:  # in a thread nobody raises the others but a model
            self.refused(BROKEN_STATUS)
            log.exception("the application failed", extra={"path": environ.get("PATH_INFO", "")})
            return answers.fault(BROKEN_STATUS, BROKEN), False


def _descriptors() -> int:
    """Return how many descriptors this process may have, after asking for as many as the system gives it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
