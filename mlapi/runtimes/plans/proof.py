"""The proof of a plan: the same answers and the same refusals as the estimator, alone and in batches, or no plan."""

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from mlapi.errors import MlapiError, ModelRefusedInput
from mlapi.inference.signature import Signature
from mlapi.inference.values import Array, rows_of
from mlapi.runtimes.plans.boundary import boundary
from mlapi.runtimes.plans.document import Proof
from mlapi.runtimes.plans.pace import measured
from mlapi.runtimes.plans.plan import PlanRunner
from mlapi.runtimes.plans.step import Unproven
from mlapi.runtimes.predictor import Predictor

RTOL = 1e-9
FLOOR = 1e-12
"""Numbers that are nearly nothing are compared with this part of the largest reference answer."""
BATCHES = (2, 3, 7, 64)
TOGETHER = 64
MOST_LEFT = 0.1
"""Of the rows, so many the plan may leave to the estimator, with at least"""
LEAST_ROWS = 100
"""rows seen."""
NATIVE_BUDGET = 400_000_000
Answers = dict[str, Array]


class NotEqual(Exception):
    """The plan does not answer as the estimator does; says where."""


def prove(
    runner: PlanRunner, native: Predictor, inputs: Mapping[str, Array], signature: Signature,
    libraries: Mapping[str, str],
) -> Proof:
    """Return the proof over reference rows `inputs` and their boundary. Raises NotEqual with the first difference.

    All of it runs in one thread, as a worker does, and without the warnings that extreme rows call forth.
    """
    with threadpool_limits(1), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return _proven(runner, native, inputs, signature, libraries)


def _proven(
    runner: PlanRunner, native: Predictor, inputs: Mapping[str, Array], signature: Signature,
    libraries: Mapping[str, str],
) -> Proof:
    comparison = _Comparison(runner, native, signature, inputs)
    edge = boundary(inputs, signature, runner.plan.edges())
    comparison.add(inputs, "reference rows")
    comparison.add(edge.plain, "boundary rows")
    comparison.add_lone(edge.risky, "boundary rows that may be refused")
    outputs = signature.output_names[:1]
    return Proof(
        rows=comparison.rows, largest_difference=float(comparison.largest), exact=comparison.exact,
        row_independent=comparison.row_independent, libraries=dict(libraries),
        native_ns=_by_text(measured(lambda rows: native.predict(rows, outputs), inputs, NATIVE_BUDGET)),
        plan_ns=_by_text(measured(lambda rows: runner.timed(rows, outputs), inputs)),
    )  # fmt: skip


