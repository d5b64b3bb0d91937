"""Inputs of any form become the same arrays, or every fault is named."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlapi.errors import InvalidRequest, MlapiError, SignatureMismatch
from mlapi.inference.conform import conform
from mlapi.inference.signature import NUMPY_TYPES, Signature, TensorSpec
from mlapi.inference.values import Array, Columns, Rows, Target, Tensors
from mlapi.schemas import v2
from mlapi.schemas.v1 import predict as v1

TARGET = Target("m")
OUTPUTS = (TensorSpec("predict", "FP64", (-1, 1)),)
MARKER = "marker-5b1e77"


def column(name: str, datatype: str, **options: Any) -> TensorSpec:
    return TensorSpec(name, datatype, (-1, 1), **options)


MIXED = Signature("columns", (
    column("sqft", "INT64"), column("price", "FP64", nullable=True), column("ratio", "FP32", nullable=True),
    column("level", "UINT8"), column("garden", "BOOL"),
    column("city", "BYTES", categories=("oslo", "rome"), unseen="refuse"),
), OUTPUTS)  # fmt: skip
OPEN = Signature("columns", (column("city", "BYTES", categories=("oslo",), unseen="accept"),), OUTPUTS)
ONE = Signature("columns", (column("sqft", "INT64"),), OUTPUTS)
FLOWER = ("sepal", "petal", "stem")
MATRIX = Signature("matrix", (TensorSpec("input-0", "FP64", (-1, 3)),), OUTPUTS, FLOWER)
BARE = Signature("matrix", (TensorSpec("input-0", "FP64", (-1, 3)),), OUTPUTS)
THIN = Signature("matrix", (TensorSpec("input-0", "FP64", (-1, 1)),), OUTPUTS)
GAPPY = Signature("matrix", (TensorSpec("input-0", "FP64", (-1, 3), nullable=True),), OUTPUTS, FLOWER)

HOME = {"sqft": 80, "price": 1.5, "ratio": 0.5, "level": 3, "garden": True, "city": "oslo"}


def faults(inputs: Rows | Columns | Tensors, signature: Signature) -> tuple[str, ...]:
    """Return the faults of inputs that do not fit."""
    with pytest.raises(SignatureMismatch) as refusal:
        conform(inputs, signature)
    return refusal.value.faults


def tensors(**arrays: Any) -> Tensors:
    return Tensors({name: np.asarray(array) for name, array in arrays.items()})


def home(**changes: Any) -> dict[str, Any]:
    return {**HOME, **changes}


# -- one table, every form ------------------------------------------------------------------------

VALUES = {
    "sqft": st.integers(-(2**63), 2**63 - 1), "price": st.floats(), "ratio": st.floats(width=32),
    "level": st.integers(0, 255), "garden": st.booleans(), "city": st.sampled_from(["oslo", "rome"]),
}  # fmt: skip
tables = st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=5)


def v1_bodies(rows: list[dict[str, Any]], names: list[str]) -> Iterator[dict[str, Any]]:
    columns = {name: [row[name] for row in rows] for name in names}
    yield {"instances": rows}
    yield {"instances": [{name: [row[name]] for name in reversed(names)} for row in rows]}
    yield {"instances": [{name: [row[name]] if i % 2 else row[name] for name in names} for i, row in enumerate(rows)]}
    yield {"instances": [[row[name] for name in names] for row in rows], "signature_name": "serving_default"}
    yield {"inputs": columns}
    yield {"inputs": {name: [[value] for value in columns[name]] for name in reversed(names)}}


def v2_bodies(rows: list[dict[str, Any]], specs: list[TensorSpec]) -> Iterator[dict[str, Any]]:
    def body(shape: list[int], *, nested: bool, wire: Mapping[str, str]) -> dict[str, Any]:
        inputs = []
        for spec in specs:
            values = [row[spec.name] for row in rows]
            data = [[value] for value in values] if nested else values
            datatype = wire.get(spec.name, spec.datatype)
            inputs.append({"name": spec.name, "shape": shape, "datatype": datatype, "data": data})
        return {"inputs": inputs}

    n = len(rows)
    yield body([n], nested=False, wire={})
    yield body([n, 1], nested=False, wire={})
    yield body([n, 1], nested=True, wire={})
    yield body([n], nested=True, wire={"level": "INT32", "ratio": "FP64", "garden": "UINT8"})
    reverse = body([n], nested=False, wire={"level": "FP32"})
    yield {"inputs": reverse["inputs"][::-1]}


def same(arrays: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array, strict=True)


@given(tables)
@settings(max_examples=60)
def test_a_mixed_table_is_the_same_arrays_in_every_form(rows: list[dict[str, Any]]) -> None:
    """V1 rows as objects and as lists, V1 columns, V2 flat and nested, in other numeric datatypes."""
    expected = {}
    for spec in MIXED.inputs:
        expected[spec.name] = np.empty(len(rows), NUMPY_TYPES[spec.datatype])
        expected[spec.name][:] = [row[spec.name] for row in rows]
    for body in v1_bodies(rows, list(MIXED.input_names)):
        same(conform(v1.load(json.dumps(body).encode(), TARGET).inputs, MIXED), expected)
    specs = list(MIXED.inputs)
    for body in v2_bodies(rows, specs):
        # 0/1 for a column of bits, since JSON's true is no UINT8
        for tensor in body["inputs"]:
            if tensor["name"] == "garden" and tensor["datatype"] == "UINT8":
                tensor["data"] = json.loads(json.dumps(tensor["data"]).replace("true", "1").replace("false", "0"))
        same(conform(v2.load(json.dumps(body).encode(), TARGET).inputs, MIXED), expected)


@given(st.lists(st.lists(st.floats(), min_size=3, max_size=3), min_size=1, max_size=4))
@settings(max_examples=60)
def test_a_matrix_is_the_same_array_in_every_form(rows: list[list[float]]) -> None:
    """Rows as lists, under the tensor's name and by feature; columns so; V2 flat and nested."""
    n, flat = len(rows), [value for row in rows for value in row]
    by_feature = {name: [row[j] for row in rows] for j, name in enumerate(FLOWER)}
    bodies: list[dict[str, Any]] = [
        {"instances": rows}, {"instances": [{"input-0": row} for row in rows]},
        {"instances": [dict(zip(FLOWER, row, strict=True)) for row in rows]},
        {"inputs": rows}, {"inputs": {"input-0": rows}}, {"inputs": by_feature},
    ]  # fmt: skip
    expected = {"input-0": np.array(rows)}
    for body in bodies:
        same(conform(v1.load(json.dumps(body).encode(), TARGET).inputs, GAPPY), expected)
    for data in (flat, rows, [rows], [[value] for value in flat]):
        body = {"inputs": [{"name": "input-0", "shape": [n, 3], "datatype": "FP64", "data": data}]}
        same(conform(v2.load(json.dumps(body).encode(), TARGET).inputs, GAPPY), expected)


