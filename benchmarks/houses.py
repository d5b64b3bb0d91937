"""A table of houses of six numbers and four texts, from a fixed seed, and pipelines that learn its price."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

SEED = 20261126
ROWS = 5_000
NUMBERS = ("area_sqm", "lot_sqm", "distance_km", "rooms", "baths", "built")
TEXTS = {
    "town": ("Ashford", "Brook", "Calder", "Dunmore", "Elm", "Fairview", "Glen", "Harbour", "Inverness", "Jura",
             "Kells", "Linden"),
    "kind": ("detached", "flat", "semi-detached", "terraced"),
    "heating": ("district", "gas", "heat pump", "oil", "wood"),
    "condition": ("good", "new", "to be renovated"),
}  # fmt: skip
MODELS = {
    "ridge": "scaled and one-hot encoded ridge regression",
    "boosting": "ordinal encoded histogram boosting",
}


def table(count: int, seed: Sequence[int] = (SEED,)) -> pd.DataFrame:
    """Return `count` houses: square metres and kilometres at six significant digits, whole numbers, texts."""
    random = np.random.default_rng(seed)
    area, lot, distance = random.uniform([40, 80, 0.2], [320, 2500, 45], (count, 3)).T
    numbers = {
        "area_sqm": area, "lot_sqm": lot, "distance_km": distance, "rooms": random.integers(1, 9, count),
        "baths": random.integers(1, 4, count), "built": random.integers(1890, 2026, count),
    }  # fmt: skip
    rounded = {name: [float(f"{value:.6g}") for value in values] if values.dtype.kind == "f" else values
               for name, values in numbers.items()}  # fmt: skip
    return pd.DataFrame({**rounded, **{name: random.choice(known, count) for name, known in TEXTS.items()}})


def price(houses: pd.DataFrame) -> Any:  # noqa: ANN401 (a series)
    """Return what they cost, in thousands, with noise of 20."""
    towns = houses["town"].map({name: 12.0 * place for place, name in enumerate(TEXTS["town"])}).astype(float)
    kinds = houses["kind"].map({"detached": 90.0, "flat": 0.0, "semi-detached": 45.0, "terraced": 20.0}).astype(float)
    noise = np.random.default_rng([SEED, len(houses)]).normal(0, 20, len(houses))
    return 2.1 * houses["area_sqm"] + 0.05 * houses["lot_sqm"] - 3.0 * houses["distance_km"] + towns + kinds + noise


def fitted(model: str) -> Pipeline:
    """Return the pipeline of that name, fitted on the table."""
    numbers, texts = list(NUMBERS), list(TEXTS)
    if model == "ridge":
        scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        encoded = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        prepare, learner = ColumnTransformer([("numbers", scaled, numbers), ("texts", encoded, texts)]), Ridge()
    else:
        coded = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
        prepare = ColumnTransformer([("numbers", "passthrough", numbers), ("texts", coded, texts)])
        learner = HistGradientBoostingRegressor(random_state=SEED)
    houses = table(ROWS)
    return Pipeline([("prepare", prepare), ("model", learner)]).fit(houses, price(houses))
