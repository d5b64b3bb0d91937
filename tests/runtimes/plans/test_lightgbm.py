"""LightGBM's models: a plan where its trees are plain, none where they are not."""

from typing import Any

import lightgbm
import numpy as np
import pytest

SMALL = {"n_estimators": 8, "verbose": -1, "n_jobs": 1}


@pytest.mark.parametrize(("model", "target"), [
    (lightgbm.LGBMRegressor(**SMALL), "line"), (lightgbm.LGBMRegressor(objective="poisson", **SMALL), "positive"),
    (lightgbm.LGBMClassifier(**SMALL), "two"), (lightgbm.LGBMClassifier(**SMALL), "three"),
])  # fmt: skip
def test_its_trees_have_a_plan(compiled: Any, numbers: Any, model: Any, target: str) -> None:
    done = compiled(model, numbers.rows, getattr(numbers, target))
    assert done.reason == ""
    wanted = done.native.predict(done.rows.inputs, done.signature.output_names)
    for name, array in done.runner.predict(done.rows.inputs, done.signature.output_names).items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(array, wanted[name], rtol=1e-9)
        else:
            np.testing.assert_array_equal(array, wanted[name])


@pytest.mark.parametrize("odd", [{"zero_as_missing": True}, {"linear_tree": True}, {"objective": "cross_entropy"}])
def test_odd_ones_have_none(compiled: Any, numbers: Any, odd: dict[str, Any]) -> None:
    target = (numbers.line > 1).astype(float)
    done = compiled(lightgbm.LGBMRegressor(**SMALL, **odd), numbers.rows, target)
    assert "have no plan" in done.reason or "has no plan" in done.reason