def test_a_matrix_of_one_column_takes_plain_values_as_rows() -> None:
    same(conform(Rows([1, 2]), THIN), {"input-0": np.array([[1.0], [2.0]])})
    same(conform(Rows([[1], [2]]), THIN), {"input-0": np.array([[1.0], [2.0]])})


def test_a_model_of_one_column_takes_plain_values_and_a_bare_column() -> None:
    expected = {"sqft": np.array([1, 2])}
    for inputs in (Rows([1, 2]), Rows([[1], [2]]), Columns([1, 2]), Columns([[1], [2]]), Columns({"sqft": [1, 2]})):
        same(conform(inputs, ONE), expected)


def test_an_unseen_category_is_taken_where_the_signature_accepts_it() -> None:
    assert conform(Rows([{"city": "paris"}]), OPEN)["city"].tolist() == ["paris"]


def test_a_missing_number_is_taken_where_the_signature_allows_it() -> None:
    assert math.isnan(conform(Rows([home(price=math.nan)]), MIXED)["price"][0])


# -- faults ---------------------------------------------------------------------------------------

FAULTS: list[tuple[Rows | Columns | Tensors, Signature, list[str]]] = [
    # names
    (Rows([{"sqtf": 1}]), ONE,
     ["row 0: column 'sqtf' is unknown; did you mean 'sqft'?", "row 0: column 'sqft' is missing"]),
    (Rows([{"sqft": 1}, {"sqft": 1, "kitchen table": 2}]), ONE,
     ["row 1: column 'kitchen table' is unknown; the columns are 'sqft'"]),
    (Columns({"sqtf": [1]}), ONE, ["column 'sqtf' is unknown; did you mean 'sqft'?", "column 'sqft' is missing"]),
    (tensors(sqtf=[1]), ONE, ["input 'sqtf' is unknown; did you mean 'sqft'?", "input 'sqft' is missing"]),
    (Rows([{"sepal": 1, "petal": 2, "stam": 3}]), MATRIX,
     ["row 0: column 'stam' is unknown; did you mean 'stem'?", "row 0: column 'stem' is missing"]),
    (Columns({"sepal": [1], "petal": [2]}), MATRIX, ["column 'stem' is missing"]),
    (Rows([{"input-1": [1, 2, 3]}]), BARE,
     ["row 0: column 'input-1' is unknown; did you mean 'input-0'?", "row 0: column 'input-0' is missing"]),
    (Columns({"input-1": [[1, 2, 3]]}), BARE,
     ["input 'input-1' is unknown; did you mean 'input-0'?", "input 'input-0' is missing"]),
    # forms
    (Rows([{"sqft": 1}, [1]]), ONE, ["the rows mix objects with lists or plain values; expected all of one form"]),
    (Rows([{"sqft": 1}, 1]), ONE, ["the rows mix objects with lists or plain values; expected all of one form"]),
    (Rows([[1, 2, 3], {"sepal": 1}]), MATRIX,
     ["the rows mix objects with lists or plain values; expected all of one form"]),
    (Columns([1, 2]), MIXED, [
        "expected an object with the columns 'sqft', 'price', 'ratio', 'level', 'garden', 'city', got a list"]),
    (Columns({"sqft": 5}), ONE, ["column 'sqft': expected a list with one value a row"]),
    (Columns({"input-0": 5}), MATRIX, ["input 'input-0': expected a list of rows"]),
    # ragged and empty
    (Rows([[1, 2, 3], [1, 2], 7]), MATRIX, ["row 1 has 2 values; expected a list of 3 numbers",
                                            "row 2 has no list; expected a list of 3 numbers"]),
    (Rows([[80, 1.5], 3]), MIXED, [
        f"row {i} has {got}; expected an object by name or a list of 6 values: "
        "'sqft', 'price', 'ratio', 'level', 'garden', 'city'" for i, got in enumerate(("2 values", "no list"))]),
    (Columns({name: [value] * (2 if name == "level" else 1) for name, value in HOME.items()}), MIXED,
     [("the columns differ in length: 'sqft' 1, 'price' 1, 'ratio' 1, 'level' 2, 'garden' 1, 'city' 1; "
       "expected one value a row in each")]),
    (Columns({"sepal": [1], "petal": [1, 2], "stem": [1]}), MATRIX,
     ["the columns differ in length: 'sepal' 1, 'petal' 2, 'stem' 1; expected one value a row in each"]),
    *((inputs, signature, ["the batch is empty; expected at least one row"]) for inputs, signature in (
        (Rows([]), ONE), (Rows([]), MATRIX), (Columns([]), ONE), (Columns([]), MATRIX), (Columns({"sqft": []}), ONE),
        (Columns({"input-0": []}), MATRIX), (Columns({name: [] for name in FLOWER}), MATRIX),
        (tensors(sqft=np.empty(0, "i8")), ONE), (Tensors({"input-0": np.empty((0, 3))}), MATRIX))),
    # values
    (Rows([home(), home(sqft="80", garden=2), home(level=256, city=5)]), MIXED, [
        "row 1, column 'sqft': expected an integer, got text",
        "row 2, column 'level': expected an integer from 0 to 255",
        "row 1, column 'garden': expected true or false, got a number",
        "row 2, column 'city': expected text, got a number"]),
    (Rows([home(sqft=1.5, price=None)]), MIXED, [
        "row 0, column 'sqft': expected an integer from -9223372036854775808 to 9223372036854775807",
        "row 0, column 'price': expected a number, got null"]),
    (Rows([home(city="paris"), home(), home(city="")]), MIXED, [
        f"row {i}, column 'city': is a category the model has never seen; expected one of 'oslo', 'rome'"
        for i in (0, 2)]),
    (Rows([home(sqft=[1, 2], city=["oslo"])]), MIXED, ["row 0, column 'sqft': expected an integer, got a list"]),
    (Columns({"sqft": [[1], 2]}), ONE, ["row 0, column 'sqft': expected an integer, got a list"]),
    (Columns({"sqft": [[1, 2]]}), ONE, ["row 0, column 'sqft': expected an integer, got a list"]),
    (Rows([[1, 2, 3], [1, math.nan, 3]]), MATRIX,
     ["row 1, column 'petal': is missing, and this model takes no missing value there"]),
    (Rows([[1, 2, "3"], [1, [2], 3]]), BARE, ["row 0, column '2': expected a number, got text",
                                              "row 1, column '1': expected a number, got a list"]),
    (Tensors({"input-0": np.array([[1, 2, math.nan]])}), MATRIX,
     ["row 0, column 'stem': is missing, and this model takes no missing value there"]),
    (Tensors({"city": np.array([None], dtype=object)}), OPEN,
     ["row 0, column 'city': is missing, and this model takes no missing value there"]),
    (Columns({"sqft": [1, 10**400]}), ONE,
     ["row 1, column 'sqft': expected an integer from -9223372036854775808 to 9223372036854775807"]),
    # tensors
    (tensors(sqft=[[1, 2]]), ONE, ["input 'sqft' has shape [1, 2]; the signature wants [-1, 1]"]),
    (tensors(sqft=[[[1]]]), ONE, ["input 'sqft' has shape [1, 1, 1]; the signature wants [-1, 1]"]),
    (Tensors({"input-0": np.ones(3)}), MATRIX, ["input 'input-0' has shape [3]; the signature wants [-1, 3]"]),
    (Tensors({"input-0": np.ones((3, 2))}), MATRIX, ["input 'input-0' has shape [3, 2]; the signature wants [-1, 3]"]),
    (Tensors({"sqft": np.array(["1"], dtype=object)}), ONE, ["column 'sqft' holds text; expected an integer"]),
    (tensors(sqft=[1.0, 1.5]), ONE,
     ["row 1, column 'sqft': expected an integer from -9223372036854775808 to 9223372036854775807"]),
    (Tensors({"input-0": np.array([["a", "b", "c"]], dtype=object)}), MATRIX,
     ["input 'input-0' holds text; expected a number"]),
]  # fmt: skip


