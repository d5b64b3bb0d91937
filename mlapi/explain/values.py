"""What is explained, and the explanation of one row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mlapi.inference.values import Array

Output = Literal["predict", "predict_proba", "decision_function"]
Method = Literal["linear", "tree", "permutation"]


@dataclass(frozen=True, slots=True)
class Contributions:
    """Shapley values `[n, columns, outputs]` and the base value of each output `[outputs]`."""

    values: Array
    base: Array


@dataclass(frozen=True, slots=True)
class Explanation:
    """One row: `base_value` and the contributions by column add up to what the model's method `output` answers.

    `label` is the class that is explained, the predicted one; None for a regressor.
    """

    base_value: float
    contributions: Mapping[str, float]
    output: Output
    label: str | int | bool | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """The explanations of a batch, and how they were found."""

    method: Method
    rows: tuple[Explanation, ...]
