"""Publishing estimators: what becomes a version, what it answers then, and what is refused in a sentence."""

import datetime as dt
import functools
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import DBSCAN, KMeans
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import mlapi
from mlapi.errors import InvalidName, PublishRefused, SignatureMismatch
from mlapi.inference.conform import conform
from mlapi.inference.values import Rows
from mlapi.registry import loading, reference
from mlapi.registry.loading import LoadedModel
from mlapi.registry.publishing import publish_model
from mlapi.registry.store import Store

X = np.random.default_rng(3).normal(size=(50, 3))
SIGN = np.where(X[:, 0] > 0, 1, 0)
GRADES = np.digitize(X[:, 0], [-0.5, 0.5])


class Constant(RegressorMixin, BaseEstimator):
    """Answers what it is told to."""

    def __init__(self, answer: Any = 1.0) -> None:
        self.answer = answer

    def fit(self, rows: Any, y: Any = None) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        self.n_features_in_ = np.asarray(rows).shape[1]
        return self

    def predict(self, rows: Any) -> Any:
        return self.answer(len(rows)) if callable(self.answer) else np.full(len(rows), self.answer)


class Refusing(Constant):
    """Raises what it is told to."""

    def predict(self, rows: Any) -> Any:  # noqa: ARG002 (scikit-learn's signature)
        raise self.answer


class Drifting(Constant):
    """Answers another number every time."""

    count: Iterator[int] = iter(range(1000))

    def predict(self, rows: Any) -> Any:
        return np.full(len(rows), float(next(Drifting.count)))


def ragged(rows: int) -> Any:
    return [[1.0]] * (rows - 1) + [[1.0, 2.0]]


def cubic(rows: int) -> Any:
    return np.zeros((rows, 2, 2))


def single(_rows: int) -> Any:
    return {"answer": 1}


def short(_rows: int) -> Any:
    return np.zeros(1)


def twice(values: Any) -> Any:
    return values * 2


@pytest.fixture
def publish(store: Store) -> Callable[..., LoadedModel]:
    """Publish a model, load it back as a server would, and return it proven."""

    def published(model: Any, sample: Any, **about: Any) -> LoadedModel:
        publish_model(model, "m", registry=store.root, sample=sample, **about)
        return loading.verify(store, "m", store.require("m"))

    return published


def refusal(store: Store, model: Any, sample: Any = X, **about: Any) -> str:
    """Return the sentence that a publish is refused with; nothing may be left behind."""
    with pytest.raises(PublishRefused) as caught:
        publish_model(model, "m", registry=store.root, sample=sample, **about)
    assert store.versions("m") == ()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def answers(loaded: LoadedModel, rows: list[Any]) -> Any:
    """Return what a server would answer to JSON rows."""
    return loaded.predict(conform(Rows(rows), loaded.signature), ["predict"])["predict"][:, 0].tolist()