@pytest.mark.parametrize(("inputs", "signature", "sentences"), FAULTS)
def test_a_fault_names_the_place_and_what_was_expected(
    inputs: Rows | Columns | Tensors, signature: Signature, sentences: list[str],
) -> None:
    assert faults(inputs, signature) == tuple(sentences)


def test_faults_of_several_columns_are_named_together_whatever_their_kind() -> None:
    """A wrong type in one column does not hide a missing value or an unseen category in others."""
    strict = Signature("columns", (column("a", "INT64"), column("b", "FP64"), MIXED.inputs[-1]), OUTPUTS)
    assert faults(Rows([{"a": "x", "b": math.nan, "city": "paris"}]), strict) == (
        "row 0, column 'a': expected an integer, got text",
        "row 0, column 'b': is missing, and this model takes no missing value there",
        "row 0, column 'city': is a category the model has never seen; expected one of 'oslo', 'rome'",
    )


def test_batches_that_differ_between_tensors_are_a_fault() -> None:
    two = Signature("columns", (column("a", "INT64"), column("b", "INT64")), OUTPUTS)
    assert faults(tensors(a=[1, 2], b=[1]), two) == (
        "the columns differ in length: 'a' 2, 'b' 1; expected one value a row in each",
    )


class Measured(str):
    """A name that notes when it is measured, as each look for a name like it begins."""

    __slots__ = ()
    measured: ClassVar[list[str]] = []

    def __len__(self) -> int:
        self.measured.append(str(self))
        return super().__len__()


