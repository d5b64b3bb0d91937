"""A real gunicorn, real sockets, real curl: what only shows outside of the process."""

import gzip
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from mlapi.registry.archive import export_version, import_version
from mlapi.registry.publishing import publish
from mlapi.registry.store import Store
from tests.server.conftest import Server, free_port, serving, until, wait_until_ready

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [6.0, 8.0]])
WIDE = np.random.default_rng(0).normal(size=(2, 2_000))
MARKER = "payload-that-no-log-may-hold"
Serve = Callable[..., Server]


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    folder = tmp_path / "registry"
    publish(LinearRegression().fit(ROWS, ROWS.sum(axis=1)), "sum", sample=ROWS, registry=folder)
    return folder


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return one server for all tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("shared")
    publish(LinearRegression().fit(ROWS, ROWS.sum(axis=1)), "sum", sample=ROWS, registry=folder / "registry")
    with serving(folder) as start:
        yield start(folder / "registry")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of 96 MB of coefficients, which take a while to publish the first time."""
    folder = tmp_path_factory.mktemp("large")
    model = LinearRegression().fit(WIDE, np.tile([1.0, 2.0], (6_000, 1)).T)
    publish(model, "large", sample=WIDE, registry=folder / "registry")
    export_version(Store(folder / "registry"), "large", 1, folder / "large.tar")
    return folder / "large.tar"


def ask(
    server: Server, method: str, path: str, body: object = None, **headers: str,
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request(method, path, body if isinstance(body, bytes | None) else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()
    finally:
        connection.close()


def raw(server: Server, request: bytes) -> bytes:
    """Send bytes as they are and return all that comes back until the server closes or is silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_lines_printed_at_the_start_work_as_they_stand(shared: Server) -> None:
    lines = [line for line in shared.stdout.read_text().splitlines() if line.startswith("curl ")]
    assert len(lines) == 2
    for line in lines:
        answer = subprocess.run(["bash", "-c", f"{line} -sS --fail"], capture_output=True, text=True, check=True)
        assert json.loads(answer.stdout).keys() & {"predictions", "outputs"}


def test_both_faces_answer_and_name_the_version(shared: Server) -> None:
    status, headers, body = ask(shared, "POST", "/v1/models/sum:predict", {"instances": [[1, 2]]})
    assert (status, headers["X-Model-Version"]) == (200, "1")
    assert json.loads(body)["predictions"] == pytest.approx([3.0])
    tensor = {"name": "input-0", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}
    status, headers, body = ask(shared, "POST", "/v2/models/sum/versions/1/infer", {"inputs": [tensor]})
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body)["outputs"][0]["data"] == pytest.approx([3.0])


def test_every_log_line_is_one_json_object_and_holds_no_payload(serve: Serve, registry: Path) -> None:
    server = serve(registry)
    ask(server, "POST", f"/v1/models/{MARKER}:predict", {"instances": [[1, 2]]})
    ask(server, "POST", "/v1/models/sum:predict", {"instances": [[MARKER * 3]]})
    ask(server, "POST", "/v1/models/sum:predict", {"instances": [[1, 2], [3, 4]]}, **{"X-Request-Id": "mine"})
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    requests = [line for line in lines if line["logger"] == "mlapi.access" and line["method"] == "POST"]
    assert [line["status"] for line in requests] == [404, 400, 200]
    assert {"request_id": "mine", "model": "sum", "version": 1, "rows": 2}.items() <= requests[2].items()
    assert MARKER * 3 not in server.log.read_text()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(serve: Serve, registry: Path, how: int) -> None:
    assert serve(registry).stop(how) == 0


def test_a_request_in_flight_is_answered_before_the_end(serve: Serve, registry: Path) -> None:
    server = serve(registry)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    body = json.dumps({"instances": [[1, 2]] * 100_000})
    connection.request("POST", "/v1/models/sum:predict", body)
    server.process.send_signal(signal.SIGTERM)
    answer = connection.getresponse()
    assert answer.status == 200
    assert len(json.loads(answer.read())["predictions"]) == 100_000
    connection.close()
    assert server.stop() == 0


def is_taken(client: int, server: int) -> bool:
    """Tell whether a connection between two ports is a worker's: before, it has no inode (proc(5), /proc/net/tcp)."""
    found = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    ends = (f"0100007F:{server:04X}", f"0100007F:{client:04X}")
    return any((one[1], one[2]) == ends and one[9] != "0" for one in found)


