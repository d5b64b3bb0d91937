"""Fitted models compiled as publishing compiles them."""

import json
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlapi.registry.candidate import Candidate
from mlapi.registry.sample import table_of
from mlapi.runtimes.compilers.compilation import compile_plan
from mlapi.runtimes.pickled import Audit, dump
from mlapi.runtimes.plans import document
from mlapi.runtimes.plans.plan import PlanRunner

Compiled = Callable[..., SimpleNamespace]


def published(model: Any, sample: Any, unseen: Any = None) -> SimpleNamespace:
    """Return what publishing makes of a fitted model: its signature, rows, predictor, plan and proof."""
    table = table_of(model, sample, None, unseen)
    candidate = Candidate("joblib", model, dump(model), Audit(model), table, sample, None)
    signature, rows, native = candidate.prove()
    feed = candidate.table.feed
    outcome = compile_plan(native, dict(rows.inputs), signature, feed, "0" * 64)
    files = dict(outcome.files)
    runner, proof = None, None
    if document.ARRAYS in files:
        bound = document.binding("0" * 64, signature, feed)
        plan, proof = document.loads(files[document.FILE], files[document.ARRAYS], bound)
        runner = PlanRunner(plan, signature)
    return SimpleNamespace(
        signature=signature, rows=rows, native=native, runner=runner, proof=proof, reason=outcome.reason, files=files,
        told=json.loads(files[document.FILE]), feed=feed,
    )  # fmt: skip


@pytest.fixture(scope="session")
def compiled() -> Compiled:
    """Return the function that fits a model, quietly, and compiles it."""

    def compile_fitted(model: Any, features: Any, target: Any, unseen: Any = None) -> SimpleNamespace:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a few steps of training do not reach
            model.fit(features, target)
        return published(model, features, unseen)

    return compile_fitted


@pytest.fixture(scope="session")
def numbers() -> SimpleNamespace:
    """Return rows of a matrix with targets of every kind."""
    random = np.random.default_rng(3)
    rows = random.normal(size=(240, 6)) * [1, 10, 0.1, 1, 1, 1] + [0, 5, 0, 0, 0, 0]
    line = rows @ [1.0, 0.2, 3.0, -1.0, 0.5, 0.0] + np.sin(rows[:, 5])
    gaps = rows.copy()
    gaps[::5, 2] = np.nan
    return SimpleNamespace(
        rows=rows, gaps=gaps, line=line, positive=np.exp(line / 4), two=np.where(line > 1, "yes", "no"),
        three=np.digitize(line, [0, 2]),
    )  # fmt: skip