def test_thousands_of_wrong_names_are_answered_with_twenty_hints() -> None:
    """The nearest name is looked for only where it is told: each look costs as much as a small request."""
    wide = Signature("columns", tuple(column(f"column_{i}", "FP64") for i in range(50)), OUTPUTS)
    with pytest.raises(SignatureMismatch) as refusal:
        conform(Rows([{Measured(f"colunm_{i}"): 1 for i in range(50)} for _ in range(40)]), wide)
    assert (len(refusal.value.faults), refusal.value.total) == (20, 40 * 100)
    assert set(Measured.measured) == {f"colunm_{i}" for i in range(20)}
    assert refusal.value.faults[0] == "row 0: column 'colunm_0' is unknown; did you mean 'column_0'?"


def test_rows_beyond_the_twentieth_fault_are_counted_as_exactly() -> None:
    rows = [{}] * 20 + [{"sqft": 1}, {"x": 1, "y": 2}, {"sqft": 1, "x": 1}, HOME, {**HOME, "x": 1}]
    with pytest.raises(SignatureMismatch) as refusal:
        conform(Rows(rows), MIXED)
    assert refusal.value.total == 20 * 6 + 5 + (6 + 2) + (5 + 1) + 0 + 1


def test_many_columns_are_listed_up_to_ten() -> None:
    wide = Signature("columns", tuple(column(f"c{i}", "FP64") for i in range(13)), OUTPUTS)
    assert faults(Columns([1]), wide)[0].endswith("'c8', 'c9' and 3 more, got a list")