def test_the_first_request_of_a_connection_just_taken_is_answered_before_the_end(serve: Serve, registry: Path) -> None:
    server = serve(registry)
    body = json.dumps({"instances": [[1, 2]]}).encode()
    request = b"POST /v1/models/sum:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    address = ("127.0.0.1", server.port)
    with socket.create_connection(address, 20) as used, socket.create_connection(address, 20) as new:
        used.sendall(request)
        assert used.recv(4096).startswith(b"HTTP/1.1 200")
        assert until(lambda: is_taken(new.getsockname()[1], server.port)), "no worker has taken the new one"
        server.process.send_signal(signal.SIGTERM)
        assert used.recv(1) == b""  # the worker leaves
        new.sendall(request)
        assert new.recv(4096).startswith(b"HTTP/1.1 200")
    assert server.stop() == 0


def test_a_chunked_body_is_held_to_the_limit(serve: Serve, registry: Path) -> None:
    server = serve(registry, MLAPI_MAX_BODY_BYTES="1000")
    for size, expected in ((1000, b"400"), (1001, b"413")):
        chunk = b" " * size
        request = b"POST /v1/models/sum:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = raw(server, request + f"{size:x}\r\n".encode() + chunk + b"\r\n0\r\n\r\n")
        assert answer.split()[1] == expected
        assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]


def test_malformed_chunks_are_the_clients_fault(shared: Server) -> None:
    request = b"POST /v1/models/sum:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n"
    assert raw(shared, request).split()[1] == b"400"
    assert ask(shared, "GET", "/v2/health/live")[0] == 200


@pytest.mark.parametrize("garbage", [b"\x00\xff\xfe\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"])
def test_raw_garbage_kills_nothing(shared: Server, garbage: bytes) -> None:
    raw(shared, garbage)
    assert ask(shared, "GET", "/v2/health/live")[0] == 200


def test_a_connection_survives_a_refused_body(serve: Serve, registry: Path) -> None:
    server = serve(registry, MLAPI_MAX_BODY_BYTES="1000")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("POST", "/v1/models/sum:predict", b"[" * 5000)
    refused = connection.getresponse()
    assert (refused.status, json.loads(refused.read())["error"] != "") == (413, True)
    connection.request("POST", "/v1/models/sum:predict", json.dumps({"instances": [[1, 2]]}))
    assert connection.getresponse().status == 200
    connection.close()


def test_compressed_bodies_are_read(shared: Server) -> None:
    body = gzip.compress(json.dumps({"instances": [[1, 2]]}).encode())
    assert ask(shared, "POST", "/v1/models/sum:predict", body, **{"Content-Encoding": "gzip"})[0] == 200


def test_a_version_published_while_it_runs_is_served_without_a_failure() -> None:
    """The full run, 20 versions and 20 label moves, is `make hot-reload`; this is two of each."""
    command = [sys.executable, str(ROOT / "benchmarks" / "hot_reload.py"), "--versions", "2", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    result = json.loads(run.stdout)
    assert (result["failed"], result["mixed"], result["faults"]) == (0, 0, [])
    assert result["requests"] > 500


def test_a_deleted_version_is_gone_and_the_older_one_serves(serve: Serve, registry: Path) -> None:
    publish(LinearRegression().fit(ROWS, ROWS.sum(axis=1)), "sum", sample=ROWS, registry=registry)
    server = serve(registry)
    Store(registry).delete("sum", 2)
    expected = {(404, "1")}
    seen: set[tuple[int, str]] = set()
    for _ in range(2000):  # about half a second of asking; a second is promised
        deleted = ask(server, "GET", "/v1/models/sum/versions/2")[0]
        newest = ask(server, "GET", "/v2/models/sum")[1]["X-Model-Version"]
        seen = {(deleted, newest)}
        if seen == expected:
            break
    assert seen == expected


def test_a_damaged_version_is_quarantined_and_the_older_one_serves(serve: Serve, registry: Path) -> None:
    publish(LinearRegression().fit(ROWS, ROWS.sum(axis=1)), "sum", sample=ROWS, registry=registry)
    artifact = registry / "sum" / "2" / "model.joblib"
    data = bytearray(artifact.read_bytes())
    data[len(data) // 2] ^= 1
    artifact.chmod(0o644)
    artifact.write_bytes(bytes(data))
    server = serve(registry)
    status, _, body = ask(server, "GET", "/v1/models/sum")
    assert status == 200
    states = {entry["version"]: entry for entry in json.loads(body)["model_version_status"]}
    assert (states["1"]["state"], states["2"]["state"]) == ("AVAILABLE", "END")
    assert "sha256" in states["2"]["status"]["error_message"]
    assert ask(server, "GET", "/v2/models/sum/versions/2/ready")[0] == 503
    assert ask(server, "POST", "/v1/models/sum:predict", {"instances": [[1, 2]]})[1]["X-Model-Version"] == "1"


def test_plain_gunicorn_threads_serve_the_same_app(registry: Path, tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "plain.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "wsgi:app", "-k", "gthread", "--bind", f"127.0.0.1:{port}",
             "--no-control-socket"],
            cwd=ROOT, stderr=errors, text=True, env={**os.environ, "MLAPI_REGISTRY": str(registry)},
        )  # fmt: skip
    server = Server(process, port, log)
    try:
        wait_until_ready(server)
        assert ask(server, "POST", "/v1/models/sum:predict", {"instances": [[1, 2]]})[0] == 200
    finally:
        assert server.stop() == 0


def test_a_setting_that_is_none_is_refused_before_anything_starts(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "mlapi.cli", "serve"], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "MLAPI_WORKER": "2"},
    )
    assert run.returncode == 2
    assert run.stderr == "mlapi: MLAPI_WORKER is not a setting; did you mean MLAPI_WORKERS?\n"