MODELS: dict[str, tuple[Callable[[], Any], str, tuple[int, int]]] = {
    "regressor": (lambda: LinearRegression().fit(X, X[:, 0]), "FP64", (-1, 1)),
    "regressor of two outputs": (lambda: LinearRegression().fit(X, X[:, :2]), "FP64", (-1, 2)),
    "classifier of integers": (lambda: LogisticRegression().fit(X, SIGN), "INT64", (-1, 1)),
    "classifier of text": (lambda: LogisticRegression().fit(X, np.where(SIGN, "yes", "nö")), "BYTES", (-1, 1)),
    "classifier of objects": (lambda: LogisticRegression().fit(X, np.where(SIGN, "a", "b").astype(object)), "BYTES",
                              (-1, 1)),
    "classifier of truth values": (lambda: LogisticRegression().fit(X, SIGN == 1), "BOOL", (-1, 1)),
    "classifier of floats": (lambda: LogisticRegression().fit(X, SIGN.astype(float)), "FP64", (-1, 1)),
    "clusterer": (lambda: KMeans(2, n_init=1, random_state=0).fit(X), "INT64", (-1, 1)),
    "outlier detector": (lambda: IsolationForest(n_estimators=5, random_state=0).fit(X), "INT64", (-1, 1)),
    "support vectors": (lambda: SVC().fit(X, GRADES), "INT64", (-1, 1)),
    "forest": (lambda: RandomForestClassifier(5, random_state=0).fit(X, GRADES), "INT64", (-1, 1)),
    "boosting": (lambda: GradientBoostingClassifier(n_estimators=3).fit(X, GRADES), "INT64", (-1, 1)),
    "histogram boosting": (lambda: HistGradientBoostingClassifier(max_iter=3).fit(X, GRADES), "INT64", (-1, 1)),
    "grid search": (lambda: GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 2]}, cv=2).fit(X, GRADES), "INT64",
                    (-1, 1)),
    "calibrated": (lambda: CalibratedClassifierCV(RidgeClassifier(), cv=2).fit(X, GRADES), "INT64", (-1, 1)),
    "transformed target": (lambda: TransformedTargetRegressor(LinearRegression(), func=np.log, inverse_func=np.exp)
                           .fit(X, np.exp(X[:, 0])), "FP64", (-1, 1)),
    "stacking": (lambda: StackingClassifier([("t", DecisionTreeClassifier()), ("l", LogisticRegression())], cv=2)
                 .fit(X, GRADES), "INT64", (-1, 1)),
    "several labels at once": (lambda: MLPClassifier((3,), max_iter=300, tol=1, random_state=0)
                               .fit(X, (X > 0).astype(int)), "INT64", (-1, 3)),
    "neighbours": (lambda: KNeighborsClassifier(3).fit(X, GRADES), "INT64", (-1, 1)),
    "pipeline": (lambda: make_pipeline(StandardScaler(), LinearRegression()).fit(X, X[:, 1]), "FP64", (-1, 1)),
    "function of a module": (lambda: make_pipeline(FunctionTransformer(twice), LinearRegression()).fit(X, X[:, 1]),
                             "FP64", (-1, 1)),
    "partial function": (lambda: make_pipeline(FunctionTransformer(functools.partial(np.multiply, 2.0)),
                                               LinearRegression()).fit(X, X[:, 1]), "FP64", (-1, 1)),
    "foreign estimator": (lambda: Constant(4).fit(X), "INT64", (-1, 1)),
}  # fmt: skip


@pytest.mark.parametrize("kind", MODELS)
def test_a_published_model_answers_as_it_did(publish: Callable[..., LoadedModel], kind: str) -> None:
    make, datatype, shape = MODELS[kind]
    model = make()
    loaded = publish(model, X)
    first = loaded.signature.outputs[0]
    assert (first.name, first.datatype, first.shape) == ("predict", datatype, shape)
    expected = np.asarray(model.predict(X)).reshape(len(X), -1)
    assert_array_equal(loaded.predictor.predict({"input-0": X}, ["predict"])["predict"], expected)
    _assert_same(loaded.predict({"input-0": X}, ["predict"])["predict"], expected)
    assert ("predict_proba" in loaded.signature.output_names) == hasattr(model, "predict_proba")
    if hasattr(model, "predict_proba"):
        _assert_same(loaded.predict({"input-0": X}, ["predict_proba"])["predict_proba"], model.predict_proba(X))


def _assert_same(given: Any, wanted: Any) -> None:
    """Labels to the letter, numbers within what a plan is held to."""
    if wanted.dtype.kind == "f":
        assert_allclose(given, wanted, rtol=1e-9, atol=1e-12)
    else:
        assert_array_equal(given, wanted)


def test_classes_are_told_in_the_order_of_the_probabilities(publish: Callable[..., LoadedModel]) -> None:
    for y, classes in (
        (np.where(SIGN, "yes", "no"), ("no", "yes")), (SIGN == 1, (False, True)), (GRADES, (0, 1, 2)),
        (SIGN.astype(float), (0.0, 1.0)),
    ):  # fmt: skip
        assert publish(LogisticRegression().fit(X, y), X).manifest.classes == classes


# -- columns ------------------------------------------------------------------------------------


def test_a_pipeline_over_mixed_columns_answers_rows_by_name(
    publish: Callable[..., LoadedModel], mixed: Any, table: pd.DataFrame,
) -> None:
    extra = table.assign(id="x", target=1.0)[["target", "garden", "city", "id", "age", "size"]]
    loaded = publish(mixed, extra)
    assert [(spec.name, spec.datatype, spec.nullable) for spec in loaded.signature.inputs] == [
        ("size", "FP64", True), ("age", "INT64", False), ("city", "BYTES", True), ("garden", "BOOL", False),
    ]  # fmt: skip
    row = {"size": 90.0, "age": 3, "city": "south", "garden": True}
    frame = pd.DataFrame([row])
    assert answers(loaded, [row]) == mixed.predict(frame).tolist()


