"""The documentation is true: its requests get its answers, and it names every command, setting and error."""

import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result
from flask.testing import FlaskClient

from mlapi import errors
from mlapi.app import create_app
from mlapi.cli.main import COMMANDS, EXIT_CODES, cli
from mlapi.config import PREFIX, Config
from mlapi.resources.errors import STATUS
from mlapi.serving.metric_families import FAMILIES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
REQUEST = re.compile(r"```http\n(\w+) (\S+)\n((?:(?!```).)*)```\n```json\n(.*?)\n```", re.DOTALL)
BEGINNING = re.compile(r"```http\n(\w+) (\S+)\n```\n```text\n(.*?)\n```", re.DOTALL)
ROLLOUT = "ro_k7q2m4xa"
CURL = re.compile(r"```sh\n(curl .*?)\n```(?:\n\n```json\n(.*?)\n```)?", re.DOTALL)


@pytest.fixture(scope="module")
def client(demo: tuple[Path, Result], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    registry = shutil.copytree(demo[0], tmp_path_factory.mktemp("docs") / "artifacts")
    app = create_app(Config(registry=registry, invocations_model="iris"))
    yield app.test_client()
    app.extensions["mlapi"].stop()


def near(answer: Any, expected: Any) -> bool:
    """Equal, but for the last digits of numbers, which are another processor's to choose."""
    if isinstance(expected, dict):
        return answer.keys() == expected.keys() and all(near(answer[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(answer) == len(expected) and all(map(near, answer, expected))
    return answer == (pytest.approx(expected) if isinstance(expected, float) else expected)


@pytest.mark.parametrize(("method", "path", "body", "answer"), REQUEST.findall((DOCS / "protocols.md").read_text()))
def test_a_request_of_the_protocol_page_gets_its_answer(
    client: FlaskClient, method: str, path: str, body: str, answer: str,
) -> None:
    response = client.open(path.replace(ROLLOUT, newest_rollout(client)), method=method, data=body)
    assert near(as_printed(response.get_json()), json.loads(answer)), response.data.decode()


def newest_rollout(client: FlaskClient) -> str:
    known = client.get("/v1/rollouts").get_json()["rollouts"]
    return str(known[-1]["id"]) if known else ROLLOUT


def as_printed(answer: Any) -> Any:
    """The answer with what is another each time as the page has it: ids, moments, buckets, and who follows."""
    text = re.sub(r"ro_[a-z2-7]{8}", ROLLOUT, json.dumps(answer))
    document = json.loads(re.sub(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z", "2026-11-24T09:00:00Z", text))
    if isinstance(document, dict) and "workers" in document:
        document |= {"workers": [], "converged": False}
    return document


@pytest.mark.parametrize(("method", "path", "start"), BEGINNING.findall((DOCS / "protocols.md").read_text()))
def test_an_answer_of_which_the_page_shows_the_beginning_begins_so(
    client: FlaskClient, method: str, path: str, start: str,
) -> None:
    response = client.open(path, method=method)
    assert response.status_code == 200
    assert response.get_data(as_text=True).startswith(start)


@pytest.mark.parametrize(("line", "answer"), CURL.findall(README))
def test_a_curl_line_of_the_readme_gets_its_answer(client: FlaskClient, line: str, answer: str) -> None:
    _, url, _, data = shlex.split(line.replace("\\\n", ""))
    response = client.post(url.removeprefix("http://127.0.0.1:8000"), data=data)
    assert response.status_code in {200, 400}
    if answer:
        assert near(response.get_json(), json.loads(answer)), response.data.decode()


def test_the_python_of_the_readme_runs_in_an_empty_folder(tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL)) + "\nprint(version)"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("1\n", "")
    assert (tmp_path / "artifacts" / "wine" / "1" / "manifest.json").exists()


def command_lines() -> list[str]:
    pages = [README, *(page.read_text() for page in sorted(DOCS.glob("*.md")))]
    blocks = [block for page in pages for block in re.findall(r"```(?:sh|console)\n(.*?)```", page, re.DOTALL)]
    lines = [line.split("#")[0] for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    commands = [part.strip() for line in lines for part in line.split("&&")]
    return sorted({command for command in commands if command.startswith("mlapi ")})


@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_of_the_documentation_is_one(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsed, not run: names of files in it need not exist here."""
    name, *arguments = shlex.split(line)[1:]
    monkeypatch.chdir(tmp_path)
    for argument in arguments:
        if re.search(r"\.\w+$", argument) and "/" not in argument:
            (tmp_path / argument).touch()
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    if isinstance(command, click.Group):
        name, *arguments = arguments
        command = command.get_command(click.Context(command), name)
        assert command is not None
    command.make_context(name, arguments)


def every_command() -> Iterator[tuple[str, click.Command]]:
    """Yield each command that does something, with its whole name; groups are their commands."""
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        within = command.commands if isinstance(command, click.Group) else {"": command}
        yield from ((f"{name} {inner}".strip(), each) for inner, each in within.items())


def test_every_command_and_option_is_documented() -> None:
    page = (DOCS / "commands.md").read_text()
    for name, command in every_command():
        assert f"`mlapi {name}" in page
        rows = page.splitlines() + (DOCS / "training.md").read_text().splitlines()
        text = "\n".join(rows)
        options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        assert {option for option in options - {"--help"} if option not in text} == set(), name


def test_the_table_of_settings_is_that_of_the_code() -> None:
    rows = [
        f"| `{PREFIX}{setting.name.upper()}` | `{setting.default}` | {setting.metadata['kind']} "
        f"| {setting.metadata['teaches']} |"
        for setting in fields(Config)
    ]
    page = (DOCS / "configuration.md").read_text()
    assert [line for line in page.splitlines() if line.startswith(f"| `{PREFIX}")] == rows


def test_the_table_of_metrics_is_that_of_the_code_and_the_page_asks_for_no_other() -> None:
    page = (DOCS / "metrics.md").read_text()
    rows = [
        f"| `{one.name}` | {one.kind} | {', '.join(f'`{label}`' for label in one.labels) or '-'} | {one.tells} |"
        for one in FAMILIES
    ]
    assert [line for line in page.splitlines() if line.startswith("| `mlapi_")] == rows
    told = {family.name for family in FAMILIES}
    asked = {name.removesuffix("_bucket") for name in re.findall(r"\bmlapi_\w+[a-z]\b", page)}
    assert asked == told


def test_every_error_class_is_documented_with_its_status_or_exit_code() -> None:
    page = (DOCS / "errors.md").read_text()
    assert {name for name in error_classes() if f"`{name}`" not in page} == set()
    for kind, status in STATUS.items():
        assert re.search(rf"^\| {status} \|.*`{kind.__name__}`", page, re.MULTILINE), kind
    for kind, code in EXIT_CODES:
        assert re.search(rf"^\| {code} \|.*`{kind.__name__}`", page, re.MULTILINE), kind


def test_the_tree_at_the_top_of_the_errors_names_every_class() -> None:
    assert {name for name in error_classes() if name not in (errors.__doc__ or "")} == set()


def error_classes() -> list[str]:
    found = inspect.getmembers(errors, inspect.isclass)
    return [name for name, kind in found if issubclass(kind, errors.MlapiError)]


def test_every_logger_is_documented() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "mlapi").rglob("*.py"))
    loggers = set(re.findall(r'getLogger\("([\w.]+)"\)', source))
    page = (DOCS / "operations.md").read_text()
    assert {name for name in loggers if f"`{name}`" not in page} == set()


def test_every_make_target_is_listed_by_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"\.PHONY: (.*)", makefile)[0].split())
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, env=environment)
    assert {target for target in targets if f"make {target} " not in listed.stdout} == set()


def test_links_between_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"
