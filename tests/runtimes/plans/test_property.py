"""Whatever is fitted on whatever table: the plan answers and refuses as the estimator does, or there is none."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier

from mlapi.errors import ModelRefusedInput
from mlapi.runtimes.plans.step import Unproven

WORDS = ["a", "b", "", "é", "long word", "A"]
NUMBERS = ["n", "m"]
TEXTS = ["t", "u"]

regressors = st.sampled_from([
    Ridge(), SVR(), RandomForestRegressor(4, random_state=0), GradientBoostingRegressor(n_estimators=4, random_state=0),
    HistGradientBoostingRegressor(max_iter=4, min_samples_leaf=2),
])  # fmt: skip
classifiers = st.sampled_from([
    LogisticRegression(), SVC(), RandomForestClassifier(4, random_state=0), DecisionTreeClassifier(random_state=0),
    HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=2),
])  # fmt: skip
encoders = st.sampled_from([
    OneHotEncoder(handle_unknown="ignore"), OneHotEncoder(sparse_output=False), OneHotEncoder(drop="first"),
    OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5),
    OneHotEncoder(handle_unknown="ignore", max_categories=3),
    OrdinalEncoder(), OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
])  # fmt: skip
scalers = st.sampled_from([StandardScaler(), MinMaxScaler(), MinMaxScaler(clip=True), "passthrough"])
imputers = st.sampled_from([SimpleImputer(), SimpleImputer(strategy="median", add_indicator=True),
                            SimpleImputer(strategy="constant", fill_value=7.5)])  # fmt: skip


@st.composite
def pipelines(draw: Any) -> BaseEstimator:
    texts = make_pipeline(SimpleImputer(strategy=draw(st.sampled_from(["constant", "most_frequent"]))), draw(encoders))
    numbers = make_pipeline(draw(imputers), draw(scalers))
    parts = draw(st.permutations([(numbers, NUMBERS), (texts, TEXTS)]))
    remainder = draw(st.sampled_from(["drop", "passthrough"]))
    columns = make_column_transformer(*parts, remainder=remainder, sparse_threshold=0)
    return make_pipeline(columns, draw(st.one_of(regressors, classifiers)))


@st.composite
def tables(draw: Any) -> pd.DataFrame:
    seed, rows = draw(st.integers(0, 2**32 - 1)), draw(st.integers(12, 40))
    random = np.random.default_rng(seed)
    size = 10.0 ** draw(st.integers(-6, 6))
    table = pd.DataFrame({
        "n": random.normal(size=rows) * size, "m": random.integers(-5, 5, rows).astype(float),
        "t": random.choice(WORDS, rows).astype(object), "u": random.choice(WORDS[:2], rows).astype(object),
        "k": random.integers(0, 3, rows), "o": random.random(rows) < 0.5,
    })  # fmt: skip
    if draw(st.booleans()):
        table.loc[random.random(rows) < 0.3, "n"] = np.nan
        table.loc[random.random(rows) < 0.3, "t"] = np.nan
    return table


@pytest.mark.no_cover  # fits models, which takes twice as long under a tracer
@settings(max_examples=20, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate],
          suppress_health_check=[HealthCheck.too_slow])  # shrinking fits models for minutes
@given(pipelines(), tables(), st.data())
def test_the_plan_equals_the_estimator_or_there_is_none(
    compiled: Any, pipeline: Any, table: pd.DataFrame, data: st.DataObject,
) -> None:
    target = np.arange(len(table)) % 3 if hasattr(pipeline[-1], "predict_proba") or isinstance(pipeline[-1], SVC) else (
        table["m"].to_numpy() + np.arange(len(table)))
    done = compiled(pipeline, table, target, data.draw(st.sampled_from([None, "accept"])))
    if done.runner is None:
        assert done.reason
        return
    others = data.draw(st.lists(st.tuples(
        st.floats(allow_nan=done.signature.inputs[0].nullable, width=64), st.floats(-1e9, 1e9),
        st.sampled_from([*WORDS, "never seen"]), st.sampled_from([*WORDS, "never seen"]),
        st.integers(-(2**63), 2**63 - 1),
        st.booleans()), min_size=1, max_size=8))  # fmt: skip
    kinds = ("f8", "f8", object, object, "i8", bool)
    inputs = {spec.name: np.array([row[j] for row in others], dtype=kinds["nmtuko".index(spec.name)])
              for spec in done.signature.inputs for j in ["nmtuko".index(spec.name)]}  # fmt: skip
    for row in range(len(others)):
        one = {name: array[row : row + 1] for name, array in inputs.items()}
        mine, wanted = asked(done.runner, done, one), asked(done.native, done, one)
        if mine == "left":
            continue
        assert isinstance(mine, str) == isinstance(wanted, str), (one, mine, wanted)
        if isinstance(wanted, str):
            continue
        for name, array in wanted.items():
            if array.dtype.kind == "f":
                np.testing.assert_allclose(mine[name], array, rtol=1e-9, atol=1e-9 * np.abs(array).max() + 1e-12)
            else:
                np.testing.assert_array_equal(mine[name], array)


def asked(predictor: Any, done: Any, inputs: Any) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's, of numbers that overflow
            return predictor.predict(inputs, done.signature.output_names)
    except ModelRefusedInput:
        return "refused"
    except Unproven:
        return "left"
