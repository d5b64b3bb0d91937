"""POST /invocations: the same rows in every form, and in V1, get the same predictions; faults are sentences."""

import csv
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from mlapi.errors import ConfigError
from mlapi.inference.values import Target
from mlapi.resources.invocations import target_in

FLOWER = ["sepal length", "sepal width", "petal length", "petal width"]
HOME = ["size", "year", "rooms", "city", "garden"]
PARQUET, NPY, CSV = "application/vnd.apache.parquet", "application/x-npy", "text/csv"


@pytest.fixture(scope="session")
def homes_client(make_app: Callable[..., Flask], registry: Path) -> FlaskClient:
    return make_app(registry, invocations_model="homes").test_client()


@pytest.fixture(scope="session")
def iris_client(make_app: Callable[..., Flask], registry: Path) -> FlaskClient:
    return make_app(registry, invocations_model="iris").test_client()


def as_csv(frame: pd.DataFrame) -> bytes:
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow(frame.columns)
    for row in frame.itertuples(index=False):
        writer.writerow(["" if value != value else str(value) for value in row])  # noqa: PLR0124 (NaN)
    return sink.getvalue().encode()


def as_parquet(frame: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pandas(frame, preserve_index=False), sink)
    return sink.getvalue()


def as_npy(array: np.ndarray[Any, Any]) -> bytes:
    sink = io.BytesIO()
    np.save(sink, array)
    return sink.getvalue()


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def bodies(frame: pd.DataFrame) -> list[tuple[str, bytes]]:
    """Return the rows in every form that has names; a missing number is NaN, null or nothing at all."""
    rows = records(frame)
    gaps = [{name: None if value != value else value for name, value in row.items()} for row in rows]  # noqa: PLR0124
    columns = {str(name): [row[str(name)] for row in rows] for name in frame.columns}
    split = {"columns": list(frame.columns), "data": [list(row.values()) for row in gaps]}
    documents: list[dict[str, Any]] = [
        {"dataframe_split": split}, {"dataframe_split": split | {"index": list(range(len(rows)))}, "params": {}},
        {"dataframe_records": gaps}, {"instances": rows}, {"inputs": rows}, {"inputs": columns},
        {"dataframe_records": rows},
    ]  # fmt: skip
    mixed = frame[frame.columns[::-1]]
    return [
        (CSV, as_csv(frame)), (f"{CSV}; charset=utf-8", b"\xef\xbb\xbf" + as_csv(mixed)), (PARQUET, as_parquet(mixed)),
        *[("application/json", json.dumps(document).encode()) for document in documents],
    ]  # fmt: skip


def predictions(client: FlaskClient, path: str, media: str, body: bytes) -> Any:
    response = client.post(path, data=body, content_type=media)
    assert response.status_code == 200, response.data.decode()
    document = json.loads(response.data)
    return document.get("predictions", document.get("outputs"))


def same_everywhere(client: FlaskClient, name: str, frame: pd.DataFrame, more: list[tuple[str, bytes]]) -> None:
    rows = records(frame)
    columns = {str(column): [row[str(column)] for row in rows] for column in frame.columns}
    v1 = [json.dumps({"instances": rows}), json.dumps({"inputs": columns})]
    expected = predictions(client, f"/v1/models/{name}:predict", "application/json", v1[0].encode())
    assert len(expected) == len(frame)
    assert predictions(client, f"/v1/models/{name}:predict", "application/json", v1[1].encode()) == expected
    for media, body in [*bodies(frame), *more]:
        assert predictions(client, "/invocations", media, body) == expected, (media, body[:200])


numbers = st.floats(-1e6, 1e6)
flowers = st.lists(st.tuples(numbers, numbers, numbers, numbers), min_size=1, max_size=5)
homes = st.lists(st.tuples(
    st.one_of(numbers, st.just(float("nan"))), numbers, st.integers(-(2**53), 2**53),
    st.sampled_from(["berlin", "oslo", "rome"]), st.booleans(),
), min_size=1, max_size=5)  # fmt: skip
again = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(homes)
@again
def test_a_mixed_table_gets_the_same_predictions_in_every_form(homes_client: FlaskClient, rows: list[Any]) -> None:
    same_everywhere(homes_client, "homes", pd.DataFrame(rows, columns=HOME), [])


