"""`mlapi shadow`: started, reported, stopped; and its refusals."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mlapi.cli.main import cli, exit_code
from mlapi.cli.shadow import command
from mlapi.errors import MlapiError

Run = Callable[..., Result]
Document = Callable[..., Any]


@pytest.mark.parametrize("name", command.commands)
def test_every_command_teaches_by_example_and_speaks_json(name: str) -> None:
    text = CliRunner().invoke(cli, ["shadow", name, "--help"]).stdout
    assert f"mlapi shadow {name}" in text.split("Example", 1)[1]
    options = {option for parameter in command.commands[name].params for option in parameter.opts}
    assert {"--json", "--registry"} <= options


def test_a_shadow_from_start_to_stop(run: Run, document: Document) -> None:
    started = document("shadow", "start", "prices", "2", "--rate", "0.5", "--tolerance", "1", "--segment", "city")
    assert (started["state"], started["weight"], started["plan"]) == ("running", 0.0, [])
    found = document("shadow", "report", "prices")
    assert (found["pairs"], found["control"], found["candidate"], found["rollout"]) == (0, "1", "2", started["id"])
    assert "0 pairs" in run("shadow", "report", "prices").stdout
    assert "is aborted" in run("shadow", "stop", "prices").stdout
    assert document("shadow", "report", "prices", "--id", started["id"])["pairs"] == 0


def test_a_rollout_is_not_stopped_as_a_shadow(run: Run) -> None:
    run("rollout", "start", "prices", "2")
    refused = run("shadow", "stop", "prices")
    assert isinstance(refused.exception, MlapiError)
    assert exit_code(refused.exception) == 6
    assert "is no shadow" in str(refused.exception)
