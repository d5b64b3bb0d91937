"""The worker: whole requests before any work, probes whatever happens, deadlines, and no poisoned connection."""

import contextlib
import http.client
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from mlapi.registry.publishing import publish
from tests.server.conftest import OddModel, Server, free_port, serving, until

pytestmark = pytest.mark.server

ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [6.0, 8.0]])
ROOT = Path(__file__).parents[2]
BODY = b'{"instances": [[1, 2]]}'
Serve = Callable[..., Server]

@pytest.fixture
def registry(tmp_path: Path) -> Path:
    publish(LinearRegression().fit(ROWS, ROWS.sum(axis=1)), "sum", sample=ROWS, registry=tmp_path / "registry")
    return tmp_path / "registry"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return one server for all tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("shared")
    publish(LinearRegression().fit(ROWS, ROWS.sum(axis=1)), "sum", sample=ROWS, registry=folder / "registry")
    with serving(folder) as start:
        yield start(folder / "registry")


@pytest.fixture
def hanging(registry: Path, odd_model: OddModel) -> dict[str, str]:
    """Publish the model that hangs as 'hanging'; return the environment that has its code."""
    publish(odd_model.fitted, "hanging", sample=ROWS, registry=registry)
    return odd_model.environ


class Client:
    """One connection, and what comes back on it."""

    def __init__(self, server: Server, buffered: int | None = None) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(30)
        if buffered is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffered)
        self.socket.connect(("127.0.0.1", server.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ended(self) -> None:
        """Tell the server that nothing more will come."""
        self.socket.shutdown(socket.SHUT_WR)

    def response(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the next response, read by its length."""
        status = int(self._reader.readline().split()[1])
        headers = {}
        while line := self._reader.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        return status, headers, self._reader.read(int(headers["Content-Length"]))

    def everything(self) -> bytes:
        """Return all bytes until the server closes."""
        return self._reader.read()


def ask(server: Server, request: bytes) -> int:
    """Return the status of one request on a connection of its own."""
    with Client(server) as client:
        client.send(request)
        return client.response()[0]


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def statuses(data: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", data)]


def test_requests_sent_ahead_are_answered_in_order(shared: Server) -> None:
    bodies = [json.dumps({"instances": [[1, number]]}).encode() for number in range(40)]
    with Client(shared) as client:
        for body in bodies:
            client.send(post("/v1/models/sum:predict", body) + get("/v2/health/live") + get("/v1/models"))
        client.ended()
        data = client.everything()
    assert statuses(data) == [200] * 120
    sums = [float(part.split(b"]")[0]) for part in data.split(b'"predictions":[')[1:]]
    assert sums == pytest.approx([1.0 + number for number in range(40)])


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_requests_may_arrive_in_pieces_of_any_size(shared: Server, size: int) -> None:
    chunked = (b"POST /v1/models/sum:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
               b'8\r\n{"instan\r\nF;a=b\r\nces": [[1, 2]]}\r\n0\r\nLater: x\r\n\r\n')  # fmt: skip
    data = post("/v1/models/sum:predict", BODY) + chunked + get("/livez")
    with Client(shared) as client:
        for at in range(0, len(data), size):
            client.send(data[at : at + size])
        assert [client.response()[0] for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("size", [999, 10_000, 100_000])
def test_a_large_body_in_pieces_is_answered_and_so_is_what_follows(shared: Server, size: int) -> None:
    rows = [[1, number] for number in range(30_000)]
    data = post("/v1/models/sum:predict", json.dumps({"instances": rows}).encode()) + get("/livez")
    with Client(shared) as client:
        for at in range(0, len(data), size):
            client.send(data[at : at + size])
        status, _, body = client.response()
        assert (status, client.response()[0]) == (200, 200)
    assert json.loads(body)["predictions"] == pytest.approx([1.0 + number for number in range(30_000)])


@pytest.mark.parametrize(("request_bytes", "status"), [
    (b"GET / HTTP/9.9\r\n\r\n", 400), (b"G@T / HTTP/1.1\r\n\r\n", 400), (b"\x00\xff\xfe\r\n\r\n", 400),
    (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414), (b"GET /" + b"a" * 9000, 414),
    (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 60 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 9000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nA: b\nB: c\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: -3\r\n\r\nabc", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nabc", 400),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: cow\r\n\r\n", 501),
    (b"POST / HTTP/1.1\r\nExpect: cake\r\nContent-Length: 0\r\n\r\n", 417),
])  # fmt: skip
def test_what_is_no_request_gets_one_sentence_in_json_and_the_end(
    shared: Server, request_bytes: bytes, status: int,
) -> None:
    with Client(shared) as client:
        client.send(request_bytes)
        found, headers, body = client.response()
        assert (found, headers["Content-Type"], headers["Connection"]) == (status, "application/json", "close")
        assert isinstance(json.loads(body)["error"], str)
        assert client.everything() == b""


def test_a_body_beyond_the_limit_is_refused_unread_and_not_taken_for_a_request(serve: Serve, registry: Path) -> None:
    server = serve(registry, MLAPI_MAX_BODY_BYTES="1000")
    smuggled = get("/v1/models")
    with Client(server) as client:
        client.send(post("/v1/models/sum:predict", b" " * 5000)[:-4000] + smuggled)
        found, headers, body = client.response()
        assert (found, headers["Connection"]) == (413, "close")
        assert "1000" in json.loads(body)["error"]
        assert client.everything() == b""


def test_a_caller_that_waits_for_100_is_told_to_go_on(shared: Server) -> None:
    with Client(shared) as client:
        request = post("/v1/models/sum:predict", BODY, "Expect: 100-continue")
        client.send(request[: -len(BODY)])
        assert client.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(BODY)
        assert client.response()[0] == 200


@pytest.mark.parametrize("chunks", [
    b"ZZ\r\nabc\r\n0\r\n\r\n", b"-1\r\na\r\n", b"1\r\nabc\r\n0\r\n\r\n", b"1" * 20 + b"\r\na\r\n0\r\n\r\n",
    b"1\nb\n0\n\n", b"1\r\na\r\n" * 10_001 + b"0\r\n\r\n", b"5" * 3000,
])  # fmt: skip
def test_malformed_chunks_are_refused_and_nothing_behind_them_is_read(shared: Server, chunks: bytes) -> None:
    head = b"POST /v1/models/sum:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Client(shared) as client:
        client.send(head + chunks + get("/livez"))
        client.ended()
        assert statuses(client.everything()) == [400]


@pytest.mark.parametrize("sent", [b"", b"POST /v1/models/sum:predict HT", post("/v1/models/sum:predict", BODY)[:-5]])
def test_slow_and_silent_callers_cost_no_probe_its_answer_and_are_told_in_the_end(
    serve: Serve, registry: Path, sent: bytes,
) -> None:
    server = serve(registry, MLAPI_READ_SECONDS="2", MLAPI_WORKERS="1", MLAPI_THREADS="2")
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(Client(server)) for _ in range(100)]
        for client in slow:
            client.send(sent)
        for _ in range(20):
            assert ask(server, get("/readyz")) == 200
            assert ask(server, post("/v1/models/sum:predict", BODY)) == 200
        assert {tuple(statuses(client.everything())) for client in slow} == {(408,)}


def test_a_caller_that_does_not_read_is_cut_off(serve: Serve, registry: Path) -> None:
    server = serve(registry, MLAPI_WRITE_SECONDS="1", MLAPI_WORKERS="1")
    body = json.dumps({"instances": [[1, 2]] * 400_000}).encode()
    (worker,) = workers(server)
    before = descriptors(worker)
    with Client(server, buffered=4096) as deaf:
        deaf.send(post("/v1/models/sum:predict", body))
        assert until(lambda: ask(server, get("/livez")) == 200 and descriptors(worker) > before)
        assert until(lambda: ask(server, get("/livez")) == 200 and descriptors(worker) <= before)
        try:
            _, headers, received = deaf.response()
        except ConnectionError:
            return
        assert len(received) < int(headers["Content-Length"])


def test_what_hangs_is_answered_at_the_deadline_and_the_process_replaced(
    serve: Serve, registry: Path, hanging: dict[str, str],
) -> None:
    server = serve(
        registry, MLAPI_REQUEST_SECONDS="1", MLAPI_WORKERS="1", MLAPI_THREADS="2", MLAPI_QUEUE="2", **hanging,
    )
    first = workers(server)
    with contextlib.ExitStack() as stack:
        hung = [stack.enter_context(Client(server)) for _ in range(5)]
        for client in hung:
            client.send(post("/v1/models/hanging:predict", b'{"instances": [[666, 1]]}'))
        assert ask(server, get("/readyz")) == 200
        answers = sorted(client.response()[0] for client in hung)
    assert answers == [503, 504, 504, 504, 504]  # two in threads, two waiting, one refused
    assert all(gone(pid, within=15) for pid in first)
    assert ask(server, post("/v1/models/hanging:predict", b'{"instances": [[1, 1]]}')) == 200


def test_who_comes_takes_the_place_of_who_has_left(serve: Serve, registry: Path, hanging: dict[str, str]) -> None:
    server = serve(
        registry, MLAPI_REQUEST_SECONDS="2", MLAPI_WORKERS="1", MLAPI_THREADS="1", MLAPI_QUEUE="3", **hanging,
    )
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server)) for _ in range(7)]
        hung, stays, ended, closed, *others = clients
        for client in (hung, stays, ended, closed):
            client.send(post("/v1/models/hanging:predict", b'{"instances": [[666, 1]]}'))
        assert ask(server, get("/readyz")) == 200
        ended.ended()
        closed.socket.shutdown(socket.SHUT_RDWR)
        for client in others:
            assert ask(server, get("/readyz")) == 200
            client.send(post("/v1/models/hanging:predict", b'{"instances": [[666, 1]]}'))
        answers = [client.response()[0] for client in (hung, stays, ended, *others)]
    assert answers == [504, 504, 503, 504, 504, 503]


def test_of_two_workers_that_hang_the_second_is_replaced_when_the_first_is_back(
    serve: Serve, registry: Path, hanging: dict[str, str],
) -> None:
    server = serve(
        registry, MLAPI_REQUEST_SECONDS="1", MLAPI_WORKERS="2", MLAPI_THREADS="1", MLAPI_QUEUE="20", **hanging,
    )
    assert until(lambda: ask(server, get("/readyz")) == 200 and len(workers(server)) == 2)
    first = workers(server)
    with contextlib.ExitStack() as stack:
        while not any(gone(pid, within=0.02) for pid in first):  # whichever takes a connection, in the end both are hit
            client = stack.enter_context(Client(server))
            client.send(post("/v1/models/hanging:predict", b'{"instances": [[666, 1]]}'))
            assert ask(server, get("/readyz")) == 200
        assert all(gone(pid, within=30) for pid in first)
    said = re.findall(r"process is replaced|registry ready", server.log.read_text())
    ready, replaced = "registry ready", "process is replaced"
    assert said[:5] == [ready, ready, replaced, ready, replaced]


def test_a_worker_leaves_when_its_parent_is_killed(serve: Serve, registry: Path) -> None:
    server = serve(registry)
    orphans = workers(server)
    assert orphans
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    assert all(gone(pid, within=10) for pid in orphans)


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def gone(pid: int, within: float) -> bool:
    """Wait until a process has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], within)[0])
    finally:
        os.close(descriptor)


