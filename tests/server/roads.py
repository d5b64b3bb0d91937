"""Three roads over one registry, and one request down each of them."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from tests.contract.wire import message
from tests.server.conftest import Server, free_port, serving, wait_until_ready
from tests.server.test_worker import Client

ROOT = Path(__file__).parents[2]
IRIS = [5.1, 3.5, 1.4, 0.2]
CHANGING = re.compile(rb"(Date|X-Request-Id|X-Mlapi-Prediction-Id): [^\r]*\r\n")
NEW_ID = re.compile(rb'"(id|request_id|prediction_id)":"[\w-]{32,47}"')


@contextlib.contextmanager
def three_roads(folder: Path, registry: Path) -> Iterator[list[Server]]:
    """Yield servers over a registry: with the lane, without it, and plain gunicorn with threads."""
    with serving(folder) as start, contextlib.ExitStack() as stack:
        servers = [start(registry, MLAPI_EXPRESS=express, MLAPI_WORKERS="1") for express in ("on", "off")]
        port, log = free_port(), folder / "plain.log"
        command = [sys.executable, "-m", "gunicorn", "wsgi:app", "-k", "gthread", "--threads", "4",
                   "--no-control-socket", "--keep-alive", "5", "--bind", f"127.0.0.1:{port}"]  # fmt: skip
        with log.open("w") as errors:
            process = subprocess.Popen(
                command, cwd=ROOT, stderr=errors, text=True, env={**os.environ, "MLAPI_REGISTRY": str(registry)},
            )
        plain = Server(process, port, log)
        stack.callback(plain.stop)
        wait_until_ready(plain)
        yield [*servers, plain]


def request(path: str, body: bytes | None, headers: dict[str, str], method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: mlapi"]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def same_answers(roads: list[Server], sent: bytes) -> bytes:
    """Return the one answer that all give, twice each on one connection, without what may differ."""
    answers = set()
    for server in roads:
        with Client(server) as client:
            for _ in range(2):
                client.send(sent)
                status, headers, body = client.response()
                shown = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
                cut = CHANGING.sub(rb"\1\r\n", shown)
                answers.add(b"%d\r\n%s\r\n%s" % (status, cut, NEW_ID.sub(rb"\1", body)))
    assert len(answers) == 1, answers
    return answers.pop()


def logged(server: Server, request_ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the lines of the access log so far, by request id; the lane writes them after the answers."""
    ended, _, _ = server.log.read_text().rpartition("\n")
    lines = [json.loads(line) for line in ended.splitlines()]
    return {line["request_id"]: line for line in lines if line.get("request_id") in request_ids}


def posted(path: str, document: object, **headers: str) -> bytes:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return request(path, body, {name.replace("_", "-"): value for name, value in headers.items()})


def v2(name: str, *inputs: Any, **members: Any) -> bytes:
    body, headers = message(*inputs, **members)
    return request(f"/v2/models/{name}/infer", body, headers)