@given(flowers)
@again
def test_a_matrix_gets_the_same_predictions_in_every_form(iris_client: FlaskClient, rows: list[Any]) -> None:
    matrix = np.array(rows)
    arrays = [matrix, np.asfortranarray(matrix), matrix.astype(">f8")]
    listed = [json.dumps({form: matrix.tolist()}).encode() for form in ("instances", "inputs")]
    more = [(NPY, as_npy(array)) for array in arrays] + [("", body) for body in listed]
    same_everywhere(iris_client, "iris", pd.DataFrame(rows, columns=FLOWER), more)


def test_a_matrix_without_names_takes_a_table_in_order(make_app: Callable[..., Flask], registry: Path) -> None:
    client = make_app(registry, invocations_model="root").test_client()
    expected = predictions(client, "/v1/models/root:predict", "", b'{"instances": [[1, 4], [0.25, 2]]}')
    assert predictions(client, "/invocations", CSV, b"left,right\n1,4\n0.25,2\n") == expected
    body = b'{"dataframe_split": {"columns": [0, 1], "data": [[1, 4], [0.25, 2]]}}'
    assert predictions(client, "/invocations", "application/json", body) == expected
    response = client.post("/invocations", data=b"a\n1\n", content_type=CSV)
    assert response.get_json() == {"error": "the table has 1 columns; expected the 2 of 'input-0', in order"}


@pytest.mark.parametrize(("body", "sentence"), [
    (b"", "the CSV is empty; expected a line with the names of the columns, then rows"),
    (b"size,year,rooms,city,garden\n", "the batch is empty; expected at least one row"),
    (b"size,year,room,city,garden\n1,1,1,oslo,true\n",
     "2 faults: (1) column 'room' is unknown; did you mean 'rooms'?; (2) column 'rooms' is missing"),
    (b"size,size,year,rooms,city,garden\n1,1,1,1,oslo,true\n", "column 'size' stands twice in the header"),
    (b"size,year,rooms,city,garden\n1,1,1,oslo,true\n\n1,1,1\n", "row 1 has 3 cells; the header has 5"),
    (b"size,year,rooms,city,garden\n1,,2,oslo,true\n",
     "row 0, column 'year': is missing, and this model takes no missing value there"),
    (b"size,year,rooms,city,garden\n,1,,oslo,\n",
     ("2 faults: (1) row 0, column 'rooms': is missing, and this model takes no missing value there; "
      "(2) row 0, column 'garden': is missing, and this model takes no missing value there")),
    (b"size,year,rooms,city,garden\n1,1,1,oslo,true\n1,1,1,,true\n",
     "row 1, column 'city': is missing, and this model takes no missing value there"),
    (b"size,year,rooms,city,garden\n1,1,1,paris,true\n",
     "row 0, column 'city': is a category the model has never seen; expected one of 'berlin', 'oslo', 'rome'"),
    (b"size,year,rooms,city,garden\nlarge,1,1.5,oslo,maybe\n",
     ("3 faults: (1) row 0, column 'size': expected a number, got text; "
      "(2) row 0, column 'rooms': expected an integer from -9223372036854775808 to 9223372036854775807; "
      "(3) row 0, column 'garden': expected true or false, got text")),
    (b"size,year,rooms,city,garden\n1,1e400,1,oslo,true\n",
     "row 0, column 'year': expected a number that fits FP64"),
    (b'size,year,rooms,city,garden\n1,1,1,"oslo,true\n', "the body is not valid CSV: unexpected end of data at line 2"),
    (b"size,year\n\xff,1\n", "the body is not UTF-8 text; expected CSV in UTF-8"),
])  # fmt: skip
def test_faults_of_csv_are_those_of_json_with_rows_counted_from_0(
    homes_client: FlaskClient, body: bytes, sentence: str,
) -> None:
    response = homes_client.post("/invocations", data=body, content_type=CSV)
    assert (response.status_code, response.get_json()["error"]) == (400, sentence)


def test_quoted_cells_hold_commas_quotes_and_lines(homes_client: FlaskClient) -> None:
    body = b'size,year,rooms,"city","garden"\r\n"1",1,1,"os""l,\r\no",TRUE\r\n'
    response = homes_client.post("/invocations", data=body, content_type=CSV)
    assert response.get_json()["error"].startswith("row 0, column 'city': is a category the model has never seen")


