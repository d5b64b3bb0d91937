"""Versions with a plan: loaded without their library, guarded by the manifest, given up where they do not fit."""

import logging
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlapi.errors import ModelRefusedInput, VersionRefused
from mlapi.inference.values import Target
from mlapi.registry import loading
from mlapi.registry.live import LiveRegistry
from mlapi.registry.manifest import Manifest
from mlapi.registry.publishing import publish_model
from mlapi.registry.store import Store
from mlapi.runtimes.plans import document
from mlapi.runtimes.plans.predictor import PlannedPredictor

Add = Callable[..., Manifest]
FIRST = ("predict",)


def test_a_version_with_a_plan_answers_without_its_library(
    store: Store, mixed: Any, table: Any, run: Callable[..., Any],
) -> None:
    publish_model(mixed, "rent", registry=store.root, sample=table)
    script = (
        "import sys; from pathlib import Path\n"
        "from mlapi.bootstrap import build_services; from mlapi.config import Config\n"
        "from mlapi.inference.values import Target\n"
        "services = build_services(Config(registry=Path(sys.argv[1]))); services.live.start(); services.live.stop()\n"
        "loaded = services.live.get(Target('rent'))\n"
        "loaded.predict(loaded.reference.inputs, ('predict',))\n"
        "there = {'sklearn', 'scipy', 'pandas', 'joblib', 'skops'} & set(sys.modules)\n"
        "print(sorted(there), loaded.expected_ns(1) > 0)\n"
        "print(type(loaded.predictor.model).__name__)\n"
    )
    done = run(script, str(store.root))
    assert (done.stdout, done.stderr) == ("[] True\nPipeline\n", "")


def test_without_plans_the_estimator_answers(add: Add, store: Store, line: Any, matrix: Any) -> None:
    add()
    loaded = loading.load(store, "line", 1, plans=False)
    assert loaded.planned is None
    assert not loaded.row_independent
    assert_array_equal(loaded.predict({"input-0": matrix}, FIRST)["predict"][:, 0], line.predict(matrix))
    live = LiveRegistry(store, 3600, plans=False)
    live.refresh()
    assert live.get(Target("line")).planned is None


def test_times_are_known_after_the_proof(add: Add, store: Store) -> None:
    add()
    loaded = loading.load(store, "line", 1)
    assert loaded.expected_ns(1) is None
    loaded.prove()
    assert loaded.row_independent
    few, many = loaded.expected_ns(1), loaded.expected_ns(100_000)
    assert few is not None
    assert many is not None
    assert 0 < few < many


def test_a_plan_of_another_model_file_is_not_used(
    add: Add, store: Store, tamper: SimpleNamespace, caplog: pytest.LogCaptureFixture,
) -> None:
    add()
    add()
    files = store.folder("line", 2)
    described = store.manifest("line", 2)
    assert described.file("plan.bin").size > 0
    told = (files / "plan.json").read_bytes().replace(b'"of":"', b'"of":"0')
    tamper.consistent("line", 2, "plan.json", told)
    with caplog.at_level(logging.WARNING, "mlapi.registry"):
        loaded = loading.verify(store, "line", 2)
    assert loaded.planned is None
    assert caplog.records[0].reason == "the plan was proven for another model file or signature"  # type: ignore[attr-defined]


