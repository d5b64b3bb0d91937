"""The image, as far as it can be judged unbuilt: its health check is run, its promises are compared with the code."""

import http.server
import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlapi.config import PREFIX, Config

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "Dockerfile").read_text()
JOINED = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", LINES, flags=re.MULTILINE))
STEPS = [step for step in JOINED.splitlines() if step]
STAGES = [index for index, step in enumerate(STEPS) if step.startswith("FROM ")]
BUILD, FINAL = STEPS[STAGES[0] : STAGES[1]], STEPS[STAGES[-1] :]
COMPOSE = (ROOT / "compose.yaml").read_text()
DEPLOY = (ROOT / "docs" / "deploy.md").read_text()


def argument(instruction: str, steps: list[str] = FINAL) -> str:
    """Return what follows the one `instruction` of a stage."""
    (found,) = [step.removeprefix(f"{instruction} ").strip() for step in steps if step.startswith(f"{instruction} ")]
    return found


def environment() -> dict[str, str]:
    """Return the variables that the final stage sets."""
    return dict(pair.split("=", 1) for pair in argument("ENV").split())


@pytest.fixture
def server() -> Iterator[http.server.HTTPServer]:
    """Return a server that is ready while its `status` is 200, and knows no other path."""

    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(self.server.status if self.path == "/v2/health/ready" else 404)  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Ready) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


def health_check(port: int) -> int:
    """Run the command of HEALTHCHECK for a server on `port`, with an engine's proxy set; return its exit code."""
    python, *command = json.loads(argument("HEALTHCHECK").split("CMD ", 1)[1])
    assert python == "python"
    surroundings = {"MLAPI_BIND": f"0.0.0.0:{port}", "http_proxy": "http://127.0.0.1:9"}
    return subprocess.run([sys.executable, *command], env=surroundings, capture_output=True, check=False).returncode


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (302, 1)])
def test_the_health_check_passes_when_the_server_is_ready_only(
    server: http.server.HTTPServer, status: int, code: int,
) -> None:
    server.status = status  # type: ignore[attr-defined]
    assert health_check(server.server_port) == code


def test_the_health_check_fails_where_nothing_listens(server: http.server.HTTPServer) -> None:
    port = server.server_port
    server.shutdown()
    server.server_close()
    assert health_check(port) == 1


def test_every_stage_stands_on_the_base_that_the_first_line_names() -> None:
    assert re.fullmatch(r"ARG BASE=python:3\.\d+-slim-\w+", LINES.splitlines()[0])
    assert [STEPS[index].split()[1] for index in STAGES] == ["${BASE}", "${BASE}"]


def test_libraries_are_installed_by_hash_from_wheels_and_nothing_else_is_fetched() -> None:
    installs = [command for step in BUILD for command in step.split("&&") if "pip install" in command]
    locked, own = (set(command.split()) for command in installs)
    assert {"--require-hashes", "--no-deps", "--only-binary", ":all:", "requirements/runtime.txt"} <= locked
    assert {"--no-index", "--no-deps", "--no-build-isolation"} <= own


def test_the_final_stage_installs_nothing_and_runs_as_a_number_that_is_not_root() -> None:
    assert not [step for step in FINAL if re.search(r"pip3? install|apt(-get)? |curl |wget ", step)]
    uid, gid = map(int, argument("USER").split(":"))
    assert (uid, gid) == (65532, 65532)  # a number, since Kubernetes' runAsNonRoot cannot judge a name


def test_the_final_stage_takes_the_environment_only() -> None:
    assert argument("COPY") == "--from=build /opt/mlapi /opt/mlapi"


def test_what_the_build_copies_is_there_and_let_through() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in ignore if line and not line.startswith("#")]
    copied = {source for step in BUILD if step.startswith("COPY ") for source in step.split()[1:-1]}
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert rules[0] == "*"
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == copied


def test_settings_of_the_image_are_settings_and_agree_with_the_port_and_the_volume() -> None:
    variables = environment()
    config = Config.from_environ({name: text for name, text in variables.items() if name.startswith(PREFIX)})
    assert config.bind == f"0.0.0.0:{argument('EXPOSE')}"
    assert str(config.registry) == argument("VOLUME")
    assert variables["PYTHONDONTWRITEBYTECODE"] == "1"


def test_the_image_starts_a_script_that_the_package_installs() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    (entry,) = json.loads(argument("ENTRYPOINT"))
    assert entry in scripts
    assert environment()["PATH"].startswith("/opt/mlapi/bin:")


def test_an_engine_waits_longer_than_the_server_for_requests_in_flight() -> None:
    compose, run = re.findall(r"stop_grace_period: (\d+)s|--stop-timeout (\d+)", COMPOSE + DEPLOY)
    assert int(compose[0]) > Config().graceful_seconds
    assert int(run[1]) == int(compose[0])


def test_compose_takes_away_what_is_not_needed() -> None:
    for line in ("read_only: true", "cap_drop: [ALL]", 'security_opt: ["no-new-privileges:true"]', "init: true"):
        assert f"    {line}" in COMPOSE
    assert f":{environment()['MLAPI_REGISTRY']}:ro" in COMPOSE
    assert '"127.0.0.1:' in COMPOSE


def test_nginx_of_the_documentation_fits_the_server() -> None:
    body = re.search(r"client_max_body_size (\d+)m;", DEPLOY)
    idle = re.search(r"keepalive_timeout (\d+)s;", DEPLOY)
    assert body is not None
    assert idle is not None
    assert int(body[1]) * 2**20 == Config().max_body_bytes
    settings = (ROOT / "mlapi" / "server" / "settings.py").read_text()
    kept = re.search(r"^keepalive = (\d+)$", settings, re.MULTILINE)
    assert kept is not None
    assert int(idle[1]) < int(kept[1])