def workers(server: Server) -> set[int]:
    return workers_of(server.process.pid)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_tls_is_gunicorns_by_its_settings(registry: Path, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    port = free_port()
    options = ["--bind", f"127.0.0.1:{port}", "--certfile", str(certificate), "--keyfile", str(key)]
    with gunicorn(registry, tmp_path, options) as process:
        context = ssl.create_default_context(cafile=certificate)
        connection = until_it_listens(
            process, lambda: http.client.HTTPSConnection("localhost", port, context=context, timeout=20),
        )
        for _ in range(2):  # also on the connection that is kept
            connection.request("POST", "/v1/models/sum:predict", BODY)
            assert json.loads(connection.getresponse().read())["predictions"] == pytest.approx([3.0])
        connection.close()


def test_a_unix_socket_is_served_like_any_other(registry: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with gunicorn(registry, tmp_path, ["--bind", f"unix:{path}"]) as process:

        class Local(http.client.HTTPConnection):
            def connect(self) -> None:
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.settimeout(20)
                self.sock.connect(str(path))

        connection = until_it_listens(process, lambda: Local("localhost"))
        for body in (BODY, b'{"instances": [[1]]}'):  # by the lane, and by a thread
            connection.request("POST", "/v1/models/sum:predict", body)
            response = connection.getresponse()
            assert (response.status, len(response.read()) > 0) == (200 if body == BODY else 400, True)
        connection.close()


def test_descriptors_that_run_out_cost_no_processor_and_come_back(registry: Path, tmp_path: Path) -> None:
    port = free_port()
    few = ["--bind", f"127.0.0.1:{port}"]
    with gunicorn(registry, tmp_path, few, MLAPI_READ_SECONDS="3", MLAPI_WORKERS="1") as process:
        until_it_listens(process, lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=20)).close()
        (worker,) = workers_of(process.pid)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (descriptors(worker) + 20,) * 2)
        silent = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(60)]
        before = seconds_of(worker)
        assert statuses(silent[0].recv(4096)) == [408]  # after three seconds
        assert seconds_of(worker) - before < 0.5
        with Client(Server(process, port, tmp_path / "log")) as client:
            client.send(get("/livez"))
            assert client.response()[0] == 200
        for one in silent:
            one.close()


def seconds_of(pid: int) -> float:
    """Return the processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def gunicorn(registry: Path, folder: Path, options: list[str], **settings: str) -> Iterator[subprocess.Popen[str]]:
    """Run plain gunicorn with the project's settings and some of its own options."""
    command = [sys.executable, "-m", "gunicorn", "wsgi:app", "-c", "python:mlapi.server.settings", *options]
    environ = {**os.environ, "MLAPI_REGISTRY": str(registry), **settings}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log, text=True)
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(20) == 0


def until_it_listens(
    process: subprocess.Popen[str], make: Callable[[], http.client.HTTPConnection],
) -> http.client.HTTPConnection:
    """Return a connection on which a probe was answered."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        connection = make()
        with contextlib.suppress(OSError):
            connection.request("GET", "/readyz")
            if connection.getresponse().read():
                return connection
        connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    pytest.fail("the server did not get ready")


def workers_of(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
