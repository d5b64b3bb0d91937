"""Every family learns every task it can do from mixed columns with gaps, and survives new texts."""

import numpy as np
import pandas as pd
import pytest

from mlapi.training.families import BASELINE, FAMILIES
from mlapi.training.pipelines import Columns, build_pipeline, columns_of
from mlapi.training.search import fit
from mlapi.training.table import Table
from mlapi.training.task import Task
from mlapi.training.trainer import truth_of

EACH = [(family.name, task) for family in FAMILIES for task in family.tasks]
BASELINES: list[tuple[str, Task]] = [(BASELINE, "regression"), (BASELINE, "classification")]


def never_seen(features: pd.DataFrame) -> pd.DataFrame:
    """Return three rows: one as learned from, one of a new text, one of gaps."""
    rows = features.dropna().iloc[[0, 0, 0]].reset_index(drop=True)
    rows.loc[1, "city"] = "atlantis"
    rows.loc[2, "city"] = np.nan
    rows.loc[2, "size"] = np.nan
    return rows


@pytest.mark.parametrize(("family", "task"), [*EACH, *BASELINES])
def test_gaps_and_new_texts_are_answered(
    family: str, task: Task, priced: Table, graded: Table,
) -> None:
    table = priced if task == "regression" else graded
    truth = truth_of(table.target, task)
    model = build_pipeline(family, task, columns_of(table.features), seed=1)
    fitted, _ = fit(model, table.features, truth)
    rows = never_seen(table.features)
    if task == "regression":
        assert np.isfinite(fitted.predict(rows)).all()
    else:
        assert fitted.predict_proba(rows).sum(axis=1) == pytest.approx([1, 1, 1])
        assert set(fitted.predict(rows)) <= {"low", "middle", "high"}


@pytest.mark.parametrize(("family", "task"), EACH)
def test_nothing_runs_in_parallel(family: str, task: Task, priced: Table) -> None:
    model = build_pipeline(family, task, columns_of(priced.features), seed=1)
    jobs = [value for name, value in model.get_params().items() if name.endswith("n_jobs")]
    assert set(jobs) <= {None, 1}


@pytest.mark.parametrize("kind", ["numbers", "texts", "flags"])
@pytest.mark.parametrize(("family", "task"), EACH)
def test_columns_of_one_kind_alone_are_enough(family: str, task: Task, kind: str) -> None:
    columns = {
        "numbers": pd.DataFrame({"a": np.arange(60) % 7, "b": np.arange(60) / 7}),
        "texts": pd.DataFrame({"a": ["x", "y", "z"] * 20}),
        "flags": pd.DataFrame({"a": [True, False, True] * 20, "b": [False, True, True] * 20}),
    }[kind]
    truth = np.arange(60.0) if task == "regression" else np.array(["p", "q", "r"] * 20)
    fitted, _ = fit(build_pipeline(family, task, columns_of(columns), seed=1), columns, truth)
    assert len(fitted.predict(columns)) == 60


@pytest.mark.parametrize("family", ["linear", "boosting"])
def test_hundreds_of_distinct_texts_are_grouped(family: str) -> None:
    texts = pd.DataFrame({"code": [f"c{i % 400}" for i in range(900)]})
    model = build_pipeline(family, "regression", columns_of(texts), seed=1)
    fitted, _ = fit(model, texts, np.arange(900.0))
    prepared = fitted.named_steps["prepare"].transform(texts)
    assert prepared.shape[1] <= 100
    assert np.isfinite(fitted.predict(pd.DataFrame({"code": ["c1", "c399", "new"]}))).all()


def test_columns_keep_their_order_and_kinds(priced: Table) -> None:
    columns = columns_of(priced.features)
    assert columns.numbers == ("size", "age", "garden")
    assert columns.texts == ("city",)
    assert (columns.rows, columns.widest) == (180, 3)


@pytest.mark.parametrize(("rows", "classes", "expected"), [(999, 3, False), (1_000, 3, True), (1_000, 100, False)])
def test_a_network_stops_early_only_where_a_tenth_of_the_rows_has_every_class(
    rows: int, classes: int, expected: bool,
) -> None:
    columns = Columns(("a",), (), rows, 0, classes)
    model = build_pipeline("mlp", "classification", columns, seed=1)
    assert model.get_params()["model__early_stopping"] is expected