def test_gaps_are_answered_as_the_model_answers_them(
    publish: Callable[..., LoadedModel], mixed: Any, table: pd.DataFrame,
) -> None:
    loaded = publish(mixed, table)
    gaps = table[table["city"].isna() | table["size"].isna()]
    inputs = {name: gaps[name].to_numpy() for name in table.columns}
    inputs["city"] = np.array([None if pd.isna(value) else value for value in gaps["city"]], dtype=object)
    # the last bit of a sum is the processor's, as the order of BLAS is: what a plan's proof promises is 1e-9
    assert_allclose(loaded.predict(inputs, ["predict"])["predict"][:, 0], mixed.predict(gaps), rtol=1e-9)


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_text_of_any_pandas_dtype_answers_alike(publish: Callable[..., LoadedModel], dtype: str) -> None:
    frame = pd.DataFrame({"city": pd.Series(["a", "b", "c"] * 10, dtype=dtype), "n": np.arange(30.0)})
    encode = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    model = make_pipeline(encode, LinearRegression()).fit(frame, np.arange(30) % 3)
    loaded = publish(model, frame)
    assert answers(loaded, [{"city": "b", "n": 1.0}]) == pytest.approx(model.predict(frame[1:2]).tolist())


def test_nullable_pandas_numbers_answer_alike(publish: Callable[..., LoadedModel]) -> None:
    frame = pd.DataFrame({
        "count": pd.array([1, None, 3] * 10, "Int64"), "flag": pd.array([True, False, None] * 10, "boolean"),
    })  # fmt: skip
    model = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2).fit(frame, np.arange(30) % 3)
    loaded = publish(model, frame)
    assert [spec.datatype for spec in loaded.signature.inputs] == ["FP64", "FP64"]
    assert_array_equal(loaded.reference.outputs["predict"][:, 0], model.predict(frame))


def test_unseen_categories_are_refused_or_passed_on_as_the_publisher_said(
    publish: Callable[..., LoadedModel], mixed: Any, table: pd.DataFrame,
) -> None:
    row = {"size": 90.0, "age": 3, "city": "atlantis", "garden": True}
    with pytest.raises(SignatureMismatch, match="never seen"):
        answers(publish(mixed, table, unseen="refuse"), [row])
    assert answers(publish(mixed, table, unseen="accept"), [row]) == mixed.predict(pd.DataFrame([row])).tolist()


def test_objects_side_by_side_answer_alike(publish: Callable[..., LoadedModel]) -> None:
    rows = np.array([[1, "a"], [2, "b"], [3, "a"]] * 5, dtype=object)
    encode = make_column_transformer((OneHotEncoder(), [1]), remainder="passthrough")
    model = make_pipeline(encode, LinearRegression()).fit(rows, np.arange(15))
    for sample in (rows, rows.tolist()):
        loaded = publish(model, sample)
        assert answers(loaded, [[2, "b"]]) == pytest.approx(model.predict(rows[1:2]).tolist())


def test_a_text_model_takes_one_column(publish: Callable[..., LoadedModel]) -> None:
    frame = pd.DataFrame({"text": ["good day", "bad night", "good night", "bad day"] * 3})
    model = make_pipeline(make_column_transformer((TfidfVectorizer(), "text")), LogisticRegression())
    loaded = publish(model.fit(frame, ["+", "-", "+", "-"] * 3), frame)
    assert answers(loaded, [{"text": "a good one"}]) == ["+"]


