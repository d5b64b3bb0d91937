"""Files on their way to become versions: joblib, skops and ONNX."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression, LogisticRegression

from mlapi.errors import PublishRefused
from mlapi.registry import loading
from mlapi.registry.publishing import publish_file
from mlapi.registry.store import Store

File = Callable[[str, bytes], Path]


@pytest.fixture
def file(tmp_path: Path) -> File:
    def write(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def refusal(store: Store, path: Path, sample: Any, **more: Any) -> str:
    with pytest.raises(PublishRefused) as caught:
        publish_file(path, "m", registry=store.root, sample=sample, **more)
    assert store.versions("m") == ()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def joblib_bytes(model: Any, compress: Any = 0) -> bytes:
    sink = io.BytesIO()
    joblib.dump(model, sink, compress=compress)
    return sink.getvalue()


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3)], ids=str)
def test_a_joblib_file_is_kept_byte_for_byte(
    store: Store, file: File, line: Any, matrix: Any, compress: Any,
) -> None:
    data = joblib_bytes(line, compress)
    publish_file(file("any name.joblib", data), "m", registry=store.root, sample=matrix)
    assert (store.folder("m", 1) / "model.joblib").read_bytes() == data
    loaded = loading.verify(store, "m", 1)
    answers = loaded.predictor.predict({"input-0": matrix}, ["predict"])["predict"]
    assert_array_equal(answers[:, 0], line.predict(matrix))


def test_a_skops_file_is_kept_byte_for_byte(store: Store, file: File, mixed: Any, table: pd.DataFrame) -> None:
    data = skops.io.dumps(mixed)
    published = publish_file(file("model.skops", data), "m", registry=store.root, sample=table)
    assert (published.runtime, published.memory_bytes > 0) == ("skops", True)
    assert (store.folder("m", 1) / "model.skops").read_bytes() == data
    loading.verify(store, "m", 1)


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("model.pkl", b"x", "no known ending; expected .joblib, .skops or .onnx"),
        ("model", b"x", "no known ending"),
        ("model.JOBLIB", b"x", "no known ending"),
        ("model.joblib.gz", b"x", "no known ending"),
        (".joblib", b"x", "no known ending"),
        ("model.joblib", b"", "cannot be unpickled here"),
        ("model.joblib", b"\x80\x05garbage", "cannot be unpickled here"),
        ("model.joblib", pickle.dumps({"a": 1}), r"a dict has no predict\(\)"),
        ("model.joblib", pickle.dumps(LinearRegression), "LinearRegression is a class"),
        ("model.joblib", b"cgone.away\nThing\n.", "needs the module 'gone', which is not installed here"),
        ("model.joblib", b"cjson\nThing\n.", "needs 'Thing' from module 'json', which has none here"),
        ("model.joblib", b"c__main__\nMine\n.", "needs 'Mine' from module '__main__'"),
        ("model.skops", b"x", "no zip archive"),
        ("model.skops", joblib_bytes([1]), "no zip archive"),
        ("model.onnx", b"x", "onnxruntime does not read it"),
        ("model.onnx", b"", "onnxruntime does not read it"),
    ],
)
def test_a_file_that_is_no_model_is_refused_in_a_sentence(
    store: Store, file: File, *, matrix: Any, name: str, data: bytes, sentence: str,
) -> None:
    if name.endswith(".onnx"):
        pytest.importorskip("onnxruntime")
    with pytest.raises(PublishRefused, match=sentence) as caught:
        publish_file(file(name, data), "m", registry=store.root, sample=matrix)
    assert "\n" not in str(caught.value)
    assert store.models() == ()


def test_a_file_that_cannot_be_read_is_refused(store: Store, tmp_path: Path, matrix: Any) -> None:
    assert "No such file" in refusal(store, tmp_path / "gone.joblib", matrix)
    (tmp_path / "folder.joblib").mkdir()
    assert "Is a directory" in refusal(store, tmp_path / "folder.joblib", matrix)


def test_a_truncated_file_is_refused(store: Store, file: File, line: Any, matrix: Any) -> None:
    for name, data in (("model.joblib", joblib_bytes(line)), ("model.skops", skops.io.dumps(line))):
        assert "cannot be published" in refusal(store, file(name, data[: len(data) // 2]), matrix)


def test_a_zip_that_is_no_skops_file_is_refused(store: Store, file: File, matrix: Any) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("hello.txt", "hello")
    assert "not a skops file that can be read here" in refusal(store, file("model.skops", sink.getvalue()), matrix)


# -- ONNX ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def convert() -> Callable[..., bytes]:
    """Return skl2onnx as a function from an estimator and its initial types to bytes."""
    pytest.importorskip("onnxruntime")
    skl2onnx = pytest.importorskip("skl2onnx")

    def converted(model: Any, initial: list[tuple[str, Any]], **options: Any) -> bytes:
        graph = skl2onnx.convert_sklearn(model, initial_types=initial, target_opset=15, **options)
        data: bytes = graph.SerializeToString()
        return data

    return converted


def tensor(kind: str, width: int, batch: int | None = None) -> Any:
    types = pytest.importorskip("skl2onnx.common.data_types")
    return getattr(types, f"{kind}TensorType")([batch, width])


def test_an_onnx_classifier_of_a_matrix(
    store: Store, file: File, convert: Callable[..., bytes], classifier: LogisticRegression, matrix: Any,
) -> None:
    data = convert(classifier, [("X", tensor("Float", 2))], options={"zipmap": False})
    sample = pd.DataFrame(matrix, columns=["a", "b"])
    published = publish_file(file("m.onnx", data), "m", registry=store.root, sample=sample)
    assert (published.runtime, published.feed, published.signature.features) == ("onnx", "tensors", ("a", "b"))
    loaded = loading.verify(store, "m", 1)
    labels, probabilities = loaded.signature.output_names
    answer = loaded.predict({"X": matrix.astype("f4")}, [labels, probabilities])
    assert answer[labels][:, 0].tolist() == classifier.predict(matrix).tolist()
    assert_allclose(answer[probabilities], classifier.predict_proba(matrix), atol=1e-5)


def test_an_onnx_regressor_of_a_matrix(
    store: Store, file: File, convert: Callable[..., bytes], line: Any, matrix: Any,
) -> None:
    data = convert(line, [("X", tensor("Double", 2))])
    publish_file(file("m.onnx", data), "m", registry=store.root, sample=matrix)
    loaded = loading.verify(store, "m", 1)
    assert [spec.datatype for spec in (*loaded.signature.inputs, *loaded.signature.outputs)] == ["FP64", "FP64"]
    answer = loaded.predict({"X": matrix}, loaded.signature.output_names)
    assert_allclose(answer["variable"][:, 0], line.predict(matrix))


@pytest.fixture(scope="module")
def columns_graph(convert: Callable[..., bytes]) -> bytes:
    """Return a graph over the columns b (text), a (float): b first, 100 where b is 'y', plus a."""
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415 (beside the graph alone)
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 (see above)
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415 (see above)

    frame = pd.DataFrame({"a": np.arange(8.0), "b": ["x", "y"] * 4})
    encode = ColumnTransformer([("text", OneHotEncoder(), ["b"]), ("number", "passthrough", ["a"])])
    model = make_pipeline(encode, LinearRegression()).fit(frame, frame["a"] + 100 * (frame["b"] == "y"))
    return convert(model, [("b", tensor("String", 1)), ("a", tensor("Float", 1))])


def test_an_onnx_graph_of_columns_takes_them_by_name(store: Store, file: File, columns_graph: bytes) -> None:
    sample = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    published = publish_file(file("m.onnx", columns_graph), "m", registry=store.root, sample=sample)
    assert [(spec.name, spec.datatype) for spec in published.signature.inputs] == [("b", "BYTES"), ("a", "FP32")]
    loaded = loading.verify(store, "m", 1)
    inputs = {"a": np.array([5.0], "f4"), "b": np.array(["y"], dtype=object)}
    assert_allclose(loaded.predict(inputs, ["variable"])["variable"], [[105.0]], rtol=1e-5)


def test_columns_of_the_same_kind_are_not_mixed_up(store: Store, file: File, convert: Callable[..., bytes]) -> None:
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415 (see columns_graph)
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 (see columns_graph)

    frame = pd.DataFrame({"a": np.arange(8.0), "b": np.arange(8.0) ** 2})
    pick = ColumnTransformer([("both", "passthrough", ["a", "b"])])
    model = make_pipeline(pick, LinearRegression()).fit(frame, frame["a"] + 100 * frame["b"])
    data = convert(model, [("a", tensor("Float", 1)), ("b", tensor("Float", 1))])
    publish_file(file("m.onnx", data), "m", registry=store.root, sample=frame[["b", "a"]])
    rows = loading.verify(store, "m", 1).reference
    assert_allclose(rows.outputs["variable"][:, 0], rows.inputs["a"] + 100 * rows.inputs["b"], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        (pd.DataFrame({"a": [1.0]}), r"the ONNX graph takes 'b' \[-1, 1\], 'a' \[-1, 1\]; the sample has 1 columns"),
        (pd.DataFrame({"a": ["x"], "b": ["x"]}), "column 'a' of the sample does not fit the graph's 'a' "),
        (pd.DataFrame({"a": [1.0], "b": [1.0]}), "column 'b' of the sample does not fit the graph's 'b' "),
        (None, "a sample is needed"),
    ],
    ids=str,
)
def test_a_sample_that_does_not_fit_the_graph_is_refused(
    store: Store, file: File, columns_graph: bytes, sample: Any, sentence: str,
) -> None:
    with pytest.raises(PublishRefused, match=sentence):
        publish_file(file("m.onnx", columns_graph), "m", registry=store.root, sample=sample)


def test_fractions_are_not_cut_for_a_graph_of_integers(
    store: Store, file: File, convert: Callable[..., bytes], line: Any,
) -> None:
    data = convert(line, [("X", tensor("Int64", 2))])
    assert "the sample does not fit the graph's 'X' (INT64)" in refusal(store, file("m.onnx", data), [[1.5, 2.0]])
    publish_file(file("m.onnx", data), "m", registry=store.root, sample=[[1.0, 2.0]])


def test_gaps_that_the_graph_answers_are_allowed_in_columns(
    store: Store, file: File, convert: Callable[..., bytes],
) -> None:
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415 (see columns_graph)
    from sklearn.impute import SimpleImputer  # noqa: PLC0415 (see columns_graph)
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 (see columns_graph)

    frame = pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": [1.0, 2.0, 3.0]})
    fill = ColumnTransformer([("fill", SimpleImputer(), ["a", "b"])])
    model = make_pipeline(fill, LinearRegression()).fit(frame, [1, 2, 3])
    data = convert(model, [("a", tensor("Float", 1)), ("b", tensor("Float", 1))])
    published = publish_file(file("m.onnx", data), "m", registry=store.root, sample=frame)
    assert [spec.nullable for spec in published.signature.inputs] == [True, False]


def test_a_graph_with_maps_says_how_to_export_it(
    store: Store, file: File, convert: Callable[..., bytes], classifier: Any, matrix: Any,
) -> None:
    data = convert(classifier, [("X", tensor("Float", 2))])
    assert "export plain tensors (skl2onnx: options={'zipmap': False})" in refusal(store, file("m.onnx", data), matrix)


def test_a_graph_of_images_is_refused(store: Store, file: File, matrix: Any) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    value = onnx.helper.make_tensor_value_info
    x, y = (value(name, onnx.TensorProto.FLOAT, [None, 3, 8]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)], ir_version=8)
    path = file("m.onnx", model.SerializeToString())
    assert "expected [batch] or [batch, a fixed number]" in refusal(store, path, matrix)


def test_manifest_of_a_file_says_its_runtime(store: Store, file: File, line: Any, matrix: Any) -> None:
    path = file("m.joblib", joblib_bytes(line))
    published = publish_file(path, "m", registry=store.root, sample=matrix, target=matrix[:, 0])
    files = [entry.name for entry in published.files]
    assert files == ["model.joblib", "reference.npz", "plan.json", "plan.bin", "card.md"]
