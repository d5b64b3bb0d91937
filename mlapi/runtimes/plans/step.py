"""The parts of a plan: data classes that take rows and give rows, and the table of their names.

A step is what its fields are: numbers, texts, arrays and further steps. That is all that a plan file
holds, so reading one runs no code but that of the classes registered here.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

import numpy as np

from mlapi.inference.values import Array

Rows = Any
"""What flows between steps: a float matrix `[n, k]`, or a list of columns `[n]` (texts as objects, None missing)."""

Edges = dict[int, Array]
"""By column: values between which a step behaves differently, such as the thresholds of a tree."""


class Unproven(Exception):
    """These rows are none that the plan was proven on; the estimator itself has to answer them."""


@dataclass(eq=False)
class Step:
    """One part of a plan: a function of rows, whose fields are all that is stored of it."""

    in_chunks: ClassVar[bool] = False
    """Whether it cuts large batches itself."""

    def __call__(self, rows: Rows) -> Rows:
        """Return the rows after this step. Raises ModelRefusedInput as the estimator would, or Unproven."""
        raise NotImplementedError

    def edges(self) -> Edges:
        """Return by input column where the step, or one after it, changes its behaviour."""
        return {}

    def back(self, edges: Edges) -> Edges:
        """Return what `edges` of the output columns are in input columns; those with no inverse are left out."""
        return {} if edges else edges


STEPS: dict[str, type[Step]] = {}
"""Every step by the name that plan files give it."""

S = TypeVar("S", bound=type[Step])


def step(name: str) -> Callable[[S], S]:
    """Register a class of steps under the name that stands for it in plan files."""

    def register(kind: S) -> S:
        STEPS[name] = kind
        kind.name = name  # type: ignore[attr-defined]
        return kind

    return register


def encoded(value: Any, arrays: list[Array]) -> Any:  # noqa: ANN401 (what a field may be)
    """Return a step, or a field of one, as JSON has it; its arrays are appended to `arrays`."""
    if isinstance(value, Step):
        parts = {one.name: encoded(getattr(value, one.name), arrays) for one in fields(value)}
        return {"step": value.name, **parts}  # type: ignore[attr-defined]
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, tuple):
        return [encoded(one, arrays) for one in value]
    if value is None or type(value) in {bool, int, float, str}:
        return value
    msg = f"a field of a step is a {type(value).__name__}"
    raise TypeError(msg)


def decoded(value: Any, arrays: list[Array]) -> Any:  # noqa: ANN401 (decoded JSON)
    """Return the step, or the field, that `encoded` made this of.

    Raises KeyError, TypeError, ValueError or IndexError where it was made of none.
    """
    if isinstance(value, list):
        return tuple(decoded(one, arrays) for one in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    kind = STEPS[value["step"]]
    return kind(**{key: decoded(part, arrays) for key, part in value.items() if key != "step"})