def test_categories_from_the_dtype_answer_alike_or_are_refused(store: Store) -> None:
    """HistGradientBoosting reads the dtype of a frame, which no wire carries: never silently otherwise."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"city": pd.Categorical(random.choice(["a", "b", "c"], 60)), "n": random.normal(size=60)})
    y = (frame["city"] == "b").astype(int)
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=5, min_samples_leaf=2)
    model.fit(frame, y)
    try:
        publish_model(model, "m", registry=store.root, sample=frame)
    except PublishRefused as error:
        assert "\n" not in str(error)  # noqa: PT017 (either way is right; never an answer that differs)
        assert store.versions("m") == ()
    else:
        rows = frame.head(20)
        loaded = loading.verify(store, "m", 1)
        assert answers(loaded, rows.astype({"city": object}).to_dict("records")) == model.predict(rows).tolist()


def test_a_model_that_the_wire_would_make_answer_otherwise_is_refused(store: Store) -> None:
    """Missing text arrives as NaN; this imputer fills that, and took None for a category of its own."""
    frame = pd.DataFrame({"city": pd.Series(["a", None, "b", "b"] * 5, dtype=object), "n": np.arange(20.0)})
    fill = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    model = make_pipeline(make_column_transformer((fill, ["city"])), LinearRegression())
    said = refusal(store, model.fit(frame, np.arange(20) % 4), frame)
    assert "answers differently when rows arrive as typed columns instead of as the sample: 'predict' differs" in said


def test_categories_behind_an_encoder_work_with_histogram_boosting(publish: Callable[..., LoadedModel]) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"city": random.choice(["a", "b", "c"], 60), "n": random.normal(size=60)})
    y = (frame["city"] == "b").astype(int)
    encode = make_column_transformer((OrdinalEncoder(), make_column_selector(dtype_exclude="number")),
                                     remainder="passthrough")  # fmt: skip
    model = make_pipeline(encode, HistGradientBoostingClassifier(categorical_features=[0], max_iter=5)).fit(frame, y)
    loaded = publish(model, frame)
    assert answers(loaded, frame.to_dict("records")) == model.predict(frame).tolist()


def test_unicode_names_of_columns_are_kept(publish: Callable[..., LoadedModel]) -> None:
    frame = pd.DataFrame({"größe": [1.0, 2.0], "数": [3, 4], "a\nb|c": [0.5, 0.1]})
    loaded = publish(LinearRegression().fit(frame, [1, 2]), frame)
    assert loaded.signature.input_names == ("größe", "数", "a\nb|c")
    assert answers(loaded, [{"größe": 1.0, "数": 3, "a\nb|c": 0.5}]) == pytest.approx([1.0])


def test_a_frame_of_two_thousand_columns_answers_rows_by_name(publish: Callable[..., LoadedModel]) -> None:
    wide = np.random.default_rng(0).normal(size=(20, 2000))
    frame = pd.DataFrame(wide, columns=[f"feature_{j}" for j in range(2000)])
    frame["feature_7"] = np.arange(20)
    model = DecisionTreeRegressor(random_state=0).fit(frame, np.arange(20))
    loaded = publish(model, frame)
    assert loaded.signature.features == tuple(frame.columns)
    assert answers(loaded, frame.to_dict("records")) == model.predict(frame).tolist()


def test_an_array_of_two_thousand_columns_is_published(publish: Callable[..., LoadedModel]) -> None:
    wide = np.random.default_rng(0).normal(size=(20, 2000))
    assert publish(LinearRegression().fit(wide, wide[:, 0]), wide).signature.inputs[0].width == 2000


def test_hundreds_of_mixed_columns_go_without_their_ranges(publish: Callable[..., LoadedModel]) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 420)), columns=[f"number_{j}" for j in range(420)])
    frame["city"] = ["a", "b"] * 10
    encode = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    loaded = publish(make_pipeline(encode, LinearRegression()).fit(frame, np.arange(20)), frame)
    specs = {spec.name: spec for spec in loaded.signature.inputs}
    assert specs["number_0"].minimum is None
    assert (specs["city"].categories, specs["city"].unseen) == (("a", "b"), "refuse")


def test_more_mixed_columns_than_a_manifest_holds_are_refused_in_a_sentence(store: Store) -> None:
    frame = pd.DataFrame(np.zeros((2, 2000)), columns=[f"number_{j}" for j in range(2000)]).assign(city="a")
    encode = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    model = make_pipeline(encode, LinearRegression()).fit(frame, [1, 2])
    assert "the limit is 65536, and its 'signature' takes most of them" in refusal(store, model, frame)


def test_integer_names_of_columns_become_text(publish: Callable[..., LoadedModel]) -> None:
    frame = pd.DataFrame(X)
    loaded = publish(LinearRegression().fit(frame, X[:, 0]), frame)
    assert loaded.signature.features == ("0", "1", "2")


# -- reference rows -----------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "kept"), [(1, 1), (2, 2), (199, 199), (200, 200), (201, 200), (1000, 200)])
def test_up_to_two_hundred_rows_are_kept_evenly_spread(
    publish: Callable[..., LoadedModel], rows: int, kept: int,
) -> None:
    sample = np.column_stack([np.arange(rows), np.zeros(rows), np.zeros(rows)]).astype(float)
    loaded = publish(Constant(1.0).fit(X), sample)
    chosen = loaded.reference.inputs["input-0"][:, 0]
    assert len(chosen) == kept
    assert (chosen[0], chosen[-1]) == (0, rows - 1)
    if rows > 1:
        assert set(np.diff(chosen)) <= {rows // 200, rows // 200 + 1}


def test_kept_answers_are_those_of_the_model(publish: Callable[..., LoadedModel]) -> None:
    model = LogisticRegression().fit(X, np.where(SIGN, "yes", "no"))
    kept = publish(model, X).reference
    assert_array_equal(kept.outputs["predict"][:, 0], model.predict(kept.inputs["input-0"]))
    assert_array_equal(kept.outputs["predict_proba"], model.predict_proba(kept.inputs["input-0"]))


def test_the_target_is_kept_beside_its_rows(store: Store) -> None:
    model = Constant(1.0).fit(X)
    sample = np.repeat(np.arange(1000.0)[:, None], 3, axis=1)
    publish_model(model, "m", registry=store.root, sample=sample, target=np.arange(1000))
    with np.load(store.folder("m", 1) / reference.FILE, allow_pickle=False) as stored:
        assert_array_equal(stored["target"], stored["input-0"][:, 0])


def test_a_model_that_answers_nan_is_published_and_proven(publish: Callable[..., LoadedModel]) -> None:
    assert np.isnan(publish(Constant(np.nan).fit(X), X).reference.outputs["predict"]).all()


# -- refused ------------------------------------------------------------------------------------


def inner() -> Any:
    class Inner(Constant):
        """A class that no other process can import."""

    return Inner(1.0).fit(X)


def two_targets(kind: Any, values: Any = None) -> Any:
    return kind.fit(X, np.column_stack([SIGN, GRADES] if values is None else values))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a class": (lambda: LinearRegression, "LinearRegression is a class; expected a fitted estimator"),
    "not fitted": (LinearRegression, "not fitted"),
    "a pipeline not fitted": (lambda: make_pipeline(StandardScaler(), LinearRegression()), "not fitted"),
    "a forest not fitted": (RandomForestClassifier, "not fitted"),
    "a search not fitted": (lambda: GridSearchCV(LogisticRegression(), {}), "not fitted|no predict"),
    "no estimator": (dict, r"a dict has no predict\(\); expected a fitted estimator"),
    "nothing": (lambda: None, "a NoneType has no predict"),
    "a transformer": (lambda: StandardScaler().fit(X), "a StandardScaler has no predict"),
    "a clusterer without predict": (lambda: DBSCAN().fit(X), "a DBSCAN has no predict"),
    "a pipeline that only transforms": (lambda: Pipeline([("s", StandardScaler())]).fit(X), "has no predict"),
    "a lambda": (lambda: make_pipeline(FunctionTransformer(lambda rows: rows), LinearRegression()).fit(X, SIGN),
                 r"<lambda>', which another process cannot import"),
    "an inner class": (inner, r"<locals>\.Inner', which another process cannot import"),
    "a lock inside": (lambda: Constant(threading.Lock()).fit(X), "cannot import|lock"),
    "several outputs of classes": (lambda: two_targets(DecisionTreeClassifier()), "several outputs, each with classes"),
    "several outputs of classes without probabilities": (
        lambda: two_targets(MultiOutputClassifier(RidgeClassifier())), "several outputs, each with classes"),
    "answers of three dimensions": (lambda: Constant(cubic).fit(X), r"shape \[50, 2, 2\]"),
    "answers that are no row each": (lambda: Constant(single).fit(X), "expected one row an instance"),
    "fewer answers than rows": (lambda: Constant(short).fit(X), r"shape \[1\] for 50 rows"),
    "ragged answers": (lambda: Constant(ragged).fit(X), "answers no table; expected one row an instance"),
    "dates": (lambda: Constant(np.datetime64("2026-01-01")).fit(X), r"datetime64.* expected one row an instance"),
    "complex answers": (lambda: Constant(1j).fit(X), r"complex128 .*expected one row"),
    "a model that fails": (lambda: Refusing(RuntimeError("boom")).fit(X), r"the model failed in predict \(boom\)"),
    "a model that refuses": (lambda: Refusing(ValueError("two\nlines")).fit(X), "answer the sample: two lines"),
    "answers that are never the same": (lambda: Drifting().fit(X), "answers differently after it was written"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_become_a_version_is_refused_in_a_sentence(store: Store, kind: str) -> None:
    make, sentence = REFUSED[kind]
    assert re.search(sentence, refusal(store, make()))


def test_a_class_in_main_is_refused_with_its_name(tmp_path: Path, run: Callable[..., Any]) -> None:
    script = """
