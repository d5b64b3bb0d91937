"""`mlapi train` end to end: publishes, tells, refuses, and costs nothing for --help."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from mlapi.cli.main import cli
from mlapi.errors import InvalidName, TrainingError
from mlapi.registry.store import Store
from mlapi.training.families import FAMILIES
from mlapi.training.metrics import METRICS
from mlapi.training.trainer import Options


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a small table with a number and a class to predict."""
    random = np.random.default_rng(1)
    size = random.uniform(20, 200, 90).round(1)
    kind = np.where(size > 110, "[big]", "small")
    price = (size * 900 + random.normal(0, 2_000, 90)).round(1)
    path = tmp_path_factory.mktemp("tables") / "houses.csv"
    pd.DataFrame({"size": size, "rooms": random.integers(1, 6, 90), "kind": kind, "price": price}).to_csv(path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([f"nr{lines[0]}", *lines[1:]]) + "\n")
    return path


def run(*arguments: object) -> Result:
    """Return the outcome of `mlapi train` with these arguments."""
    return CliRunner().invoke(cli, ["train", *map(str, arguments)])


def test_a_version_is_published_and_the_choice_explained(houses: Path, tmp_path: Path) -> None:
    result = run(houses, "--target", "price", "--name", "prices", "--family", "linear", "--registry", tmp_path)
    assert result.exit_code == 0, result.output
    assert Store(tmp_path).versions("prices") == (1,)
    for words in (
        "regression: 'price' is numeric with",
        "72 rows to learn from, 18 held out, seed 20261124",
        "column 'nr' left out: it numbers the rows",
        "Leaderboard by r2",
        "baseline",
        "Linear regression, best by r2, on the held-out rows",
        "Published prices version 1",
        "mlapi card prices 1",
    ):
        assert words in result.stdout


def test_json_is_one_document_with_what_the_manifest_has(houses: Path, tmp_path: Path) -> None:
    arguments = ("--target", "price", "--name", "prices", "--family", "tree", "--json", "--note", "n")
    result = run(houses, *arguments, "--registry", tmp_path)
    document, manifest = json.loads(result.stdout), Store(tmp_path).manifest("prices", 1)
    assert document["published"] == {"name": "prices", "version": 1}
    assert document["metrics"] == manifest.metrics
    assert document["data"] == manifest.data
    assert document["split"] == manifest.training["split"]
    assert manifest.note == "n"


def test_a_dry_run_publishes_nothing_and_needs_no_name(houses: Path, tmp_path: Path) -> None:
    result = run(houses, "--target", "price", "--family", "linear", "--dry-run", "--registry", tmp_path)
    assert result.exit_code == 0, result.output
    assert "Nothing published (--dry-run)." in result.stdout
    assert Store(tmp_path).models() == ()


def test_classes_are_shown_one_by_one_with_the_confusion_matrix(houses: Path, tmp_path: Path) -> None:
    result = run(houses, "--target", "kind", "--family", "tree", "--dry-run", "--registry", tmp_path)
    assert result.exit_code == 0, result.output
    for words in ("f1_macro", "[big]", "called", "precision", "confusion matrix"):
        assert words in result.stdout


def test_dropped_columns_are_not_learned_from(houses: Path, tmp_path: Path) -> None:
    arguments = ("--target", "price", "--name", "p", "--family", "linear", "--drop", "kind", "--drop", "rooms")
    assert run(houses, *arguments, "--registry", tmp_path).exit_code == 0
    assert Store(tmp_path).manifest("p", 1).signature.input_names == ("size",)


def test_a_missing_name_is_wrong_usage(houses: Path) -> None:
    result = run(houses, "--target", "price")
    assert result.exit_code == 2
    assert "--name is missing" in result.output


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        (("--target", "prcie", "--dry-run"), TrainingError, "did you mean 'price'?"),
        (("--target", "kind", "--dry-run", "--family", "linear"), TrainingError, "expected one of logistic"),
        (("--target", "price", "--dry-run", "--metric", "accuracy"), TrainingError, "expected one of r2"),
        (("--target", "price", "--name", "a/b"), InvalidName, "cannot name a model"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_a_sentence(
    houses: Path, arguments: tuple[str, ...], kind: type[Exception], sentence: str,
) -> None:
    result = run(houses, *arguments)
    assert isinstance(result.exception, kind)
    assert sentence in str(result.exception)


def test_help_teaches_families_metrics_examples_and_exit_codes() -> None:
    page = run("--help").stdout
    for family in FAMILIES:
        assert family.title in page
    for metric in METRICS:
        assert metric.reading in page
    assert "Examples:" in page
    assert "Exit codes:" in page


def test_every_option_is_in_the_docs() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    command = cli.get_command(None, "train")  # type: ignore[arg-type]
    assert command is not None
    options = [name for parameter in command.params for name in parameter.opts if name.startswith("--")]
    assert [name for name in options if f"`{name}" not in docs] == []


def test_the_defaults_of_the_options_are_those_of_the_library() -> None:
    """The command repeats them, as importing the library would cost --help two seconds."""
    command = cli.get_command(None, "train")  # type: ignore[arg-type]
    assert command is not None
    defaults = {parameter.name: parameter.default for parameter in command.params}
    library = Options()
    for name in ("family", "task", "test_size", "folds", "seed"):
        assert defaults[name] == getattr(library, name)


def test_help_imports_neither_scikit_learn_nor_pandas() -> None:
    code = (
        "import sys, mlapi.cli.train, mlapi.cli.demo;"
        "sys.exit(sorted({'sklearn', 'pandas', 'scipy'} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
