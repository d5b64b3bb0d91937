"""Many rows at once: cut into blocks where that is worth it, with the answers and the faults of all at once."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlapi.runtimes.plans.plan import BLOCK, PlanRunner

Compiled = Callable[..., SimpleNamespace]
OUTPUTS = ("predict", "predict_proba")


def many(rows: Any, count: int) -> dict[str, Any]:
    return {"input-0": np.random.default_rng(5).permutation(np.resize(rows, (count, rows.shape[1])))}


@pytest.fixture(scope="module")
def lines(compiled: Compiled) -> Any:
    random = np.random.default_rng(4)
    rows = random.normal(size=(300, 6))
    return compiled(make_pipeline(StandardScaler(), LogisticRegression()), rows, rows[:, 0] > 0), rows


def sizes_of(runner: PlanRunner, inputs: dict[str, Any]) -> list[int]:
    seen, whole = list[int](), runner.predict

    def predict(given: Any, outputs: Any) -> Any:
        seen.append(len(given["input-0"]))
        return whole(given, outputs)

    with patch.object(runner, "predict", predict):
        runner.in_blocks(inputs, OUTPUTS)
    return seen


@pytest.mark.parametrize(("count", "sizes"), [
    (2 * BLOCK - 1, [2 * BLOCK - 1]), (2 * BLOCK, [BLOCK, BLOCK]), (2 * BLOCK + 5, [BLOCK, BLOCK, 5]),
])  # fmt: skip
def test_the_answers_are_those_of_all_at_once(lines: Any, count: int, sizes: list[int]) -> None:
    (made, rows) = lines
    inputs = many(rows, count)
    assert sizes_of(made.runner, inputs) == sizes
    whole, blocks = made.runner.predict(inputs, OUTPUTS), made.runner.in_blocks(inputs, OUTPUTS)
    assert blocks.keys() == whole.keys()
    for name in whole:
        assert (blocks[name].dtype, blocks[name].tobytes()) == (whole[name].dtype, whole[name].tobytes())


@pytest.mark.parametrize("odd", [[np.nan, np.inf], [np.inf, np.nan], [np.nan, 0], [0, np.inf]])
def test_the_fault_that_is_named_is_that_of_all_rows(lines: Any, odd: list[float]) -> None:
    (made, rows) = lines
    inputs = many(rows, 3 * BLOCK)
    inputs["input-0"][[1, -1], 2] = odd
    told = []
    for ask in (made.runner.predict, made.runner.in_blocks):
        with pytest.raises(Exception) as raised:  # noqa: PT011 (whatever it is, both say it)
            ask(inputs, OUTPUTS)
        told.append((type(raised.value), str(raised.value)))
    assert told[0] == told[1]


def test_trees_cut_large_batches_themselves(compiled: Compiled) -> None:
    rows = np.random.default_rng(4).normal(size=(300, 6))
    made = compiled(RandomForestClassifier(5, random_state=0), rows, rows[:, 0] > 0)
    assert sizes_of(made.runner, many(rows, 3 * BLOCK)) == [3 * BLOCK]
