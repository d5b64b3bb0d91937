"""What a sample says of the signature."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from mlapi.errors import PublishRefused
from mlapi.inference.signature import TensorSpec
from mlapi.registry.sample import encoder_categories, read_csv, table_of


def column(values: Any) -> TensorSpec:
    """Return what a column beside a column of text is taken for."""
    frame = pd.DataFrame({"text": pd.Series(["a"] * len(values), dtype=object), "it": values})
    return table_of(None, frame, None, None).specs[1]


KINDS = {
    "floats": ([1.5, 2.5], ("FP64", False, 1.5, 2.5)),
    "floats with gaps": ([1.5, None], ("FP64", True, 1.5, 1.5)),
    "floats with infinity": ([1.5, float("inf")], ("FP64", False, 1.5, 1.5)),
    "integers": ([1, 2], ("INT64", False, 1.0, 2.0)),
    "small integers": (np.array([1, 2], "u1"), ("INT64", False, 1.0, 2.0)),
    "single floats": (np.array([1, 2], "f4"), ("FP64", False, 1.0, 2.0)),
    "nullable integers": (pd.array([1, 2], "Int64"), ("INT64", False, 1.0, 2.0)),
    "nullable integers with gaps": (pd.array([1, None], "Int64"), ("FP64", True, 1.0, 1.0)),
    "nullable floats with gaps": (pd.array([1.5, None], "Float64"), ("FP64", True, 1.5, 1.5)),
    "truth values": ([True, False], ("BOOL", False, None, None)),
    "nullable truth values": (pd.array([True, False], "boolean"), ("BOOL", False, None, None)),
    "nullable truth values with gaps": (pd.array([True, None], "boolean"), ("FP64", True, 1.0, 1.0)),
    "truth values with gaps": (pd.Series([True, None], dtype=object), ("FP64", True, 1.0, 1.0)),
    "text": (["x", "y"], ("BYTES", False, None, None)),
    "text with gaps": (["x", None], ("BYTES", True, None, None)),
    "objects of text": (pd.Series(["x", np.nan], dtype=object), ("BYTES", True, None, None)),
    "pandas' text": (pd.array(["x", None], "string"), ("BYTES", True, None, None)),
    "categories": (pd.Categorical(["x", "y"]), ("BYTES", False, None, None)),
    "categories with gaps": (pd.Categorical(["x", None]), ("BYTES", True, None, None)),
    "gaps alone": ([None, None], ("FP64", True, None, None)),
    "not-a-numbers alone": ([np.nan, np.nan], ("FP64", True, None, None)),
    "objects of integers": (pd.Series([1, 2], dtype=object), ("INT64", False, 1.0, 2.0)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_datatype_null_policy_and_range_of_a_column(kind: str) -> None:
    values, expected = KINDS[kind]
    spec = column(values)
    assert (spec.datatype, spec.nullable, spec.minimum, spec.maximum) == expected
    assert spec.shape == (-1, 1)


REFUSED = {
    "dates": pd.to_datetime(["2026-01-01", "2026-01-02"]),
    "days": [dt.date(2026, 1, 1), dt.date(2026, 1, 2)],
    "spans": pd.to_timedelta(["1D", "2D"]),
    "text and numbers": pd.Series(["x", 1], dtype=object),
    "bytes": pd.Series([b"x", b"y"], dtype=object),
    "lists": pd.Series([[1], [2]], dtype=object),
    "categories of numbers": pd.Categorical([1, 2]),
    "complex numbers": [1j, 2j],
}


@pytest.mark.parametrize("kind", REFUSED)
def test_columns_of_other_kinds_are_refused_by_name(kind: str) -> None:
    with pytest.raises(PublishRefused, match=r"column 'it' of the sample holds .* values; expected numbers"):
        column(REFUSED[kind])


def test_missing_text_is_none_in_the_rows_that_are_kept() -> None:
    for gap in (None, np.nan, pd.NA):
        table = table_of(None, pd.DataFrame({"city": pd.Series(["x", gap], dtype=object)}), None, None)
        assert table.arrays["city"].tolist() == ["x", None]


def test_a_sample_that_is_not_there_is_asked_for() -> None:
    with pytest.raises(PublishRefused, match="a sample is needed to infer the signature"):
        table_of(None, None, None, None)


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        (scipy.sparse.csr_matrix(np.eye(3)), "sparse matrix; pass some of its rows as an array"),
        (scipy.sparse.coo_array(np.eye(3)), "sparse matrix"),
        ([[1, 2], [3]], "differ in length"),
        ([1, 2, 3], r"shape \[3\]; expected rows and columns"),
        (np.zeros((2, 2, 2)), r"shape \[2, 2, 2\]"),
        (np.zeros((0, 2)), r"shape \[0, 2\]"),
        ([], r"shape \[0\]"),
        (5, r"shape \[\]"),
        ("rows.csv", r"shape \[\]"),
        (pd.DataFrame({"a": []}), "no rows"),
        (pd.Series([1, 2]), r"shape \[2\]"),
        (np.array([["2026-01-01"]], "M8[D]"), "column 'column-0' of the sample holds datetime64"),
    ],
    ids=str,
)
def test_what_is_no_table_is_refused_in_a_sentence(sample: Any, sentence: str) -> None:
    with pytest.raises(PublishRefused, match=sentence):
        table_of(None, sample, None, None)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "u1", "?"])
def test_numbers_in_an_array_are_one_matrix_of_doubles(dtype: str) -> None:
    table = table_of(None, np.ones((3, 2), dtype), ["a", "b"], None)
    assert (table.form, table.feed, table.features) == ("matrix", "array", ("a", "b"))
    assert table.specs == (TensorSpec("input-0", "FP64", (-1, 2)),)
    assert table.arrays["input-0"].dtype == "f8"


def test_a_matrix_with_gaps_is_nullable() -> None:
    assert table_of(None, [[1.0, np.nan]], None, None).specs[0].nullable


def test_rows_that_mix_numbers_and_text_stay_numbers_and_text() -> None:
    for rows in ([[1, "a"], [2, "b"]], np.array([[1, "a"], [2, "b"]], dtype=object)):
        table = table_of(None, rows, None, None)
        assert [(spec.name, spec.datatype) for spec in table.specs] == [("column-0", "INT64"), ("column-1", "BYTES")]
        assert table.feed == "objects"


def test_a_numeric_frame_for_a_model_of_arrays_is_a_matrix_with_feature_names() -> None:
    frame = pd.DataFrame({7: [1, 2], "b": pd.array([1.5, None], "Float64")})
    table = table_of(LinearRegression().fit(np.eye(2), [1, 2]), frame, None, None)
    assert (table.form, table.feed, table.features) == ("matrix", "array", ("7", "b"))
    assert table.specs[0].nullable


def test_the_columns_are_those_of_the_fit_in_its_order() -> None:
    frame = pd.DataFrame({"id": ["x", "y"], "b": [1.0, 2.0], "a": [3, 4], "target": [0, 1]})
    model = LinearRegression().fit(frame[["a", "b"]], frame["target"])
    assert [spec.name for spec in table_of(model, frame, None, None).specs] == ["a", "b"]
    with pytest.raises(PublishRefused, match="lacks columns that the model was fitted on: 'b'"):
        table_of(model, frame.drop(columns="b"), None, None)


def test_an_array_for_a_model_of_a_frame_takes_the_names_of_the_fit() -> None:
    frame = pd.DataFrame({"b": [1.0, 2.0], "a": [3.0, 4.0]})
    table = table_of(LinearRegression().fit(frame, [1, 2]), frame.to_numpy(), None, None)
    assert (table.form, table.feed, table.features) == ("matrix", "frame", ("b", "a"))


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"]])
def test_feature_names_must_be_as_many_as_columns(names: list[str]) -> None:
    with pytest.raises(PublishRefused, match=f"{len(names)} feature names for 2 columns"):
        table_of(None, np.ones((3, 2)), names, None)


def test_names_that_stand_twice_are_refused() -> None:
    text = pd.Series(["x"], dtype=object)
    for sample, names in (
        (pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]), None),
        (pd.DataFrame({1: [1.0], "1": [2.0]}), None),
        (pd.concat([text, text], axis=1, keys=["a", "a"]), None),
        (np.ones((1, 2)), ["a", "a"]),
    ):  # fmt: skip
        with pytest.raises(PublishRefused, match="two columns of the sample have the same name"):
            table_of(None, sample, names, None)


def test_a_sample_of_another_width_says_what_to_do() -> None:
    model = LinearRegression().fit(np.eye(2), [1, 2])
    with pytest.raises(PublishRefused, match=r"3 columns; the model was fitted on 2 \(leave the target out"):
        table_of(model, np.ones((3, 3)), None, None)


def test_hundreds_of_numeric_columns_are_one_matrix_by_name() -> None:
    frame = pd.DataFrame(np.ones((2, 2000)), columns=[f"c{j}" for j in range(2000)])
    table = table_of(LinearRegression().fit(frame, [1, 2]), frame, None, None)
    assert (table.form, table.feed, len(table.features)) == ("matrix", "frame", 2000)


# -- categories ---------------------------------------------------------------------------------

CITIES = pd.DataFrame({"city": pd.Series(["a", "b", "c"], dtype=object), "n": [1.0, 2.0, 3.0]})


def encoded(**options: Any) -> Any:
    encode = make_column_transformer((OneHotEncoder(**options), ["city"]), remainder="passthrough")
    return make_pipeline(encode, LinearRegression()).fit(CITIES, [1, 2, 3])


def test_the_encoder_knows_the_categories_and_others_are_refused() -> None:
    spec = table_of(encoded(), CITIES[:1], None, None).specs[0]
    assert (spec.categories, spec.unseen) == (("a", "b", "c"), "refuse")
    assert table_of(encoded(), CITIES[:1], None, "accept").specs[0].unseen == "accept"


def test_a_sample_beyond_the_encoder_shows_that_others_are_meant_to_come() -> None:
    beyond = pd.DataFrame({"city": ["a", "z"], "n": [1.0, 2.0]})
    spec = table_of(encoded(handle_unknown="ignore"), beyond, None, None).specs[0]
    assert (spec.categories, spec.unseen) == (("a", "b", "c"), "accept")


def test_without_an_encoder_the_categories_are_those_of_the_sample_and_others_are_accepted() -> None:
    spec = table_of(None, CITIES, None, None).specs[0]
    assert (spec.categories, spec.unseen) == (("a", "b", "c"), "accept")
    assert table_of(None, CITIES, None, "refuse").specs[0].unseen == "refuse"


def test_many_texts_are_no_categories_unless_refusal_is_asked_for() -> None:
    many = pd.DataFrame({"id": [f"id-{i}" for i in range(70)]})
    assert table_of(None, many, None, None).specs[0].categories is None
    spec = table_of(None, many, None, "refuse").specs[0]
    assert (len(spec.categories or ()), spec.unseen) == (70, "refuse")


def test_refusal_lists_all_that_a_large_encoder_knows_not_what_the_sample_shows() -> None:
    many = pd.DataFrame({"city": [f"c{i}" for i in range(300)], "n": np.arange(300.0)})
    encode = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    model = make_pipeline(encode, LinearRegression()).fit(many, many["n"])
    assert table_of(model, many[:5], None, None).specs[0].categories is None
    assert len(table_of(model, many[:5], None, "refuse").specs[0].categories or ()) == 300


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: model,
        lambda model: TransformedTargetRegressor(model).fit(CITIES, [1, 2, 3]),
        lambda model: GridSearchCV(model, {"linearregression__fit_intercept": [True]}, cv=2).fit(
            pd.concat([CITIES, CITIES]), [1, 2, 3, 1, 2, 3],
        ),
    ],
    ids=["pipeline", "transformed target", "grid search"],
)
def test_encoders_are_found_inside_compositions(wrap: Any) -> None:
    assert encoder_categories(wrap(encoded(handle_unknown="ignore"))) == {"city": ("a", "b", "c")}


def test_missing_and_numeric_categories_are_left_out() -> None:
    frame = pd.DataFrame({"city": pd.Series(["b", None, "a"], dtype=object), "n": [1, 2, 2]})
    encode = ColumnTransformer([("t", OrdinalEncoder(), ["city"]), ("n", OrdinalEncoder(), ["n"])]).fit(frame)
    assert encoder_categories(encode) == {"city": ("a", "b")}


# -- CSV ----------------------------------------------------------------------------------------


def test_a_csv_is_read_and_its_target_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\ufeffa,b,y\n1,x,0\n2,,1\n", encoding="utf-8")
    frame, target = read_csv(path, "y")
    assert list(frame.columns) == ["a", "b"]
    assert target is not None
    assert target.tolist() == [0, 1]
    assert read_csv(path)[1] is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(b"", "no CSV table"), (b"a,b\n1,2,3\n1,2,3,4\n", "no CSV table"), (b"a\n\xff\xfe\n", "no CSV table"),
     (b"price\n1\n", "no column 'prise'; did you mean 'price'"), (b"a,b\n1,2\n", "its columns are a, b")],
)  # fmt: skip
def test_a_csv_that_is_none_is_refused_in_one_line(tmp_path: Path, text: bytes, sentence: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(text)
    with pytest.raises(PublishRefused, match=sentence) as caught:
        read_csv(path, "prise")
    assert "\n" not in str(caught.value)
