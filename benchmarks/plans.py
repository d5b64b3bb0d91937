"""Native against plan, by family and batch size, in one thread: `python benchmarks/plans.py`.

Every model is published into a registry of its own, loaded as a server loads it, and asked through
`LoadedModel.predict`, least of many tries. Microseconds a call.
"""

import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from mlapi.inference.values import Array
from mlapi.registry import loading
from mlapi.registry.publishing import publish_model
from mlapi.registry.store import Store

SIZES = (1, 8, 64, 1000)
SECONDS = 0.4
FAMILIES: dict[str, Any] = {
    "ridge, scaled": make_pipeline(StandardScaler(), Ridge()),
    "logistic, scaled": make_pipeline(StandardScaler(), LogisticRegression()),
    "svm rbf, scaled": make_pipeline(StandardScaler(), SVC()),
    "mlp 64, scaled": make_pipeline(StandardScaler(), MLPClassifier(hidden_layer_sizes=(64,), random_state=0)),
    "decision tree": DecisionTreeClassifier(random_state=0),
    "forest of 100": RandomForestClassifier(100, random_state=0, n_jobs=1),
    "extra trees, 100": ExtraTreesClassifier(100, random_state=0, n_jobs=1),
    "gradient boosting, 100": GradientBoostingClassifier(random_state=0),
    "histogram boosting, 300": HistGradientBoostingClassifier(max_iter=300, max_leaf_nodes=15, random_state=0),
    "calibrated svm": CalibratedClassifierCV(make_pipeline(StandardScaler(), SVC()), cv=3, ensemble=False),
}


def least(predict: Callable[[], object]) -> float:
    """Return the least time of a call in us, over as many as fit into the time."""
    found, end = [], time.perf_counter() + SECONDS
    while not found or time.perf_counter() < end:
        begin = time.perf_counter_ns()
        predict()
        found.append(time.perf_counter_ns() - begin)
    return min(found) / 1000


def batch(rows: Mapping[str, Array], size: int) -> dict[str, Array]:
    """Return `size` rows, over and over."""
    return {name: array[np.arange(size) % len(array)] for name, array in rows.items()}


def main() -> None:
    """Print a Markdown table."""
    features, target = make_classification(3000, 30, n_informative=12, random_state=0)
    print("| family |", " | ".join(f"{size} rows: native, plan" for size in SIZES), "|")
    print("|--" * (len(SIZES) + 1) + "|")
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store = Store(Path(folder))
        for place, (family, model) in enumerate(FAMILIES.items()):
            if sys.argv[1:] and not any(word in family for word in sys.argv[1:]):
                continue
            publish_model(model.fit(features, target), f"m{place}", registry=store.root, sample=features)
            planned = loading.verify(store, f"m{place}", 1)
            native = loading.load(store, f"m{place}", 1, plans=False)
            cells = []
            for size in SIZES:
                rows = batch(planned.reference.inputs, size)
                took = [least(lambda one=one, rows=rows: one.predict(rows, ("predict",))) for one in (native, planned)]
                cells.append(f"{took[0]:,.0f}, {took[1]:,.0f}" if planned.planned else f"{took[0]:,.0f}, none")
            print(f"| {family} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