# -- whatever comes -------------------------------------------------------------------------------

MEMBERS = ("instances", "inputs", "outputs", "signature_name", "name", "shape", "datatype", "data", "parameters", "id",
           "input-0", "sqft", "price", "ratio", "level", "garden", "city", "sepal", "petal", "stem", "x")  # fmt: skip
NAMES = {"name", "signature_name", "datatype"}
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.just(MARKER),
    st.sampled_from(["FP64", "BYTES", "INT64", "BOOL", "FP16"]), st.integers(0, 3),
)  # fmt: skip


def named(members: dict[str, Any]) -> dict[str, Any]:
    """Keep the marker out of names, which messages may repeat."""
    return {key: "x" if key in NAMES and value == MARKER else value for key, value in members.items()}


def objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(MEMBERS), values, max_size=6).map(named)


anything = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | objects(inner), max_leaves=25)
tensor = st.fixed_dictionaries(
    {"name": st.sampled_from([*MIXED.input_names, "input-0"]),
     "shape": st.lists(st.integers(-1, 4), max_size=3) | anything,
     "datatype": st.sampled_from([*NUMPY_TYPES, "BF16"]), "data": st.lists(leaves, max_size=4) | anything},
    optional={"parameters": anything},
)  # fmt: skip
rows = st.lists(st.fixed_dictionaries(dict.fromkeys(HOME, leaves)), max_size=3)
columns = st.fixed_dictionaries(dict.fromkeys(HOME, st.lists(leaves, max_size=3) | anything))
bodies = st.one_of(
    anything,
    objects(anything),
    st.fixed_dictionaries({"instances": rows | anything}),
    st.fixed_dictionaries({"inputs": columns | anything}),
    st.fixed_dictionaries({"inputs": st.lists(tensor, max_size=7)}, optional={"id": anything, "outputs": anything}),
)


def outcome(protocol: ModuleType, data: bytes, signature: Signature) -> dict[str, Array] | MlapiError:
    try:
        return conform(protocol.load(data, TARGET).inputs, signature)
    except MlapiError as error:
        return error


@given(bodies)
@settings(max_examples=150)
def test_no_body_raises_anything_but_an_error_of_ours_and_none_repeats_a_value(body: Any) -> None:
    data = json.dumps(body).encode()
    for protocol, signature in itertools.product((v1, v2), (MIXED, MATRIX, BARE, ONE, OPEN)):
        result = outcome(protocol, data, signature)
        if isinstance(result, dict):
            assert len({len(array) for array in result.values()}) == 1
            assert tuple(result) == signature.input_names
        else:
            assert isinstance(result, InvalidRequest)
            assert MARKER not in str(result)
            assert len(result.faults) <= 20
