"""What is remembered of paths: where they lead, and nothing of those that lead nowhere."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import request

from mlapi.resources import application
from mlapi.resources.application import Application


@pytest.fixture
def small() -> Application:
    app = Application("small")
    seen: list[Any] = []

    @app.route("/models/<name>", methods=["GET", "POST"])
    def model(name: str) -> dict[str, Any]:
        seen.append(name)
        view_args = request.view_args or {}
        view_args["name"] = "changed"
        return {"name": name, "rule": str(request.url_rule), "method": request.method}

    @app.route("/models/all")
    def every() -> str:
        return "all"

    return app


def test_a_path_leads_where_it_led(small: Application) -> None:
    client = small.test_client()
    for _ in range(3):
        assert client.get("/models/a").json == {"name": "a", "rule": "/models/<name>", "method": "GET"}
        assert client.post("/models/a").json == {"name": "a", "rule": "/models/<name>", "method": "POST"}
        assert client.get("/models/b?x=1").json == {"name": "b", "rule": "/models/<name>", "method": "GET"}
        assert client.get("/models/%C3%A9").json == {"name": "é", "rule": "/models/<name>", "method": "GET"}
        assert client.get("/models/all").text == "all"
    assert len(small.known) == 5


@pytest.mark.parametrize(("ask", "status"), [
    (lambda client: client.get("/none"), 404), (lambda client: client.delete("/models/a"), 405),
])  # fmt: skip
def test_what_leads_nowhere_is_not_remembered(
    small: Application, ask: Callable[[Any], Any], status: int,
) -> None:
    client = small.test_client()
    assert [ask(client).status_code for _ in range(3)] == [status] * 3
    assert small.known == {}


def test_what_is_remembered_has_an_end(small: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "MOST_PATHS", 10)
    client = small.test_client()
    for number in range(35):
        assert client.get(f"/models/{number}").json["name"] == str(number)  # type: ignore[index]
        assert len(small.known) <= 10
    small.known.clear()
    assert client.get(f"/models/{'x' * 300}").status_code == 200
    assert small.known == {}
