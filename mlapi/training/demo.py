"""The demo models: five versions of four names, trained in seconds from data that comes along."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from mlapi.errors import TrainingError
from mlapi.registry.manifest import Manifest
from mlapi.registry.publishing import publish_model
from mlapi.registry.store import Store
from mlapi.training.evaluation import Array, evaluate
from mlapi.training.metrics import DEFAULTS
from mlapi.training.publication import class_record, publish, split_record
from mlapi.training.search import fit
from mlapi.training.split import split_rows
from mlapi.training.step import Report, Step, silent
from mlapi.training.table import read_table
from mlapi.training.trainer import FOLDS, SEED, TEST_SIZE, Options, train

HOUSES = "Ames, Iowa, 2006 to 2010 (De Cock 2011, Journal of Statistics Education 19:3)"
HOUSE_LIMITS = (f"House sales in {HOUSES}: prices of that town and time, not of yours.",)
SCIENCE = "A first model to try requests with; no use beyond that."


@dataclass(frozen=True, slots=True)
class DemoVersion:
    """One version the demo publishes: its model's name, its family, what is said of it, how it is made."""

    name: str
    family: str
    note: str
    publish: Callable[["DemoVersion", Path], Manifest]


def publish_demo(registry: Path, *, report: Report = silent) -> tuple[Manifest, ...]:
    """Publish the demo models into a registry folder; return the manifests of what was published.

    A name that has versions already is left alone, and `report` is told so. Takes seconds.
    """
    present = Store(registry).models()
    for name in demo_names():
        if name in present:
            report(Step(f"{name} has versions already: left alone", 0, len(DEMO)))
    published = []
    for place, version in enumerate(DEMO):
        if version.name not in present:
            report(Step(f"training {version.name}: {version.note}", place, len(DEMO)))
            published.append(version.publish(version, registry))
    report(Step("done", len(DEMO), len(DEMO)))
    return tuple(published)


def demo_names() -> tuple[str, ...]:
    """Return the names of the demo models, each once, in the order they are published."""
    return tuple(dict.fromkeys(version.name for version in DEMO))


def house_prices() -> Path:
    """Return the path of the house price table that comes with mlapi."""
    path = Path(str(files("mlapi.training") / "data" / "house_prices.csv"))
    if not path.is_file():
        msg = f"{path} is missing from the installation; install mlapi again"
        raise TrainingError(msg)
    return path


def _one_input(version: DemoVersion, registry: Path) -> Manifest:
    header = house_prices().read_text(encoding="utf-8").partition("\n")[0].split(",")
    return _houses(version, registry, [name for name in header if name not in {"sqft", "price"}])


def _houses(version: DemoVersion, registry: Path, drop: Sequence[str] = ()) -> Manifest:
    table = read_table(house_prices(), "price", drop)
    return publish(
        train(table, Options(family=version.family)),
        version.name,
        registry=registry,
        note=version.note,
        intended_use=f"Showing what a price model is like to use. Data: {HOUSES}.",
        limits=HOUSE_LIMITS,
    )


def _iris(version: DemoVersion, registry: Path) -> Manifest:
    data = load_iris()
    classes = np.array([str(name) for name in data.target_names])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000))
    features = [name.removesuffix(" (cm)").replace(" ", "_") + "_cm" for name in data.feature_names]
    truth = classes[data.target]
    return _matrix(model, data.data, truth, names=features, version=version, registry=registry)


def _digits(version: DemoVersion, registry: Path) -> Manifest:
    data = load_digits()
    network = MLPClassifier(hidden_layer_sizes=(64,), alpha=0.01, max_iter=500, random_state=SEED)
    model = make_pipeline(MinMaxScaler(), network)
    pixels = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    truth = data.target.astype(np.int64)
    return _matrix(model, data.data, truth, names=pixels, version=version, registry=registry)


def _matrix(  # noqa: PLR0913 (the data, and what is said of it, each by its name)
    model: BaseEstimator,
    features: Array,
    truth: Array,
    *,
    names: Sequence[str],
    version: DemoVersion,
    registry: Path,
) -> Manifest:
    """Publish a classifier of a plain float matrix, measured on a fifth that it has not seen."""
    target = pd.Series(truth, name="class")
    split = split_rows(target, "classification", test_size=TEST_SIZE, folds=FOLDS, seed=SEED)
    fitted, _ = fit(model, features[split.train], truth[split.train])
    held_out = features[split.held_out]
    evaluation = evaluate(fitted, held_out, truth[split.held_out], "classification")
    record: dict[str, object] = {
        "task": "classification",
        "family": version.family,
        "seed": SEED,
        "primary_metric": DEFAULTS["classification"],
        "split": split_record(split),
        **class_record(evaluation),
    }
    return publish_model(
        fitted,
        version.name,
        registry=registry,
        sample=features[split.train],
        target=truth[split.train],
        metrics=evaluation.metrics,
        note=version.note,
        training=record,
        data=_matrix_record(features, version.name),
        feature_names=names,
        intended_use=SCIENCE,
        limits=(f"Learned from {len(split.train):,} rows of the {version.name} data in scikit-learn.",),
    )


def _matrix_record(features: Array, name: str) -> dict[str, object]:
    return {
        "source": f"scikit-learn: load_{name}",
        "sha256": hashlib.sha256(features.astype("<f8").tobytes()).hexdigest(),
        "rows": len(features),
        "columns": features.shape[1],
    }


DEMO: tuple[DemoVersion, ...] = (
    DemoVersion("sqft-price", "linear", "price of a house from its area alone", _one_input),
    DemoVersion("house-prices", "linear", "linear regression on all features", _houses),
    DemoVersion("house-prices", "boosting", "gradient boosting on all features", _houses),
    DemoVersion("iris", "logistic", "logistic regression, three named classes", _iris),
    DemoVersion("digits", "mlp", "neural network on 64 pixels", _digits),
)
