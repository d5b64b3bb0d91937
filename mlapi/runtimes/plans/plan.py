"""A whole plan: from conforming inputs to the answers of the estimator's methods."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlapi.inference.signature import NUMPY_TYPES, Signature
from mlapi.inference.values import Array
from mlapi.runtimes.plans.heads import Classification, Regression
from mlapi.runtimes.plans.shapes import Chain
from mlapi.runtimes.plans.step import Edges, Rows, Step, Unproven, step


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
    found: dict[int, int] = {}
    left: list[object] = [plan]
    seen: set[int] = set()
    while left:
        one = left.pop()
        if isinstance(one, np.ndarray):
            found[id(one)] = one.nbytes if one.base is None else 0  # else a view, of the file for the most part
        elif isinstance(one, tuple):
            left += one
        elif type(one).__module__.startswith(__package__ or "") and id(one) not in seen:
            seen.add(id(one))
            left += getattr(one, "__dict__", {}).values()
    return sum(found.values())


class PlanRunner:
    """A plan with the signature of its version: answers named arrays, like every predictor."""

    def __init__(self, plan: Plan, signature: Signature) -> None:
        self.plan = plan
        self._steps = plan.steps
        self._head = plan.head
        self._matrix = signature.inputs[0].name if signature.form == "matrix" else None
        self._names = signature.input_names
        self._dtypes = {spec.name: np.dtype(NUMPY_TYPES[spec.datatype]) for spec in signature.outputs}

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
