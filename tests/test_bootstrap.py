"""The services: an app that is stopped leaves no thread behind."""

import threading
from collections.abc import Callable
from pathlib import Path

from flask import Flask


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
