"""Reading a CSV file: what is kept, what is left out and said, what is refused."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from mlapi.errors import TrainingError
from mlapi.training.table import Table, read_table

Y = [f"{i % 7}.5" for i in range(40)]


def written(tmp_path: Path, header: str, rows: list[str], encoding: str = "utf-8") -> Path:
    """Return the path of a CSV file with these lines."""
    path = tmp_path / "data.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding=encoding)
    return path


def read(tmp_path: Path, header: str, rows: list[str], target: str = "y", *drop: str) -> Table:
    """Return the table in a CSV file with these lines."""
    return read_table(written(tmp_path, header, rows), target, drop)


def test_the_digest_is_that_of_the_bytes_of_the_file(tmp_path: Path) -> None:
    table = read(tmp_path, "x,y", [f"{i % 9},{y}" for i, y in enumerate(Y)])
    data = (tmp_path / "data.csv").read_bytes()
    assert table.sha256 == hashlib.sha256(data).hexdigest()
    assert (table.source, table.rows, table.columns) == ("data.csv", 40, 2)
    assert table.notices == ()


def test_whole_numbers_stay_integers_and_flags_stay_flags(tmp_path: Path) -> None:
    rows = [f"{i % 9},{i % 2 == 0},{y}" for i, y in enumerate(Y)]
    features = read(tmp_path, "x,flag,y", rows).features
    assert features.dtypes.astype(str).tolist() == ["int64", "bool"]


def test_flags_with_gaps_become_text_and_it_is_said(tmp_path: Path) -> None:
    rows = [f"{['true', 'false', ''][i % 3]},{y}" for i, y in enumerate(Y)]
    table = read(tmp_path, "flag,y", rows)
    assert table.features["flag"].dropna().unique().tolist() == ["true", "false"]
    assert "column 'flag' is true or false with gaps" in table.notices[0]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_are_recognised(tmp_path: Path, separator: str) -> None:
    rows = [f"{i % 9}{separator}{y}" for i, y in enumerate(Y)]
    assert read(tmp_path, f"x{separator}y", rows).features.columns.tolist() == ["x"]


def test_a_byte_order_mark_and_spaces_are_no_part_of_a_name(tmp_path: Path) -> None:
    path = written(tmp_path, "x, y", [f"{i % 9}, {y}" for i, y in enumerate(Y)], "utf-8-sig")
    assert read_table(path, "y").features.columns.tolist() == ["x"]


def test_rows_without_a_target_are_left_out_and_said(tmp_path: Path) -> None:
    table = read(tmp_path, "x,y", [*(f"{i % 9},{y}" for i, y in enumerate(Y)), "3,", "4,"])
    assert len(table.target) == len(table.features) == 40
    assert table.notices == ("2 rows left out: no value for the target 'y'",)


def test_a_whole_number_target_with_gaps_is_an_integer_again(tmp_path: Path) -> None:
    table = read(tmp_path, "x,y", [*(f"{i % 9},{i % 4}" for i in range(40)), "3,"])
    assert table.target.dtype == np.dtype("int64")


def test_a_true_or_false_target_is_text(tmp_path: Path) -> None:
    table = read(tmp_path, "x,y", [f"{i % 9},{i % 2 == 0}" for i in range(40)])
    assert table.target.unique().tolist() == ["true", "false"]


def test_infinity_is_read_as_a_gap(tmp_path: Path) -> None:
    table = read(tmp_path, "x,y", [*(f"{i % 9},{y}" for i, y in enumerate(Y)), "inf,1"])
    assert int(table.features["x"].isna().sum()) == 1


@pytest.mark.parametrize(
    ("header", "row", "sentence"),
    [
        ("x,x,y", "1,2,3", "more than one column named 'x'"),
        ("x,,y", "1,2,3", "column 2 of data.csv has no name"),
        ("", "1,2", "is empty or starts with an empty line"),
        ("x,price", "1,2", "column 'y' is not in data.csv; its columns are x, price"),
        ("x,yy", "1,2", "column 'y' is not in data.csv; did you mean 'yy'?"),
        ("x,y", "1,2,3", "rows with more values than the 2 columns"),
        ("x,y", "1,2", "has 1 rows with a value for 'y'; expected at least 20"),
    ],
)
def test_a_file_that_makes_no_table_is_refused(
    tmp_path: Path, header: str, row: str, sentence: str,
) -> None:
    with pytest.raises(TrainingError) as caught:
        read(tmp_path, header, [row])
    assert sentence in str(caught.value)


def test_a_column_to_drop_must_be_there_and_not_the_target(tmp_path: Path) -> None:
    rows = [f"{i % 9},{y}" for i, y in enumerate(Y)]
    with pytest.raises(TrainingError, match=r"column 'z' is not in data\.csv"):
        read(tmp_path, "x,y", rows, "y", "z")
    with pytest.raises(TrainingError, match="is the target and cannot be dropped"):
        read(tmp_path, "x,y", rows, "y", "y")


def test_a_table_with_nothing_left_to_learn_from_is_refused_with_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no column .* is left .*'x' left out: it has fewer"):
        read(tmp_path, "x,y", [f"1,{y}" for y in Y])


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "größe,y", ["1,2"] * 30, "latin-1")
    with pytest.raises(TrainingError, match="is not UTF-8 text"):
        read_table(path, "y")
    path = written(tmp_path, "x,y", ["größe,2"] * 30, "latin-1")
    with pytest.raises(TrainingError, match="is not UTF-8 text"):
        read_table(path, "y")


def test_a_malformed_or_missing_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "x,y", ["1,2", '"1,2'])
    with pytest.raises(TrainingError, match="is no well-formed CSV"):
        read_table(path, "y")
    with pytest.raises(TrainingError, match="cannot be read: No such file"):
        read_table(tmp_path / "absent.csv", "y")
