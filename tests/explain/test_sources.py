"""Which original column a prepared one comes from; None rather than a guess."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from mlapi.explain.sources import sources_of

FRAME = pd.DataFrame({
    "a": [1.0, 2.0, np.nan, 4.0], "b": ["x", "y", "z", "x"], "c": [True, False, True, True], "d": [4.0, 3.0, 2.0, 1.0],
})  # fmt: skip
NUMBERS = FRAME[["a", "d"]]


def columns(*parts: Any, **options: Any) -> ColumnTransformer:
    return ColumnTransformer([(str(i), *part) for i, part in enumerate(parts)], **options)


@pytest.mark.parametrize(("step", "table", "sources"), [
    (StandardScaler(), NUMBERS, [0, 1]),
    (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS, [0, 1]),
    (columns((OneHotEncoder(), ["b"]), ("passthrough", ["d", "a"])), FRAME, [1, 1, 1, 3, 0]),
    (columns((OneHotEncoder(drop="first"), ["b", "c"])), FRAME, [1, 1, 2]),
    (columns((OneHotEncoder(max_categories=2), ["b"])), FRAME, [1, 1]),
    (columns((OrdinalEncoder(), [1]), ("drop", [0]), remainder="passthrough"), FRAME, [1, 2, 3]),
    (columns((SimpleImputer(), [True, False, False, True])), FRAME, [0, 3]),
    (columns(("passthrough", slice(2, 4))), FRAME, [2, 3]),
    (columns((make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), ["c", "b"])), FRAME,
     [2, 2, 1, 1, 1]),
    (columns(("passthrough", ["a"]), verbose_feature_names_out=False), FRAME, [0]),
    (PCA(1), NUMBERS.fillna(0), None),
    (FunctionTransformer(np.cumsum), NUMBERS, None),
    (SimpleImputer(add_indicator=True), NUMBERS, None),
    (columns((FunctionTransformer(), ["a"])), FRAME, [0]),
    (columns((FunctionTransformer(np.abs), ["a"])), FRAME, None),
])  # fmt: skip
def test_sources(step: Any, table: pd.DataFrame, sources: list[int] | None) -> None:
    assert sources_of([step.fit(table)], table.shape[1]) == sources


def test_an_imputer_that_drops_an_empty_column_is_no_longer_one_to_one() -> None:
    step = SimpleImputer().fit(np.array([[np.nan, 1.0], [np.nan, 2.0]]))
    assert sources_of([step], 2) is None
