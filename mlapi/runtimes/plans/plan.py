"""A whole plan: from conforming inputs to the answers of the estimator's methods."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlapi.inference.signature import NUMPY_TYPES, Signature
from mlapi.inference.values import Array, rows_of
from mlapi.runtimes.plans.heads import Classification, Regression
from mlapi.runtimes.plans.shapes import Chain
from mlapi.runtimes.plans.step import Edges, Rows, Step, Unproven, step

BLOCK = 1024
"""Rows, of a large batch: a few hundred kilobytes of numbers."""


@step("plan")
@dataclass(eq=False)
class Plan(Step):
    """Steps over the rows, then a head that answers `predict` and `predict_proba`."""

    steps: tuple[Step, ...]
    head: Regression | Classification

    def edges(self) -> Edges:
        """Return by input column the values between which the answers change."""
        return Chain((*self.steps, self.head)).edges()


def derived_bytes(plan: Plan) -> int:
    """Return the bytes of the arrays that the steps have made of those in the file, such as transposed weights."""
    arrays = {id(one): one for one in _parts(plan) if isinstance(one, np.ndarray)}
    return sum(one.nbytes for one in arrays.values() if one.base is None)  # else a view, of the file for the most part


def _parts(plan: Plan) -> Iterator[object]:
    """Yield a plan, its steps, and all that they hold."""
    left: list[object] = [plan]
    seen: set[int] = set()
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, tuple):
            left += one
        elif type(one).__module__.startswith(__package__ or ""):
            left += getattr(one, "__dict__", {}).values()


class PlanRunner:
    """A plan with the signature of its version: answers named arrays, like every predictor."""

    def __init__(self, plan: Plan, signature: Signature) -> None:
        self.plan = plan
        self._steps = plan.steps
        self._head = plan.head
        self._matrix = signature.inputs[0].name if signature.form == "matrix" else None
        self._names = signature.input_names
        self._dtypes = {spec.name: np.dtype(NUMPY_TYPES[spec.datatype]) for spec in signature.outputs}
        self._cuts = not any(isinstance(one, Step) and one.in_chunks for one in _parts(plan))

    def in_blocks(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Return what `predict` does; to many rows block by block, where no step cuts large batches itself.

        What a block makes stays in the processor's caches, and its memory is used again by the next. For plans whose
        answers to a row are the same in every batch. Raises what `predict` does for all the rows at once.
        """
        count = rows_of(inputs)
        if self._cuts and count >= 2 * BLOCK:
            with contextlib.suppress(Exception):  # which of its faults is named depends on all rows
                parts = [self.predict({name: array[begin : begin + BLOCK] for name, array in inputs.items()}, outputs)
                         for begin in range(0, count, BLOCK)]  # fmt: skip
                return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return self.predict(inputs, outputs)

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Return each of `outputs` as `[n, k]` in its declared datatype.

        Raises ModelRefusedInput as the estimator does, and Unproven for rows that only it can answer.
        """
        rows: Rows = inputs[self._matrix] if self._matrix is not None else [inputs[name] for name in self._names]
        with np.errstate(all="ignore"):
            for one in self._steps:
                rows = one(rows)
            answers = self._head.answers(rows, outputs)
        for name, array in answers.items():
            if array.dtype != self._dtypes[name]:
                answers[name] = array.astype(self._dtypes[name])
        return answers

    def timed(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> None:
        """Answer as `predict` does, for the time it takes; rows that are left to the estimator cost what they cost."""
        with contextlib.suppress(Unproven):
            self.predict(inputs, outputs)
