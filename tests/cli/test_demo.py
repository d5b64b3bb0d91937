"""`mlapi demo`: publishes, leaves alone, and does nothing where it is told to."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from sklearn.linear_model import LinearRegression

from mlapi.cli.main import cli
from mlapi.registry.publishing import publish_model
from mlapi.registry.store import Store


@pytest.fixture
def registry(demo: tuple[Path, Result]) -> Path:
    """Return the registry of the demo, to which no test adds."""
    return demo[0]


@pytest.fixture
def first(demo: tuple[Path, Result]) -> Result:
    """Return the outcome of the first run."""
    return demo[1]


def run(*arguments: object) -> Result:
    """Return the outcome of `mlapi demo` with these arguments."""
    return CliRunner().invoke(cli, ["demo", *map(str, arguments)])


def test_the_first_run_publishes_all_with_a_figure_each(registry: Path, first: Result) -> None:
    assert first.exit_code == 0, first.output
    assert Store(registry).models() == ("digits", "house-prices", "iris", "sqft-price")
    assert "Published house-prices 2 (r2 0.9" in first.stdout
    assert "Published iris 1 (accuracy 0." in first.stdout


def test_the_second_run_publishes_nothing_and_says_so(registry: Path) -> None:
    result = run("--registry", registry)
    assert result.exit_code == 0
    assert "Nothing published: sqft-price, house-prices, iris, digits are there" in result.stdout
    assert "iris has versions already: left alone" in result.output


def test_if_empty_does_nothing_where_there_is_any_model(registry: Path) -> None:
    result = run("--registry", registry, "--if-empty", "--json")
    assert result.exit_code == 0
    assert json.loads(result.output) == {
        "published": [], "skipped": ["digits", "house-prices", "iris", "sqft-price"],
    }  # fmt: skip


def test_a_model_of_that_name_is_left_alone_and_the_others_are_published(tmp_path: Path) -> None:
    sample = np.arange(8.0).reshape(4, 2)
    model = LinearRegression().fit(sample, sample[:, 0])
    for name in ("sqft-price", "house-prices", "digits"):
        publish_model(model, name, registry=tmp_path, sample=sample)
    result = run("--registry", tmp_path, "--json")
    # The oldest click that is supported mixes stderr, which comes first, into stdout.
    document = json.loads(result.stdout[result.stdout.index("{") :])
    (iris,) = document["published"]
    assert (iris["name"], iris["version"]) == ("iris", 1)
    assert iris["metrics"]["accuracy"] > 0.9
    assert document["skipped"] == ["sqft-price", "house-prices", "digits"]
    assert Store(tmp_path).versions("house-prices") == (1,)


def test_help_names_every_version() -> None:
    page = run("--help").stdout
    for words in ("sqft-price 1", "house-prices 2", "iris 1", "digits 1", "Exit codes:"):
        assert words in page