import sys, mlapi, numpy as np
class Mine:
    def predict(self, rows): return np.zeros(len(rows))
mlapi.publish(Mine(), "m", sample=[[1.0]], registry=sys.argv[1])
"""
    done = run(script, str(tmp_path / "registry"))
    assert done.returncode == 1
    assert "PublishRefused: the model needs '__main__.Mine', which another process cannot import" in done.stderr
    assert Store(tmp_path / "registry").models() == ()


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ({"sample": None}, "a sample is needed"),
        ({"metrics": {"f1": float("nan")}}, "the metric 'f1' is no finite number"),
        ({"metrics": {"f1": float("inf")}}, "the metric 'f1' is no finite number"),
        ({"metrics": {"f1": "high"}}, "the metric 'f1' is no finite number"),
        ({"metrics": {"f1": None}}, "the metric 'f1' is no finite number"),
        ({"note": "x" * 70_000}, "its 'note' takes most"),
        ({"note": "\udcff"}, "no valid Unicode"),
        ({"target": [1, 2]}, r"the target has shape \[2\]; the sample has 50 rows"),
        ({"target": 5}, r"the target has shape \[\]; the sample has 50 rows"),
        ({"sample": X[:, :2]}, r"2 columns; the model was fitted on 3"),
    ],
    ids=str,
)
def test_a_description_that_cannot_be_kept_is_refused(
    store: Store, line3: Any, about: dict[str, Any], sentence: str,
) -> None:
    assert re.search(sentence, refusal(store, line3, **about))


@pytest.fixture(scope="module")
def line3() -> Any:
    return LinearRegression().fit(X, X[:, 0])


@pytest.mark.parametrize("name", ["../m", "", "a b", "stats"])
def test_the_name_is_checked_before_anything_else(store: Store, name: str) -> None:
    with pytest.raises(InvalidName):
        publish_model(object(), name, registry=store.root, sample=None)
    assert not store.root.exists()


# -- the version --------------------------------------------------------------------------------


def test_publish_returns_the_version(root: Path, line3: Any) -> None:
    assert mlapi.publish(line3, "churn", sample=X, target=X[:, 0], metrics={"f1": 0.91}, registry=root) == 1
    assert mlapi.publish(line3, "churn", sample=X, registry=str(root)) == 2


def test_the_manifest_tells_where_a_version_comes_from(
    publish: Callable[..., LoadedModel], line3: Any,
) -> None:
    note = "line one\nline two **bold** | <script>alert(1)</script>"
    written = publish(line3, X, note=note, metrics={"rmse": np.float32(0.5)}, intended_use="u", limits=["l"]).manifest
    assert (written.note, written.metrics, written.intended_use, written.limits) == (note, {"rmse": 0.5}, "u", ("l",))
    assert written.estimator == "LinearRegression"
    assert written.parameters["fit_intercept"] is True
    assert set(written.libraries) >= {"python", "scikit-learn", "numpy"}
    assert written.memory_bytes > 0
    assert dt.datetime.fromisoformat(written.published_at).tzinfo is not None
    assert "@" in written.publisher


def test_mlapi_itself_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'publisj'"):
        mlapi.publisj  # noqa: B018 (asking is the test)
