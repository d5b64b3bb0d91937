"""Probes at the paths of SageMaker and Kubernetes."""

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from mlapi.registry.live import LiveRegistry
from mlapi.registry.store import Store
from mlapi.resources import health
from mlapi.resources.api import Api


@pytest.mark.parametrize("path", ["/ping", "/livez"])
def test_a_process_that_answers_is_alive(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.get_json()) == (200, {"live": True})


def test_readyz_says_what_v2_says(client: FlaskClient) -> None:
    ready, v2 = client.get("/readyz"), client.get("/v2/health/ready")
    assert (ready.status_code, ready.data) == (v2.status_code, v2.data)
    assert (ready.status_code, ready.get_json()) == (200, {"live": True, "ready": True})


def test_readyz_is_503_before_the_models_are_loaded(registry: Path) -> None:
    app = Flask("waiting", static_folder=None)
    health.install(Api(app), LiveRegistry(Store(registry)))
    response = app.test_client().get("/readyz")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.get_json() == {"error": "models are still being loaded", "ready": False}