def test_workers_share_the_models_that_were_loaded_before_the_fork(
    serve: Serve, registry: Path, large: Path,
) -> None:
    """96 MB of coefficients stay in shared pages: a worker's own memory does not hold them."""
    import_version(Store(registry), large)
    server = serve(registry)
    ask(server, "POST", "/v1/models/large:predict", {"instances": WIDE[:1].tolist()})
    private = [_private_kb(pid) for pid in _workers(server)]
    assert len(private) == 2
    assert max(private) < 80_000


@pytest.mark.parametrize("plans", ["on", "off"])  # a linear plan makes arrays of its own, as large as the mapped ones
def test_a_large_version_published_later_is_shared_too_by_workers_that_replace_the_old_ones(
    serve: Serve, registry: Path, large: Path, plans: str,
) -> None:
    server = serve(registry, MLAPI_PLANS=plans)
    before = set(_workers(server))
    import_version(Store(registry), large)
    for _ in range(3000):  # a few seconds of asking
        ready = ask(server, "GET", "/v2/health/live")[0] == 200
        after = set(_workers(server))
        if ready and not before & after:
            break
    assert not before & after
    assert [ask(server, "POST", "/v1/models/large:predict", {"instances": WIDE[:1].tolist()})[0]] * 3 == [200] * 3
    assert max(_private_kb(pid) for pid in _workers(server)) < 80_000


def test_a_large_plan_of_trees_published_later_is_mapped_by_the_workers_there_are(
    serve: Serve, registry: Path,
) -> None:
    server = serve(registry)
    before = set(_workers(server))
    random = np.random.default_rng(0)
    rows, target = random.normal(size=(20_000, 4)), random.normal(size=20_000)
    forest = RandomForestRegressor(110, max_features=1, random_state=0).fit(rows, target)
    made = Store(registry).manifest("large", publish(forest, "large", sample=rows[:50], registry=registry))
    assert made.file("plan.bin").size > 64 * 2**20
    answers: list[int] = []
    for _ in range(3000):
        answers.append(ask(server, "POST", "/v1/models/large:predict", {"instances": rows[:1].tolist()})[0])
        if answers[-20:] == [200] * 20:
            break
    assert answers[-20:] == [200] * 20
    assert set(_workers(server)) == before
    # pages that one worker alone has looked at yet are still its own: the other may be slower to load
    assert until(lambda: max(_private_kb(pid) for pid in _workers(server)) < 80_000)


def test_a_version_that_is_neither_default_nor_labelled_is_loaded_when_it_is_asked_for(
    serve: Serve, registry: Path,
) -> None:
    publish(LinearRegression().fit(ROWS, ROWS[:, 0]), "sum", sample=ROWS, registry=registry)
    server = serve(registry)
    for _ in range(20):  # either worker
        status, headers, body = ask(server, "POST", "/v1/models/sum/versions/1:predict", {"instances": [[1, 2]]})
        assert (status, headers["X-Model-Version"]) == (200, "1")
        assert json.loads(body)["predictions"] == pytest.approx([3.0])


def _workers(server: Server) -> list[int]:
    """The processes that gunicorn has forked; the second follows the first after a moment."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    while len(pids := children.read_text().split()) < 2:
        ask(server, "GET", "/v2/health/ready")
    return [int(pid) for pid in pids]


def _private_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Dirty", "Private_Clean")))