def test_a_damaged_plan_is_refused_like_any_file(add: Add, store: Store, tamper: SimpleNamespace) -> None:
    for version, file in enumerate(("plan.json", "plan.bin"), start=1):
        add()
        data = bytearray((store.folder("line", version) / file).read_bytes())
        data[len(data) // 2] ^= 1
        tamper.write("line", version, file, bytes(data))
        with pytest.raises(VersionRefused, match=f"'{file}' is not the file that was published"):
            loading.load(store, "line", version)


def test_a_forged_proof_does_not_fit_the_manifest(add: Add, store: Store, tamper: SimpleNamespace) -> None:
    add()
    told = (store.folder("line", 1) / "plan.json").read_bytes()
    tamper.write("line", 1, "plan.json", told.replace(b'"row_independent":true', b'"row_independent":null'))
    with pytest.raises(VersionRefused, match=r"'plan.json' is not the file that was published"):
        loading.load(store, "line", 1)


def test_a_plan_that_answers_otherwise_is_refused_by_the_golden_rows(
    add: Add, store: Store, tamper: SimpleNamespace,
) -> None:
    add()
    blob = bytearray((store.folder("line", 1) / "plan.bin").read_bytes())
    blob[:8] = np.float64(5.0).tobytes()
    tamper.consistent("line", 1, "plan.bin", bytes(blob))
    with pytest.raises(VersionRefused, match="its answers are not those it was published with"):
        loading.verify(store, "line", 1)


def test_a_model_that_this_library_cannot_read_keeps_serving_by_its_plan(
    store: Store, matrix: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As with another scikit-learn, whose pickles of today are not those of then."""
    model = LogisticRegression().fit(matrix, np.where(matrix[:, 0] > 0, "yes", "no"))
    publish_model(model, "line", registry=store.root, sample=matrix)

    def unreadable(*_: object) -> None:
        raise loading.UnloadableError("it needs 'X' from module 'sklearn', which has none here")

    monkeypatch.setattr(loading, "parse", unreadable)
    loaded = loading.verify(store, "line", 1)
    assert_array_equal(loaded.predict({"input-0": matrix}, FIRST)["predict"][:, 0], model.predict(matrix))
    with pytest.raises(VersionRefused, match="it needs 'X'"):
        _ = loaded.predictor
    with pytest.raises(VersionRefused, match="it needs 'X'"):
        loading.load(store, "line", 1, plans=False)
    undecided = np.zeros((2, 2))
    undecided[:, 0] = -model.intercept_[0] / model.coef_[0, 0]
    with pytest.raises(ModelRefusedInput, match="none that it can be asked without its library"):
        loaded.predict({"input-0": undecided}, FIRST)


def test_rows_that_rounding_could_turn_are_left_to_the_estimator(store: Store, matrix: Any) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix, np.where(matrix[:, 0] > 0, "yes", "no"))
    publish_model(model, "line", registry=store.root, sample=matrix)
    loaded = loading.verify(store, "line", 1)
    slope = model[-1].coef_[0] / model[0].scale_
    rows = matrix.copy()
    rows[3] = model[0].mean_
    rows[3, 0] -= model[-1].intercept_[0] / slope[0]
    planned = loaded.planned
    assert isinstance(planned, PlannedPredictor)
    assert planned._native is None
    assert_array_equal(loaded.predict({"input-0": rows}, FIRST)["predict"][:, 0], model.predict(rows))
    assert planned._native is not None, "the one row was its own to decide"


def test_the_plan_refuses_in_the_words_of_the_estimator(add: Add, store: Store, matrix: Any) -> None:
    add()
    loaded = loading.verify(store, "line", 1)
    for bad, said in ((np.nan, "Input X contains NaN"), (np.inf, "Input X contains infinity")):
        rows = matrix.copy()
        rows[2, 1] = bad
        for predictor in (loaded, loaded.predictor):
            with pytest.raises(ModelRefusedInput, match=said):
                predictor.predict({"input-0": rows}, FIRST)


def test_large_plans_are_mapped_and_verified(store: Store, matrix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAPPED_FROM", 1)
    model = RandomForestRegressor(20, random_state=0).fit(matrix, matrix[:, 0])
    publish_model(model, "line", registry=store.root, sample=matrix)
    loaded = loading.verify(store, "line", 1)
    assert loaded.planned is not None
    trees: Any = loaded.planned._runner.plan.head.model  # type: ignore[union-attr]
    assert not trees.threshold.flags.owndata
    assert_array_equal(loaded.predict({"input-0": matrix}, FIRST)["predict"][:, 0], model.predict(matrix))
    path = store.folder("line", 1) / "plan.bin"
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\x01\x02\x03")
    with pytest.raises(VersionRefused, match=r"'plan.bin' is not the file that was published"):
        loading.load(store, "line", 1)


def test_the_same_bits_alone_and_among_others(store: Store, matrix: Any) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix, np.arange(len(matrix)) % 3)
    publish_model(model, "line", registry=store.root, sample=matrix)
    loaded = loading.verify(store, "line", 1)
    assert loaded.row_independent
    both = ("predict", "predict_proba")
    whole = loaded.predict({"input-0": matrix}, both)["predict_proba"]
    for size in (1, 2, 5, 33):
        for begin in range(0, len(matrix), size):
            part = loaded.predict({"input-0": matrix[begin : begin + size]}, both)["predict_proba"]
            assert part.tobytes() == whole[begin : begin + size].tobytes()
    assert_allclose(whole, model.predict_proba(matrix), rtol=1e-9)


def test_a_version_without_plan_files_is_served_as_ever(
    add: Add, store: Store, tamper: SimpleNamespace,
) -> None:
    add()
    files = tuple(entry for entry in store.manifest("line", 1).files if not entry.name.startswith("plan."))
    tamper.described("line", 1, files=files)
    assert loading.verify(store, "line", 1).planned is None


def test_a_model_without_a_plan_says_why(store: Store, matrix: Any) -> None:
    class_of_its_own = type("Own", (LinearRegression,), {"__module__": __name__})
    sys.modules[__name__].Own = class_of_its_own  # type: ignore[attr-defined]
    sys.modules.setdefault(__name__, sys.modules[__name__])
    publish_model(class_of_its_own().fit(matrix, matrix[:, 0]), "line", registry=store.root, sample=matrix)
    described = document.describe((store.folder("line", 1) / "plan.json").read_bytes())
    assert described.proof is None
    assert described.reason.endswith("Own has no plan")
    assert loading.verify(store, "line", 1).planned is None