class _Comparison:
    def __init__(
        self, runner: PlanRunner, native: Predictor, signature: Signature, inputs: Mapping[str, Array],
    ) -> None:
        self._runner, self._native = runner, native
        self._outputs = signature.output_names
        self._widths = {spec.name: spec.width for spec in signature.outputs}
        sizes = native.predict(inputs, self._outputs)
        self._floors = {name: FLOOR * _largest(array) for name, array in sizes.items()}
        self.rows, self.largest, self._left = 0, 0.0, 0
        self.exact = self.row_independent = True

    def add(self, inputs: Mapping[str, Array], what: str) -> None:
        """Compare rows that the estimator answers, and each with itself in batches; refused ones are taken out."""
        alone = [self._planned(one) for one in _slices(inputs, 1)]
        expected = self._expected(inputs)
        for row, (mine, wanted) in enumerate(zip(alone, expected, strict=True)):
            self._compare(mine, wanted, f"{what}, row {row}")
        kept = [row for row, mine in enumerate(alone) if isinstance(mine, dict)]
        if not kept:
            return
        answered = {name: array[kept] for name, array in inputs.items()}
        for size in BATCHES:
            for begin, batch in zip(range(0, len(kept), size), _slices(answered, size), strict=True):
                together = self._planned(batch)
                if not isinstance(together, dict):
                    msg = f"{what}: rows that are answered alone are not answered in a batch of {size}"
                    raise NotEqual(msg)
                self._independent(together, [alone[row] for row in kept[begin : begin + size]], what)

    def add_lone(self, inputs: Mapping[str, Array], what: str) -> None:
        """Compare rows one by one."""
        for row, one in enumerate(_slices(inputs, 1)):
            self._compare(self._planned(one), self._asked(one), f"{what}, row {row}")

    def _planned(self, inputs: Mapping[str, Array]) -> Answers | str:
        try:
            answers = self._runner.predict(inputs, self._outputs)
            if len(self._outputs) > 1:
                self._require_same_alone(inputs, answers)
        except ModelRefusedInput:
            return "refused"
        except Unproven:
            return "left to the estimator"
        for name, array in answers.items():
            if array.shape != (rows_of(inputs), self._widths[name]):
                msg = f"'{name}' has shape {list(array.shape)}"
                raise NotEqual(msg)
        return answers

    def _require_same_alone(self, inputs: Mapping[str, Array], answers: Answers) -> None:
        """Compare labels, which most ask for, with themselves asked for alone: plans may have a shorter way to them."""
        name = self._outputs[0]
        with contextlib.suppress(Unproven):  # then the estimator answers, as it does to any row
            alone = self._runner.predict(inputs, (name,))[name]
            if alone.dtype.kind != "f" and not np.array_equal(alone, answers[name]):
                msg = f"'{name}' is another one where it is asked for alone"
                raise NotEqual(msg)

    def _asked(self, inputs: Mapping[str, Array]) -> Answers | str:
        try:
            return self._native.predict(inputs, self._outputs)
        except ModelRefusedInput:
            return "refused"
        except MlapiError:
            return "failed"

    def _expected(self, inputs: Mapping[str, Array]) -> list[Answers | str]:
        """Return what the estimator answers to each row, asked in batches where it refuses none."""
        found: list[Answers | str] = []
        for batch in _slices(inputs, TOGETHER):
            together = self._asked(batch)
            if isinstance(together, dict):
                found += [{name: array[row : row + 1] for name, array in together.items()}
                          for row in range(rows_of(batch))]  # fmt: skip
            elif rows_of(batch) == 1:
                found.append(together)
            else:
                halves = _slices(batch, max(1, rows_of(batch) // 2))
                for half in halves:
                    found += self._expected(half)
        return found

    def _compare(self, mine: Answers | str, wanted: Answers | str, where: str) -> None:
        self.rows += 1
        if mine == "left to the estimator":
            self._left += 1
            if self._left > MOST_LEFT * max(self.rows, LEAST_ROWS):
                msg = f"{where}: the plan leaves more rows to the estimator than it is worth"
                raise NotEqual(msg)
            return
        if isinstance(mine, str) or isinstance(wanted, str):
            if mine != wanted:
                said, told = (part if isinstance(part, str) else "answered" for part in (mine, wanted))
                raise NotEqual(f"{where}: {said} by the plan, {told} by the estimator")
            return
        for name, array in wanted.items():
            self._near(mine[name], array, self._floors[name], f"{where}: '{name}'")

    def _near(self, mine: Array, wanted: Array, floor: float, where: str) -> None:
        if wanted.dtype.kind != "f":
            if not (mine == wanted).all():
                raise NotEqual(f"{where} is {mine.tolist()[0]}, the estimator's {wanted.tolist()[0]}")
            return
        same = (mine == wanted) | (np.isnan(mine) & np.isnan(wanted))
        if same.all():
            return
        self.exact = False
        with np.errstate(all="ignore"):
            apart = np.where(same, 0.0, np.abs(mine - wanted))
            relative = np.where(same, 0.0, apart / np.maximum(np.abs(wanted), floor / RTOL))
        if not (apart <= RTOL * np.abs(wanted) + floor).all():
            raise NotEqual(f"{where} is {mine.tolist()[0]}, the estimator's {wanted.tolist()[0]}")
        self.largest = max(self.largest, float(relative.max()))

    def _independent(self, together: Answers, alone: Sequence[Any], what: str) -> None:
        for name, array in together.items():
            single = np.concatenate([one[name] for one in alone])
            if array.dtype.kind != "f":
                same = bool((array == single).all())
                if not same:
                    msg = f"{what}: '{name}' depends on the batch"
                    raise NotEqual(msg)
            elif array.tobytes() != single.tobytes():
                self.row_independent = False
                if not np.allclose(array, single, rtol=RTOL, atol=self._floors[name], equal_nan=True):
                    msg = f"{what}: '{name}' depends on the batch"
                    raise NotEqual(msg)


def _slices(inputs: Mapping[str, Array], size: int) -> list[dict[str, Array]]:
    return [{name: array[begin : begin + size] for name, array in inputs.items()}
            for begin in range(0, rows_of(inputs), size)]  # fmt: skip


def _largest(array: Array) -> float:
    if array.dtype.kind != "f":
        return 0.0
    return float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array)))


def _by_text(times: Mapping[int, int]) -> dict[str, int]:
    return {str(size): ns for size, ns in times.items()}
