"""What an operator may do with rollouts: the same for the REST API and the command line."""

import secrets
import time
from collections.abc import Callable

from mlapi.errors import InvalidRequest, RolloutConflict, RolloutNotFound
from mlapi.inference.faults import quoted
from mlapi.registry.manifest import Manifest
from mlapi.rollouts import transitions
from mlapi.rollouts.document import Rollout
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.judgement import PROBABILITIES
from mlapi.rollouts.moments import moment
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.prediction_id import SECRET_BYTES
from mlapi.rollouts.transitions import Reason

Check = Callable[[str, int], None]
"""Raises where a version of a model cannot answer."""

VERBS = {
    "pause": transitions.pause, "resume": transitions.resume, "promote": transitions.promote,
    "abort": transitions.abort, "release": transitions.release,
}  # fmt: skip


class Desk:
    """Starts and changes rollouts; `check` makes sure that a version answers, `clock` gives seconds since the epoch."""

    def __init__(self, generations: Generations, check: Check, clock: Callable[[], float] = time.time) -> None:
        self.generations, self._check, self._clock = generations, check, clock

    def start(self, model: str, candidate: int, control: int | None, plan: Plan, reason: tuple[str, str]) -> Rollout:
        """Start moving traffic from `control` to `candidate`; `reason` is who and why.

        Without a control it is the version that answers now, or the one before the candidate. Raises
        ModelNotFound, VersionNotFound, what `check` raises, InvalidRequest for the plan, RolloutConflict.
        """
        store = self.generations.store
        store.require(model, candidate)
        control = self._control(model, candidate) if control is None else store.require(model, control)
        for version in (control, candidate):
            self._check(model, version)
            self._require_measurable(plan, store.manifest(model, version))
        why = self._reason(*reason)
        return self.generations.begin(
            model, lambda serial: transitions.start(model, serial, (control, candidate), plan, why),
            secrets.token_bytes(SECRET_BYTES),
        )

    def hold(self, model: str, version: int | None, reason: tuple[str, str]) -> Rollout:
        """Let requests without a version stay with `version`, by default the newest, whatever is published."""
        version = self.generations.store.require(model, version)
        self._check(model, version)
        why = self._reason(*reason)
        return self.generations.begin(
            model, lambda serial: transitions.hold(model, serial, version, why), secrets.token_bytes(SECRET_BYTES),
        )

    def change(self, rollout: Rollout, verb: str, reason: tuple[str, str]) -> Rollout:
        """Pause, resume, promote, abort or release a rollout; raises RolloutConflict where its state forbids it."""
        if verb == "promote":
            self._check(rollout.model, rollout.candidate)
        why = self._reason(*reason)
        return self.generations.change(rollout, lambda now: VERBS[verb](now, why))

    def of_model(self, model: str) -> Rollout:
        """Return the last rollout of a model; raises ModelNotFound, RolloutNotFound."""
        self.generations.store.require(model)
        known = self.generations.all(model)
        if not known:
            msg = f"model '{model}' never had a rollout; start one: mlapi rollout start {model} VERSION"
            raise RolloutNotFound(msg)
        return known[-1]

    def all(self) -> list[Rollout]:
        """Return every rollout of every model, by model, oldest first."""
        return [rollout for model in self.generations.store.folders() for rollout in self.generations.all(model)]

    def _require_measurable(self, plan: Plan, manifest: Manifest) -> None:
        """Raise InvalidRequest where what the plan wants to know cannot be known of a version."""
        faults, kind = [], None if plan.metric is None else plan.metric.kind
        if kind in {"accuracy", "log_loss"} and manifest.classes is None:
            faults.append(f"metric: version {manifest.version} has no classes, of which {kind} is; try squared_error")
        elif kind == "log_loss" and PROBABILITIES not in manifest.signature.output_names:
            faults.append(f"metric: version {manifest.version} tells no probabilities, which log_loss is made of")
        known = manifest.signature.input_names
        segments = () if plan.shadow is None else plan.shadow.segments
        faults += [f"segments: version {manifest.version} has no column {quoted(name)}; it has {', '.join(known)}"
                   for name in segments if name not in known]  # fmt: skip
        if faults:
            raise InvalidRequest(faults)

    def _control(self, model: str, candidate: int) -> int:
        held = self.generations.current(model)
        if held is not None and held.default != candidate:
            return held.default
        before = [version for version in self.generations.store.versions(model) if version < candidate]
        if not before:
            msg = f"version {candidate} of model '{model}' has no version before it to be compared with; name a control"
            raise RolloutConflict(msg)
        return before[-1]

    def _reason(self, by: str, why: str) -> Reason:
        return Reason(by, why, moment(self._clock()))
