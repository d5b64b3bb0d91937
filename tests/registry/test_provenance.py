"""Where a version comes from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlapi.registry import provenance
from mlapi.runtimes.pickled import Audit


def test_a_pipeline_is_named_by_its_steps() -> None:
    assert provenance.estimator(make_pipeline(StandardScaler(), Ridge())) == "StandardScaler > Ridge"
    assert provenance.estimator(Ridge()) == "Ridge"
    assert provenance.estimator(object()) == "object"


def test_parameters_are_the_plain_values_alone() -> None:
    class Parametrised:
        def get_params(self) -> dict[str, Any]:
            plain = {"a": 1, "b": "x", "c": None, "d": True, "e": 0.5, "f": np.float64(1.5)}
            return plain | {"nan": np.nan, "list": [1], "long": "x" * 201, "object": object(), "array": np.zeros(2)}

    assert provenance.parameters(Parametrised()) == {"a": 1, "b": "x", "c": None, "d": True, "e": 0.5, "f": 1.5}
    assert provenance.parameters(object()) == {}


def test_at_most_a_hundred_parameters_are_kept() -> None:
    class Many:
        def get_params(self) -> dict[str, Any]:
            return {f"p{i}": i for i in range(500)}

    assert len(provenance.parameters(Many())) == 100


def test_libraries_are_those_the_model_needs() -> None:
    found = provenance.libraries(Audit(Ridge().fit([[1.0]], [1.0])))
    assert {"python", "scikit-learn", "numpy"} <= set(found)
    assert "pandas" not in found


def test_the_code_revision_is_none_outside_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.code_revision() is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.code_revision() is None


def test_the_publisher_is_told_with_the_host() -> None:
    assert provenance.publisher().count("@") <= 1
    assert provenance.publisher()
