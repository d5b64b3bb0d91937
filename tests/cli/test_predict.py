"""`mlapi predict --local`: rows as CSV, JSON or standard input."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import Result

from mlapi.errors import (
    InvalidRequest,
    LabelNotFound,
    ModelNotFound,
    SignatureMismatch,
    VerbNotSupported,
    VersionNotFound,
)

Run = Callable[..., Result]


@pytest.fixture
def local(run: Run) -> Run:
    def invoke(name: str, file: str, *more: str, stdin: str | bytes | None = None) -> Result:
        return run("predict", name, file, "--local", *more, stdin=stdin)

    return invoke


def numbers(done: Result) -> list[float]:
    assert done.exception is None, done.exception
    return [float(line) for line in done.stdout.splitlines()]


def test_csv_with_columns_that_are_no_inputs(local: Run, rows_file: Path, houses: pd.DataFrame, prices: Any) -> None:
    expected = prices.predict(houses.drop(columns="price"))
    assert numbers(local("prices", str(rows_file))) == pytest.approx(expected.tolist())


@pytest.mark.parametrize(
    "body",
    [
        '[{"size": 1.0, "rooms": 2, "city": "b"}]',
        '{"instances": [{"size": 1.0, "rooms": 2, "city": "b"}]}',
        '  {"inputs": {"size": [1.0], "rooms": [2], "city": ["b"]}}',
        '[[1.0, 2, "b"]]',
        "city,size,rooms\nb,1,2\n",
        "\ufeffcity,size,rooms\r\nb,1.0,2\r\n",
        'city,size,rooms\n"b"," 1 ",2.0\n\n',
    ],
)
def test_standard_input_in_any_form(local: Run, body: str) -> None:
    assert numbers(local("prices", "-", stdin=body)) == pytest.approx([13.0])


def test_classes_and_probabilities(local: Run, tmp_path: Path) -> None:
    path = tmp_path / "flowers.csv"
    path.write_text("petal,sepal\n0,1\n1,0\n")
    assert local("iris", str(path)).stdout == ":heart:\n[b]x[/b]\n"
    document = json.loads(local("iris", str(path), "--proba", "--json").stdout)
    assert [max(row) > 0.5 for row in document["predictions"]] == [True, True]
    assert len(local("iris", str(path), "--proba").stdout.splitlines()[0].split()) == 2
    assert json.loads(local("iris", str(path), "--json").stdout) == {"predictions": [":heart:", "[b]x[/b]"]}


def test_versions_and_labels(local: Run, rows_file: Path) -> None:
    assert local("prices", str(rows_file), "--version", "1").exit_code == 0
    assert local("prices", str(rows_file), "--label", "stable").exit_code == 0
    assert isinstance(local("prices", str(rows_file), "--version", "9").exception, VersionNotFound)
    assert isinstance(local("prices", str(rows_file), "--label", "best").exception, LabelNotFound)
    assert isinstance(local("price", str(rows_file)).exception, ModelNotFound)
    assert local("prices", str(rows_file), "--label", "stable", "--version", "1").exit_code == 2


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("", "the CSV is empty; expected a line with the names of the columns, then rows"),
        ("size,rooms\n1,2\n", "lacks the columns 'city'; its columns are 'size', 'rooms'"),
        ("size,rooms,city\n1,2\n", "row 0 has 2 cells; the header has 3"),
        ("size,rooms,city\n1,2,a\n1,2,a,extra\n", "row 1 has 4 cells; the header has 3"),
        ("size,rooms,city\nhigh,2,a\n", "row 0, column 'size': expected a number, got text"),
        ("size,rooms,city\n1,2.5,a\n", "row 0, column 'rooms': expected an integer"),
        ("size,rooms,city\n1_0,2,a\n", "row 0, column 'size': expected a number, got text"),
        ("size,rooms,city\n1,2,c\n", "a category the model has never seen"),
        ("size,rooms,city\n1,,a\n", "row 0, column 'rooms'"),
        ('[{"size": 1}]', "column 'rooms' is missing"),
        ("[", "the file is not valid JSON"),
        ("[" * 100_000, "the file is not valid JSON"),
        ("{}", "instances"),
        ("[]", "empty"),
        ("a\0b\n1\n", "CSV"),
        ('a\n"' + "x" * 200_000 + '"\n', "the file is not valid CSV"),
    ],
    ids=lambda text: text[:40],
)
def test_rows_that_do_not_fit_are_refused_with_their_place(local: Run, body: str, sentence: str) -> None:
    error = local("prices", "-", stdin=body).exception
    assert isinstance(error, InvalidRequest), error
    assert sentence in str(error)
    assert "\n" not in str(error)


def test_a_file_that_is_no_text_or_not_there_is_refused(local: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "x.csv", tmp_path / "none.csv", tmp_path):
        error = local("prices", str(path)).exception
        assert isinstance(error, InvalidRequest)
        assert "cannot be read as UTF-8 text" in str(error)


def test_probabilities_of_a_regressor_are_not_to_be_had(local: Run, rows_file: Path) -> None:
    assert isinstance(local("prices", str(rows_file), "--proba").exception, VerbNotSupported | InvalidRequest)


def test_a_mismatch_is_one_of_the_signature(local: Run) -> None:
    assert isinstance(local("prices", "-", stdin='[{"a": 1}]').exception, SignatureMismatch)
