"""`mlapi rollout plan`: without a registry, as text and as JSON, and what it refuses."""

import json

import pytest
from click.testing import CliRunner, Result

from mlapi.cli.main import cli
from mlapi.cli.metric_option import metric_of
from mlapi.errors import InvalidRequest


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["rollout", "plan", *arguments])


def test_it_says_units_days_and_what_to_start_with() -> None:
    text = run("--rate", "0.1", "--mde", "0.01", "--per-day", "20000").stdout
    assert "35,100" in text
    assert "1.8 days" in text
    assert "--metric conversion,binary,mde=0.01,alpha=0.05,window=0s,mode=bounded,max_samples=35100" in text


def test_the_same_as_json() -> None:
    result = run("--sd", "3.5", "--mde", "-0.1", "--per-day", "5000", "--window", "1d", "--mode", "always_valid",
                 "--steps", "50%", "--name", "spend", "--json")  # fmt: skip
    answer = json.loads(result.stdout)
    assert answer["most_days"] == pytest.approx(answer["most_units"] / 5000 + 1)
    assert answer["metric"] == "spend,continuous,mde=0.1,alpha=0.05,window=1d,mode=always_valid"


def test_the_metric_of_a_number_has_its_cap_or_says_that_one_is_missing() -> None:
    capped = run("--sd", "3.5", "--cap", "40", "--mde", "0.1", "--per-day", "5000")
    metric = capped.stdout.split("--metric ")[1].split()[0]
    assert metric_of(metric).cap == 40
    assert "cap=VALUE" not in capped.stdout
    assert run("--sd", "3.5", "--mde", "0.1", "--per-day", "5000").stdout.splitlines()[-2].endswith(",cap=VALUE")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--mde", "0.01", "--per-day", "100"], "expected one of --rate"),
        (["--mde", "0.01", "--per-day", "100", "--rate", "0.1", "--sd", "1"], "expected one of --rate"),
        (["--mde", "0.95", "--per-day", "100", "--rate", "0.1"], "expected both between 0 and 1"),
        (["--mde", "0", "--per-day", "100", "--rate", "0.1"], "--mde is 0"),
        (["--mde", "0.1", "--per-day", "0", "--sd", "1"], "--per-day is 0"),
        (["--mde", "0.1", "--per-day", "10", "--sd", "-1"], "--sd is -1"),
        (["--mde", "0.1", "--per-day", "10", "--sd", "1", "--window", "1w"], "--window is '1w'"),
        (["--mde", "0.1", "--per-day", "10", "--sd", "1", "--steps", "5%,100%"], "--steps: 100%"),
        (["--mde", "0.1", "--per-day", "10", "--sd", "1", "--steps", "5%,1%"], "--steps: 1% after 5%"),
        (["--mde", "0.1", "--per-day", "10", "--sd", "1", "--cap", "0"], "--cap is 0"),
        (["--mde", "0.01", "--per-day", "10", "--rate", "0.1", "--cap", "9"], "--cap is 9"),
        (["--mde", "0.1", "--per-day", "10", "--sd", "1", "--alpha", "0.1", "--power", "0.9"],
         "is not planned; known are"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_a_sentence(arguments: list[str], why: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, InvalidRequest)
    assert why in str(result.exception)
