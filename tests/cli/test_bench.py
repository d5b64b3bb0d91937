"""`mlapi bench`: its requests are right before they are counted, and what failed is counted too."""

import json
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from sklearn.linear_model import LinearRegression

import mlapi
from mlapi.cli.bench import _picked, _summary
from mlapi.cli.load import Seen, load
from mlapi.errors import InvalidName, ModelNotFound, ServerUnreachable, VersionNotFound, VersionRefused
from tests.server.conftest import Server, free_port
from tests.server.conftest import serve as serve

Run = Callable[..., Result]
SHORT = ("--seconds", "0.3", "--warm-up", "0")


def counted(server: Server, name: str, version: int) -> int:
    """Return how many inferences of a version the server has answered."""
    with urllib.request.urlopen(f"{server.url}/v2/models/{name}/versions/{version}/stats") as answer:
        return int(json.load(answer)["model_stats"][0]["inference_stats"]["success"]["count"])


@pytest.mark.server
def test_what_it_counts_is_what_the_server_has_answered(
    serve: Callable[..., Server], registry: Path, document: Callable[..., Any],
) -> None:
    server = serve(registry, MLAPI_WORKERS="1")
    for model, version, protocol, rows in (("prices/1", 1, "v1", 3), ("prices", 2, "v2", 25), ("iris", 1, "v1", 1)):
        before = counted(server, model.split("/")[0], version)
        how = ("--protocol", protocol, "--rows", str(rows), "--connections", "2", *SHORT)
        found = document("bench", model, "--url", server.url, *how)
        assert (found["version"], found["rows"], found["errors"]) == (version, rows, {})
        checks = 2
        assert counted(server, found["model"], version) - before == found["requests"] + checks
        assert found["requests_per_second"] == pytest.approx(found["requests"] / found["seconds"], rel=0.01)
        assert found["rows_per_second"] == pytest.approx(found["requests_per_second"] * rows, rel=0.01)
        assert 0 < found["p50_ms"] <= found["p90_ms"] <= found["p99_ms"] <= found["most_ms"]


@pytest.mark.server
def test_without_a_server_it_starts_one_and_stops_it(run: Run) -> None:
    done = run("bench", "prices", *SHORT)
    assert done.exception is None, done.exception
    heading, names, numbers = done.stdout.splitlines()
    assert heading.startswith("prices/2 at http://127.0.0.1:")
    assert (names.split()[0], numbers.split()[-1]) == ("requests/s", "0")
    port = int(heading.split(":")[2])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.server
def test_a_server_that_answers_otherwise_is_not_measured(
    serve: Callable[..., Server], run: Run, tmp_path: Path,
) -> None:
    rows = np.array([[0.0, 1.0], [1.0, 0.0]])
    mlapi.publish(LinearRegression().fit(rows, [7.0, 8.0]), "iris", sample=rows, registry=tmp_path / "other")
    server = serve(tmp_path / "other", MLAPI_WORKERS="1")
    done = run("bench", "iris", "--url", server.url, *SHORT)
    assert isinstance(done.exception, VersionRefused)
    assert "does not answer what it was published with" in str(done.exception)
    assert counted(server, "iris", 1) == 1


@pytest.mark.parametrize(("model", "error"), [
    ("nope", ModelNotFound), ("prices/9", VersionNotFound), ("prices/x", InvalidName), ("prices/", InvalidName),
])
def test_what_is_not_there_is_said_before_anything_starts(run: Run, model: str, error: type[Exception]) -> None:
    assert isinstance(run("bench", model).exception, error)


def test_a_server_that_is_not_there_is_said_so(run: Run) -> None:
    done = run("bench", "prices", "--url", f"http://127.0.0.1:{free_port()}")
    assert isinstance(done.exception, ServerUnreachable)


@pytest.fixture
def odd_server() -> Iterator[int]:
    """Answer 200, then 503, then half an answer and an end, again and again on each connection; return the port."""
    answers = (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"HTTP/1.1 503 Not Now\r\ncontent-length: 0\r\n\r\n",
               b"HTTP/1.1 200 OK\r\n")  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    for answer in answers:
                        if not connection.recv(65536):
                            break
                        connection.sendall(answer)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_only_200_counts_as_answered_and_all_else_by_what_it_was(odd_server: int) -> None:
    seen = load(f"http://127.0.0.1:{odd_server}", "/x", b"{}", 1, 0.3)
    answered = len(seen.took_ns)
    assert answered > 1  # a connection that broke was made anew
    assert seen.errors.keys() == {"status 503", "the connection broke"}
    assert abs(seen.errors["status 503"] - answered) <= 1
    assert abs(seen.errors["the connection broke"] - answered) <= 1


def test_percentiles_are_nearest_ranks() -> None:
    found = _summary(Seen(2.0, [i * 1_000_000 for i in range(200, 0, -1)]), 10)
    assert [found[key] for key in ("p50_ms", "p90_ms", "p99_ms", "most_ms")] == [100.0, 180.0, 198.0, 200.0]
    assert (found["requests_per_second"], found["rows_per_second"]) == (100.0, 1000.0)
    assert _summary(Seen(1.0), 1)["p50_ms"] is None


def test_rows_that_lack_something_are_left_out_and_the_others_repeated() -> None:
    numbers, texts = [[1.0], [np.nan], [3.0], [4.0]], [["x"], ["y"], [None], ["z"]]
    inputs = {"a": np.array(numbers), "b": np.array(texts, dtype=object)}
    assert _picked(inputs, 5) == [0, 3, 0, 3, 0]
