"""Real workers write a log of requests, over both roads and protocols; `mlapi replay` asks it to two versions."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from mlapi.registry.publishing import publish
from mlapi.registry.store import Store
from mlapi.rollouts import request_log
from tests.server.conftest import Server, until
from tests.server.test_rollouts import ROWS, call, registry

__all__ = ["registry"]
pytestmark = pytest.mark.server
ASKED = 40
TENSOR = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [3.0, 4.0]}


def replayed(path: Path, *arguments: str) -> tuple[int, Any, str]:
    """Return exit code, document and sentence of `mlapi replay m`."""
    command = [sys.executable, "-m", "mlapi.cli", "replay", "m", *arguments, "--json", "--registry", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=dict(os.environ))
    return done.returncode, json.loads(done.stdout), done.stderr


def logged(path: Path) -> int:
    return len(request_log.newest(Store(path), "m", 1000).lines)


@pytest.mark.parametrize("express", ["on", "off"])
def test_what_real_workers_logged_is_replayed_on_two_versions(
    serve: Callable[..., Server], registry: Path, express: str,
) -> None:
    """Version 2 answers twice what version 1 does; version 3 takes four columns."""
    wide = np.hstack([ROWS, ROWS])
    publish(LinearRegression().fit(wide, wide[:, 0]), "m", sample=wide, registry=registry)
    server = serve(registry, MLAPI_WORKERS="2", MLAPI_REQUEST_LOG="1", MLAPI_EXPRESS=express)
    name = call(server, "GET", "/v2/models/m/versions/1")[2]["inputs"][0]["name"]
    for at in range(ASKED):
        body = {"instances": [[at, 2], [at, 3]]}
        assert call(server, "POST", "/v1/models/m/versions/1:predict", body)[0] == 200
        body = {"inputs": [{**TENSOR, "name": name}]}
        assert call(server, "POST", "/v2/models/m/versions/1/infer", body)[0] == 200
        assert call(server, "POST", "/v1/models/m/versions/1:predict", {"instances": [["text"]]})[0] == 400
    assert until(lambda: logged(registry) == 2 * ASKED)
    files = list((registry / "m" / "requests").iterdir())
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}

    code, told, _ = replayed(registry, "1", "--max-disagreement", "0")
    assert (code, told["passed"], told["requests"], told["rows"]) == (0, True, 2 * ASKED, 3 * ASKED)
    assert (told["dropped"], told["unreadable"], told["answered_by"]) == (0, 0, {"1": 2 * ASKED})
    code, told, sentence = replayed(registry, "2", "--max-disagreement", "0.2")
    assert (code, told["passed"], told["disagreement"]["share"] > 0.9) == (9, False, True)
    assert told["worst"][0]["inputs"][name][0] == ASKED - 1.0
    assert "at most 20.00% may (--max-disagreement)" in sentence
    code, told, _ = replayed(registry, "3")
    assert (code, told["errors"], len(told["reasons"])) == (9, 2 * ASKED, 1)
    assert server.stop() == 0
    assert logged(registry) == 2 * ASKED


def test_without_the_setting_nothing_is_logged(serve: Callable[..., Server], registry: Path) -> None:
    server = serve(registry)
    assert call(server, "POST", "/v1/models/m:predict", {"instances": [[1, 2]]})[0] == 200
    assert server.stop() == 0
    assert not (registry / "m" / "requests").exists()


def test_what_waits_when_the_server_stops_is_logged(serve: Callable[..., Server], registry: Path) -> None:
    server = serve(registry, MLAPI_WORKERS="1", MLAPI_REQUEST_LOG="1")
    assert call(server, "POST", "/v1/models/m:predict", {"instances": [[1, 2]]})[0] == 200
    assert server.stop() == 0
    assert logged(registry) == 1
    [file] = (registry / "m" / "requests").iterdir()
    assert file.suffix == ".jsonl"
