"""The services: an app that is stopped leaves no thread behind."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from mlapi.rollouts import request_line, request_log


def test_an_app_that_is_stopped_ends_all_of_its_threads(make_app: Callable[..., Flask], registry: Path) -> None:
    before = set(threading.enumerate())
    services = make_app(registry).extensions["mlapi"]
    assert set(threading.enumerate()) == before, "a server forks after an app is built"
    services.start()
    started = set(threading.enumerate()) - before
    assert {"mlapi-registry", "mlapi-rollouts", "mlapi-shadow"} <= {thread.name for thread in started}
    services.stop()
    for thread in started:
        thread.join(30)
    assert [thread.name for thread in started if thread.is_alive()] == []


def test_an_app_that_was_stopped_keeps_answering(make_app: Callable[..., Flask], registry: Path) -> None:
    app = make_app(registry)
    assert app.test_client().get("/v2/health/ready").status_code == 200
    app.extensions["mlapi"].stop()
    assert app.test_client().get("/v2/models/iris/ready").status_code == 200


@pytest.mark.parametrize(("share", "lines"), [(0.0, 0), (1.0, 2)])
def test_requests_are_logged_where_that_was_asked_for_and_else_not_even_observed(
    make_app: Callable[..., Flask], registry: Path, tmp_path: Path, share: float, lines: int,
) -> None:
    own = Path(shutil.copytree(registry, tmp_path / "own"))
    app = make_app(own, request_log=share)
    services = app.extensions["mlapi"]
    assert any(one == services.requests.observe for one in services.plane._observers) is (share > 0)
    for _ in range(2):
        asked = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
        assert app.test_client().post("/v1/models/iris:predict", json=asked).status_code == 200
    services.stop()
    services.flush()
    found = request_log.newest(services.store, "iris", 10).lines
    assert len(found) == lines
    assert all(request_line.loads(line).rows == 1 for line in found)
