"""`mlapi rollout`: from the first hold to the end, as text and as JSON, and every refusal with its exit code."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from mlapi.cli.main import cli, exit_code
from mlapi.cli.rollout import COMMANDS
from mlapi.cli.rollout_start import guardrail_of, steps_of
from mlapi.errors import InvalidRequest, MlapiError
from mlapi.registry.store import Store
from mlapi.rollouts import transitions
from mlapi.rollouts.document import Guardrail, Step
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.transitions import Reason

Run = Callable[..., Result]
Document = Callable[..., Any]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_by_example_and_speaks_json(name: str) -> None:
    text = CliRunner().invoke(cli, ["rollout", name, "--help"]).stdout
    assert f"mlapi rollout {name}" in text.split("Example", 1)[1]
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert {"--json"} | ({"--registry"} if name != "plan" else set()) <= options, "a plan needs no registry"


def test_a_rollout_from_the_hold_to_the_release(run: Run, document: Document) -> None:
    assert "version 1 answers everybody" in run("rollout", "hold", "prices", "1").stdout
    started = document("rollout", "start", "prices", "2", "--steps", "5%:10m:200,50%:1h", "--why", "a try")
    assert (started["control"], started["candidate"], started["weight"]) == ("1", "2", 0.05)
    assert started["plan"] == [
        {"weight": 0.05, "min_duration_s": 600.0, "min_samples": 200},
        {"weight": 0.5, "min_duration_s": 3600.0, "min_samples": 0},
    ]  # fmt: skip
    assert run("rollout", "status", "prices").stdout.count(started["id"]) == 1
    assert "is paused:0; version 2 gets 5.00%" in run("rollout", "pause", "prices").stdout
    assert document("rollout", "resume", "prices")["state"] == "running"
    assert document("rollout", "abort", "prices", "--why", "enough")["weight"] == 0.0
    assert "the newest version answers" in run("rollout", "release", "prices").stdout
    rows = document("rollout", "history", "prices")
    assert [(row["after"], row["why"]) for row in rows] == [
        ("held", "held"), ("running:0", "a try"), ("paused:0", "pause"), ("running:0", "resume"), ("aborted", "enough"),
        ("released", "release"),
    ]  # fmt: skip
    assert [row["after"] for row in document("rollout", "history", "prices", "--id", started["id"])] == [
        row["after"] for row in rows[1:]
    ]  # fmt: skip
    assert "enough" in run("rollout", "history", "prices").stdout


def test_a_promotion_needs_a_candidate_that_answers(run: Run, document: Document, registry: Path) -> None:
    document("rollout", "start", "prices", "2")
    model = registry / "prices" / "2" / "model.joblib"
    model.chmod(0o644)
    model.write_bytes(b"x" + model.read_bytes()[1:])
    refused = run("rollout", "promote", "prices")
    assert isinstance(refused.exception, MlapiError)
    assert exit_code(refused.exception) == 5
    assert document("rollout", "status", "prices")["state"] == "running"


def test_watch_ends_with_the_rollout_and_says_how(run: Run, document: Document) -> None:
    document("rollout", "start", "prices", "2")
    document("rollout", "promote", "prices")
    done = run("rollout", "watch", "prices")
    assert done.stdout.count("running:0 by") == 1
    assert "promoted by" in done.stdout
    assert done.exit_code == 0


def test_watch_fails_after_an_abort_so_that_what_follows_is_a_promotion(document: Document, registry: Path) -> None:
    document("rollout", "start", "prices", "2")
    document("rollout", "abort", "prices")
    assert watched(registry) == 1


def test_watch_fails_after_a_rollback_and_waits_until_then(
    run: Run, document: Document, registry: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = document("rollout", "start", "prices", "2")
    generations = Generations(Store(registry))
    why = Reason("test", "it broke", "2026-11-24T00:00:00Z")

    def meanwhile(_: float) -> None:
        rollout = generations.latest("prices", started["id"])
        generations.change(rollout, lambda now: transitions.roll_back(now, why))

    monkeypatch.setattr("mlapi.cli.rollout_status.pause_between", meanwhile)
    done = run("rollout", "watch", "prices")
    assert "rolled_back by test: it broke" in done.stdout
    assert watched(registry) == 1


def watched(registry: Path) -> Any:
    """Return what `watch` makes the exit code."""
    command = cli.get_command(click.Context(cli), "rollout")
    assert command is not None
    return command.main(["watch", "prices", "--json", "--registry", str(registry)], standalone_mode=False)


@pytest.mark.parametrize(("arguments", "code", "sentence"), [
    (["start", "nobody", "2"], 3, "model 'nobody' is unknown"),
    (["start", "prices", "9"], 3, "has no version '9'"),
    (["start", "prices", "1"], 6, "no version before it"),
    (["start", "prices", "2", "--control", "2"], 4, "is the control as well"),
    (["start", "prices", "2", "--steps", "50%,5%"], 4, "shrinks from 0.5 to 0.05"),
    (["start", "prices", "2", "--steps", "half"], 4, "'half' is no step"),
    (["start", "prices", "2", "--guardrail", "slow=fast"], 4, "--guardrail: 'slow=fast' is none"),
    (["start", "prices", "2", "--guardrail", "slow=0"], 4, "'slow' needs a limit above 0"),
    (["start", "prices", "2", "--key", "cookie:x"], 4, "is no source"),
    (["status", "prices"], 3, "never had a rollout"),
    (["pause", "prices"], 3, "never had a rollout"),
    (["status", "nobody"], 3, "model 'nobody' is unknown"),
])  # fmt: skip
def test_what_cannot_be_done_is_refused_with_a_sentence_and_an_exit_code(
    run: Run, arguments: list[str], code: int, sentence: str,
) -> None:
    refused = run("rollout", *arguments)
    assert isinstance(refused.exception, MlapiError)
    assert (exit_code(refused.exception), sentence in str(refused.exception)) == (code, True), refused.exception


def test_a_state_that_does_not_fit_and_an_unknown_id_are_refused(run: Run, document: Document) -> None:
    document("rollout", "start", "prices", "2")
    for arguments, code in ((["resume", "prices"], 6), (["release", "prices"], 6), (["start", "prices", "2"], 6),
                            (["hold", "prices"], 6), (["status", "prices", "--id", "ro_other"], 3)):  # fmt: skip
        refused = run("rollout", *arguments)
        assert isinstance(refused.exception, MlapiError)
        assert exit_code(refused.exception) == code


def test_a_version_that_a_rollout_serves_is_not_deleted(run: Run, document: Document) -> None:
    document("rollout", "start", "prices", "2")
    refused = run("delete", "prices", "2", "--yes")
    assert isinstance(refused.exception, MlapiError)
    assert exit_code(refused.exception) == 6


def test_the_default_plan_is_the_one_that_the_help_tells() -> None:
    text = "".join(CliRunner().invoke(cli, ["rollout", "start", "--help"]).stdout.split())
    told = text.split("Default:1%")[1].split("--key")[0]
    assert steps_of("1%" + told) == Plan().steps


@pytest.mark.parametrize(("text", "steps"), [
    ("5%", (Step(50_000),)), ("0.5%:90s", (Step(5_000, 90.0),)),
    ("5%:1.5h:20, 99%:1d", (Step(50_000, 5400.0, 20), Step(990_000, 86400.0))),
])  # fmt: skip
def test_steps_are_read(text: str, steps: tuple[Step, ...]) -> None:
    assert steps_of(text) == steps


@pytest.mark.parametrize("text", ["", "5", "5%:", "5%:10", "5%:10m:", "5%:10m:-1", "5%:10m:1:2", "%", "5%,,6%", "1e2%"])
def test_steps_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="no step"):
        steps_of(text)


def test_guardrails_are_read() -> None:
    assert guardrail_of("errors=0.25") == Guardrail("errors", 0.25)
    assert guardrail_of("slow=40") == replace(Guardrail("slow"), limit=40.0)
    for text in ("errors", "errors=", "errors=-1", "errors=nan", "errors=inf", "other=1"):
        with pytest.raises(InvalidRequest, match="--guardrail"):
            guardrail_of(text)
