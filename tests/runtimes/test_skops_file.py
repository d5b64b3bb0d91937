"""skops files: what models are built of is read, anything else is named and refused before it is built."""

import functools
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.testing
import pytest
from numpy.testing import assert_array_equal
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, SplineTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from mlapi.runtimes import skops_file
from mlapi.runtimes.pickled import UnloadableError

X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)
TRUSTED: dict[str, Callable[[], Any]] = {
    "linear": LogisticRegression,
    "pipeline": lambda: make_pipeline(StandardScaler(), SplineTransformer(), LogisticRegression()),
    "selection": lambda: make_pipeline(SelectKBest(k=2), SGDClassifier(random_state=0)),
    "ufunc": lambda: make_pipeline(FunctionTransformer(np.tanh), LogisticRegression()),
    "tree": DecisionTreeClassifier,
    "forest": lambda: RandomForestClassifier(3),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=2),
    "histogram boosting": lambda: HistGradientBoostingClassifier(max_iter=2),
    "adaptive boosting": lambda: AdaBoostClassifier(n_estimators=2),
    "isolation": lambda: IsolationForest(n_estimators=2),
    "voting": lambda: VotingClassifier([("t", DecisionTreeClassifier()), ("l", LogisticRegression())]),
    "neighbours": KNeighborsClassifier,
    "calibrated": lambda: CalibratedClassifierCV(SVC(), cv=2),
    "search": lambda: GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2, scoring="f1"),
    "network": lambda: MLPClassifier((2,), max_iter=300, tol=1),
}


class Foreign(LogisticRegression):
    """A class that is none of scikit-learn's."""


@pytest.mark.parametrize("kind", TRUSTED)
def test_scikit_learns_own_models_come_back_answering_alike(kind: str) -> None:
    model = TRUSTED[kind]().fit(X, Y)
    assert_array_equal(skops_file.load(skops_file.dump(model)).predict(X), model.predict(X))


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (Foreign(), "Foreign"),
        (FunctionTransformer(functools.partial(np.multiply, 2)), "functools.partial"),
        (FunctionTransformer(numpy.testing.measure), "numpy.testing._private.utils.measure"),
        (FunctionTransformer(np.memmap), "numpy.memmap"),
        (FunctionTransformer(np.fromfile), "numpy.fromfile"),
        (FunctionTransformer(np.save), "numpy.save"),
        (FunctionTransformer(np.loadtxt), "numpy"),
        (FunctionTransformer(print), "print"),
    ],
    ids=str,
)
def test_other_types_and_functions_are_refused_by_name(model: Any, named: str) -> None:
    with pytest.raises(UnloadableError, match=r"not a part of scikit-learn's models: .*") as caught:
        skops_file.load(skops_file.dump(model))
    assert named in str(caught.value)


def test_a_chain_of_numpys_functions_that_would_run_code_is_refused(tmp_path: Path) -> None:
    """numpy.testing.measure runs the text it is given; full_like and max hand it one, whatever the rows are."""
    trace = tmp_path / "it ran"
    code = f"__import__('os').mkdir({str(trace)!r})"
    chain = make_pipeline(
        FunctionTransformer(np.full_like, kw_args={"fill_value": code, "dtype": "O"}),
        FunctionTransformer(np.max), FunctionTransformer(numpy.testing.measure),
    )  # fmt: skip
    chain.transform(X)
    trace.rmdir()
    with pytest.raises(UnloadableError, match="measure"):
        skops_file.load(skops_file.dump(chain)).transform(X)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["sklearn.datasets._base.load_files", "sklearn.utils._testing.TempMemmap",
                                  "sklearn.utils.parallel.Parallel", "sklearn.nowhere.Thing", "sklearn.tree.Nothing",
                                  "sklearnx.Thing", "os.system", "builtins.eval"])  # fmt: skip
def test_not_all_of_scikit_learn_is_a_model(name: str) -> None:
    assert not skops_file._is_trusted(name)


def test_an_archive_that_inflates_beyond_reason_is_refused_unread() -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b"0" * 60_000_000)
    with pytest.raises(UnloadableError, match=r"inflates from \d+ to 60000000 bytes in 1 entries"):
        skops_file.load(sink.getvalue())


@pytest.mark.parametrize("data", [b"", b"x", b"PK\x05\x06" + b"\0" * 18, b"PK\x03\x04"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(UnloadableError):
        skops_file.load(data)
