"""A version that answers through its plan; the estimator itself is loaded only when it is needed."""

import threading
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from mlapi.errors import ModelRefusedInput
from mlapi.inference.values import Array, rows_of
from mlapi.runtimes.plans.document import Proof
from mlapi.runtimes.plans.pace import SIZES, expected, measured
from mlapi.runtimes.plans.plan import PlanRunner, derived_bytes
from mlapi.runtimes.plans.step import Unproven
from mlapi.runtimes.predictor import Predictor

MUCH_FASTER = 1.25
"""Publishing may have run on another machine: the estimator is preferred only where it was faster by this."""
BETWEEN = tuple(int((low * high) ** 0.5) for low, high in pairwise(SIZES))
"""Batch sizes up to which the measured size below stands for them."""
BATCHES = (2, 3, 8, 64)
CHECK_NS = 40_000_000
"""ns that the check of single rows may take at load."""
NOT_BY_PLAN = "the model refuses these values, or they are none that it can be asked without its library"


class PlannedPredictor:
    """Answers by the plan, and by the estimator what the plan leaves to it.

    `native` loads the estimator, once, at the first need. Both answer the same bits where the choice
    between them depends on the batch size, so that a row's answer does not depend on its batch.
    """

    def __init__(self, runner: PlanRunner, proof: Proof, native: Callable[[], Predictor]) -> None:
        self.proof = proof
        self.row_independent = proof.row_independent
        self.times: dict[int, int] = {}
        self.derived_bytes = derived_bytes(runner.plan)
        self._runner = runner
        self._load = native
        self._native: Predictor | None = None
        self._lock = threading.Lock()
        self._by_native: tuple[bool, ...] = ()

    @property
    def native(self) -> Predictor:
        """The estimator, loaded now if it was not. Raises VersionRefused where it cannot be."""
        if self._native is None:
            with self._lock:
                if self._native is None:
                    self._native = self._load()
        return self._native

    @property
    def is_native_loaded(self) -> bool:
        """Whether the estimator is in memory."""
        return self._native is not None

    @property
    def model(self) -> Any:  # noqa: ANN401 (see Predictor)
        """The object that the model file holds."""
        return self.native.model

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Return each of `outputs` as `[n, k]` in its declared datatype; raises as the estimator does."""
        if self._by_native and self._by_native[bisect_left(BETWEEN, rows_of(inputs))]:
            return self.native.predict(inputs, outputs)
        try:
            return self._answers(inputs, outputs)
        except Unproven:
            return self._row_by_row(inputs, outputs)

    def by_plan(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Return what `predict` does, by the plan whatever the batch size; raises Unproven for rows it leaves alone."""
        return self._answers(inputs, outputs)

    def calibrate(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> None:
        """Measure the plan here on rows of the version, and choose by batch size; takes at most 200 ms.

        Where the estimator is not loaded its times are those of the proof.
        """
        self.times = measured(lambda rows: self._runner.timed(rows, outputs), inputs)
        native = {int(size): ns for size, ns in self.proof.native_ns.items()}
        if self._native is not None:
            native = measured(lambda rows: self.native.predict(rows, outputs), inputs)
        faster = tuple(
            self.proof.exact and size in native and size in self.times and native[size] * MUCH_FASTER < self.times[size]
            for size in SIZES
        )
        self._by_native = faster if any(faster) else ()
        self.times |= {size: native[size] for size, chosen in zip(SIZES, faster, strict=True) if chosen}
        self.row_independent = self.proof.row_independent and self._is_independent(inputs, outputs)

    @property
    def choice(self) -> dict[str, str]:
        """What answers each of the measured batch sizes, "plan" or "native"."""
        chosen = self._by_native or (False,) * len(SIZES)
        return {str(size): "native" if native else "plan" for size, native in zip(SIZES, chosen, strict=True)}

    def expected_ns(self, rows: int) -> int | None:
        """Return how long `predict` takes for so many rows here; None before `calibrate`."""
        return expected(self.times, rows)

    def _answers(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        return (self._runner.in_blocks if self.row_independent else self._runner.predict)(inputs, outputs)

    def _is_independent(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> bool:
        """Tell whether rows get the same bits alone and in batches, with the BLAS of this machine."""
        some = min(rows_of(inputs), BATCHES[-1], max(BATCHES[1], CHECK_NS // max(1, self.times.get(1, 1))))
        try:
            alone = [self._runner.predict(_rows(inputs, row, row + 1), outputs) for row in range(some)]
            for size in (size for size in BATCHES if size <= some):
                together = self._runner.predict(_rows(inputs, 0, size), outputs)
                for name, array in together.items():
                    single = np.concatenate([one[name] for one in alone[: len(array)]])
                    if array.dtype.kind == "f" and single.tobytes() != array.tobytes():
                        return False
        except Unproven:
            return False
        return True

    def _row_by_row(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Leave to the estimator those rows alone that are its own, so that the others get what they always get."""
        count = rows_of(inputs)
        if count == 1:
            return self._asked(inputs, outputs)
        parts = []
        for row in range(count):
            one = _rows(inputs, row, row + 1)
            try:
                parts.append(self._runner.predict(one, outputs))
            except Unproven:
                parts.append(self._asked(one, outputs))
        return {name: np.concatenate([part[name] for part in parts]) for name in outputs}

    def _asked(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        try:
            native = self.native
        except Exception as error:
            raise ModelRefusedInput(NOT_BY_PLAN) from error
        return native.predict(inputs, outputs)


def _rows(inputs: Mapping[str, Array], begin: int, end: int) -> dict[str, Array]:
    return {name: array[begin:end] for name, array in inputs.items()}
