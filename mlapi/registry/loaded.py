"""A version in memory, which answers."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial

from mlapi.errors import InvalidRequest, MlapiError, VersionRefused
from mlapi.inference import answer
from mlapi.inference.faults import quoted
from mlapi.inference.values import Array, Assignment, InferenceResponse, rows_of
from mlapi.registry import reference
from mlapi.registry.manifest import Manifest
from mlapi.registry.reference import Reference
from mlapi.runtimes.plans.pace import expected
from mlapi.runtimes.plans.predictor import PlannedPredictor
from mlapi.runtimes.plans.step import Unproven
from mlapi.runtimes.predictor import Predictor

MOST_SIZES = 1024
"""Batch sizes whose expected time is remembered."""


class LoadedModel:
    """A version in memory: its manifest, what answers for it, and its golden rows."""

    def __init__(self, manifest: Manifest, answering: Predictor, rows: Reference) -> None:
        self.manifest = manifest
        self.reference = rows
        self.signature = manifest.signature
        self.row_independent = False
        self._answering = answering
        self._planned = answering if isinstance(answering, PlannedPredictor) else None
        self._pace: Callable[[int], int | None] = partial(expected, {})
        self._datatypes = {spec.name: spec.datatype for spec in manifest.signature.outputs}

    @property
    def predictor(self) -> Predictor:
        """The estimator itself; behind a plan it is loaded at the first need, VersionRefused where that fails."""
        return self._answering if self._planned is None else self._planned.native

    @property
    def planned(self) -> PlannedPredictor | None:
        """What answers by the plan; None where there is none."""
        return self._planned

    def outputs(self, wanted: Sequence[str] | None) -> tuple[str, ...]:
        """Return the outputs to compute: those named, the first for (), all for None.

        Raises InvalidRequest for a name that is no output of this version.
        """
        names = self.signature.output_names
        if wanted is None:
            return names
        unknown = [name for name in wanted if name not in names]
        if unknown:
            known = ", ".join(names)
            raise InvalidRequest([f"output {quoted(name)} is unknown; the outputs are {known}" for name in unknown])
        return tuple(wanted) or names[:1]

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Return the named outputs, `[n, k]` as the signature has them, for inputs of `n` rows that conform to it.

        Raises what the predictor raises, and InvalidAnswer where the model answers what the signature does not allow.
        """
        return self._checked(self._answering.predict(inputs, outputs), outputs, rows_of(inputs))

    def predict_by_plan(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Return what `predict` does, by the plan alone: no code of a user's runs, and nothing is loaded.

        Raises Unproven also for rows that the plan leaves to the estimator, and where there is no plan.
        """
        if self._planned is None:
            raise Unproven
        return self._checked(self._planned.by_plan(inputs, outputs), outputs, rows_of(inputs))

    def response(
        self, outputs: Mapping[str, Array], request_id: str | None, assignment: Assignment | None = None,
    ) -> InferenceResponse:
        """Return the answer of this version that holds `outputs`, given in a rollout where there is an assignment."""
        made = self.manifest
        return InferenceResponse(
            made.name, made.version, outputs, self._datatypes, request_id, made.classes, assignment,
        )

    def _checked(self, answers: dict[str, Array], outputs: Sequence[str], rows: int) -> dict[str, Array]:
        answer.check(answers, outputs, self.signature, rows)
        return answers

    def expected_ns(self, rows: int) -> int | None:
        """Return how many ns `predict` takes for so many rows, as measured here; None before `prove`."""
        return self._pace(rows)

    def prove(self) -> None:
        """Answer the golden rows and compare; this is also the warm-up, and measures. Raises VersionRefused.

        What answers is calibrated here: a plan by batch size, in less than 200 ms.
        """
        begin = time.perf_counter_ns()
        try:
            answers = self._answering.predict(self.reference.inputs, self.signature.output_names)
        except MlapiError as error:
            raise self._refused(f"it fails on its own reference rows: {error}") from error
        took = {rows_of(self.reference.inputs): time.perf_counter_ns() - begin}
        wrong = reference.differences(answers, self.reference.outputs)
        if wrong:
            raise self._refused(f"its answers are not those it was published with: {'; '.join(wrong)}")
        first = self.signature.output_names[:1]
        if self._planned is None:
            times = self._timed(first, took)
        else:
            self._planned.calibrate(self.reference.inputs, first)
            times = self._planned.times
            self.row_independent = self._planned.row_independent
        self._pace = lru_cache(MOST_SIZES)(partial(expected, times))  # several times for every request

    def _timed(self, outputs: Sequence[str], took: Mapping[int, int]) -> dict[int, int]:
        """Return ns by batch size, of one more call: what an estimator costs may be anything."""
        one = reference.head(self.reference.inputs, 1)
        begin = time.perf_counter_ns()
        self._answering.predict(one, outputs)
        return {**took, 1: time.perf_counter_ns() - begin}

    def _refused(self, reason: str) -> VersionRefused:
        return VersionRefused(self.manifest.name, self.manifest.version, reason)