@pytest.mark.parametrize(("document", "sentence"), [
    ({}, "expected exactly one of dataframe_split, dataframe_records, instances, inputs, got none of them"),
    ({"instances": [1], "inputs": [1]},
     "expected exactly one of dataframe_split, dataframe_records, instances, inputs, got instances and inputs"),
    ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}, "dataframe_split.columns: 'a' stands twice"),
    ({"dataframe_split": {"columns": ["a"], "data": [[1, 2], 3]}},
     ("2 faults: (1) row 0: expected a list of 1 values, one a column; "
      "(2) row 1: expected a list of 1 values, one a column")),
    ({"dataframe_split": {"columns": ["a"], "data": []}},
     "the batch is empty; expected at least one column and one row"),
    ({"dataframe_split": {"columns": ["a"]}}, "dataframe_split.data: missing data for required field"),
    ({"dataframe_records": [[1]]}, "dataframe_records: expected an object by column name a row"),
    ({"dataframe_records": []}, "dataframe_records: expected a non-empty list of rows"),
    ({"dataframe_records": [{}]}, "the records are empty; expected at least one column"),
    ({"inputs": 3}, "inputs: expected a list, or an object of tensors by name"),
    ({"instances": [1], "params": 3}, "params: not a valid mapping type"),
])  # fmt: skip
def test_faults_of_the_json_forms_are_sentences(
    homes_client: FlaskClient, document: dict[str, Any], sentence: str,
) -> None:
    response = homes_client.post("/invocations", json=document)
    assert (response.status_code, response.get_json()["error"]) == (400, sentence)


def test_which_model_is_meant_is_asked_for_where_there_are_several(client: FlaskClient) -> None:
    response = client.post("/invocations", data=b"{}")
    assert (response.status_code, response.get_json()["error"]) == (400, (
        "/invocations does not know which model is meant: the models are exponent, homes, iris, root; "
        "set MLAPI_INVOCATIONS_MODEL to one"
    ))


@pytest.mark.parametrize(("setting", "version"), [("iris", "2"), ("iris/1", "1"), ("iris@stable", "1")])
def test_the_setting_names_a_model_a_version_or_a_label(
    make_app: Callable[..., Flask], registry: Path, setting: str, version: str,
) -> None:
    client = make_app(registry, invocations_model=setting).test_client()
    response = client.post("/invocations", json={"inputs": [[5.1, 3.5, 1.4, 0.2]]})
    assert (response.get_json(), response.headers["X-Model-Version"]) == ({"predictions": ["setosa"]}, version)


def test_targets_are_read_whole() -> None:
    assert target_in("a/12") == Target("a", 12)
    assert target_in("a@b") == Target("a", None, "b")
    for text in ("", "/1", "a/", "a/one", "a@", "a@1", "a/1@b", "../a", "a b"):
        with pytest.raises(ConfigError, match="MLAPI_INVOCATIONS_MODEL is"):
            target_in(text)


def test_other_media_types_are_refused_with_those_that_are_read(homes_client: FlaskClient) -> None:
    response = homes_client.post("/invocations", data=b"<a/>", content_type="application/xml")
    assert (response.status_code, response.get_json()["error"]) == (415, (
        "the content type is not supported; send JSON as application/json, or a table as "
        "application/vnd.apache.parquet, application/x-npy, application/x-parquet, text/csv"
    ))
    assert homes_client.post("/v1/models/homes:predict", data=b"a\n1", content_type=CSV).status_code == 415


def test_a_compressed_table_is_inflated(iris_client: FlaskClient) -> None:
    body = zlib.compress(as_npy(np.array([[5.1, 3.5, 1.4, 0.2]])))
    response = iris_client.post("/invocations", data=body, content_type=NPY, headers={"Content-Encoding": "deflate"})
    assert response.get_json() == {"predictions": ["setosa"]}


def test_an_array_is_for_models_of_one_input(homes_client: FlaskClient) -> None:
    response = homes_client.post("/invocations", data=as_npy(np.zeros((1, 5))), content_type=NPY)
    sentence = response.get_json()["error"]
    assert sentence.startswith("an array without names is for models of one input; this one takes 'size', 'year'")
