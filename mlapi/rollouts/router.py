"""Which version answers a request that names none: where a rollout is, what it decided; else the newest.

What is known of a rollout is used for thirty seconds after the registry was last heard of; then only the
control answers, until it is heard of again. The request itself looks at the time, so that this also holds
where a read of the registry hangs.
"""

import logging
import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from mlapi.errors import InvalidRequest, ModelNotReady, VersionNotFound
from mlapi.inference.faults import quoted
from mlapi.inference.values import Assignment, Target
from mlapi.registry.live import LiveRegistry
from mlapi.registry.loading import LoadedModel
from mlapi.rollouts import prediction_id
from mlapi.rollouts.buckets import Hasher, bucket
from mlapi.rollouts.caller import Caller
from mlapi.rollouts.document import CANDIDATE, CONTROL, Rollout
from mlapi.rollouts.prediction_id import Prediction

PIN = "header:X-Mlapi-Variant"
PINNED, KEY, REQUEST = "pinned", "key", "request"
MILLISECOND = 1_000_000
STALE_SECONDS = 30.0

log = logging.getLogger("mlapi.rollouts")


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a rollout decided for one request; `candidate` is None where the control answers, or has to."""

    assignment: Assignment
    candidate: LoadedModel | None
    control: Callable[[], LoadedModel]

    def assigned(self) -> Assignment:
        """Return the assignment after the control has answered."""
        return _fallen_back(self.assignment) if self.assignment.arm == CANDIDATE else self.assignment


class Ready(NamedTuple):
    """A loaded model that can answer at once, and what a rollout decided, where one did."""

    loaded: LoadedModel
    assignment: Assignment | None


@dataclass(frozen=True, slots=True)
class Division:
    """A rollout made ready for requests: its hash, and the secret that signs its prediction ids."""

    rollout: Rollout
    hasher: Hasher
    tag: bytes
    secret: bytes | None

    @classmethod
    def of(cls, rollout: Rollout, secret: bytes | None) -> "Division":
        """Return the division that `rollout` stands for; without a secret no prediction ids are given."""
        return cls(rollout, Hasher(rollout.salt), prediction_id.tag_of(rollout.id), secret)


def untreated(_: Target, __: Caller) -> Treatment | None:
    """No rollout anywhere."""
    return None


def undivided(live: LiveRegistry) -> Callable[[Target, Caller], Ready | None]:
    """Return what gives the loaded models of `live` where there is no rollout anywhere."""
    return lambda target, _: _at_once(live.ready(target))


class Router:
    """Routes requests and draws the arms."""

    def __init__(
        self, live: LiveRegistry, clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._live, self._clock, self._monotonic = live, clock, monotonic
        self._heard: Mapping[str, float] = MappingProxyType({})
        self._said: AbstractSet[str] = frozenset()
        self._divisions: Mapping[str, Division] = MappingProxyType({})
        self._avoided: AbstractSet[str] = frozenset()

    @property
    def divisions(self) -> Mapping[str, Division]:
        """The rollouts in force in this process, by model."""
        return self._divisions

    def follow(self, divisions: Mapping[str, Division]) -> None:
        """Route by `divisions` from now on; one reference is swapped."""
        self._divisions = dict(divisions)
        for division in divisions.values():
            self._expect(division.rollout)

    def _expect(self, rollout: Rollout) -> None:
        """Have both versions in memory before they are asked for, and as long as they may be."""
        for version in (rollout.control, rollout.candidate) if rollout.is_active else ():
            self._live.expect(rollout.model, version)

    def known(self, rollout_id: str) -> Rollout | None:
        """Return a rollout as this process last heard of it, or None."""
        return next((one.rollout for one in self._divisions.values() if one.rollout.id == rollout_id), None)

    def heard(self, models: AbstractSet[str]) -> None:
        """Note that the registry confirmed the rollouts of these models just now."""
        now = self._monotonic()
        self._heard = {**self._heard, **dict.fromkeys(models, now)}
        self._said = self._said - models

    def is_stale(self, model: str) -> bool:
        """Tell whether the rollout of a model was not confirmed for thirty seconds: then only its control answers."""
        heard = self._heard.get(model)
        return heard is not None and self._monotonic() - heard > STALE_SECONDS

    def avoid(self, rollout_id: str) -> None:
        """Ask the candidate of this rollout no more in this process; the control answers in its place."""
        self._avoided = self._avoided | {rollout_id}

    def route(self, target: Target) -> LoadedModel:
        """Return the loaded model for a target that no rollout divides; raises as `LiveRegistry.get` does.

        Requests without a version get the one that the model's last rollout left, as long as it exists.
        """
        division = self._divisions.get(target.model)
        if division is None or target.version is not None or target.label is not None:
            return self._live.get(target)
        try:
            return self._live.get(Target(target.model, division.rollout.default))
        except VersionNotFound:  # it was deleted since
            return self._live.get(target)

    def ready(self, target: Target, caller: Caller) -> Ready | None:
        """Return the model that answers `caller` if it is in memory, else None; never a wait.

        Raises InvalidRequest as `treat` does.
        """
        division = self._divisions.get(target.model)
        if division is None or target.version is not None or target.label is not None:
            return _at_once(self._live.ready(target))
        rollout = division.rollout
        if not rollout.is_active:
            return _at_once(self._live.ready(Target(target.model, rollout.default)))
        assignment = self._assigned(division, caller)
        version = rollout.control
        if assignment.served == CANDIDATE:
            if assignment.arm == CANDIDATE and rollout.id in self._avoided:
                assignment = _fallen_back(assignment)
            else:
                version = rollout.candidate
        return _at_once(self._live.ready(Target(target.model, version)), assignment)

    def treat(self, target: Target, caller: Caller) -> Treatment | None:
        """Return what the rollout of the target's model decides; None where there is none, or a version is named.

        Raises InvalidRequest where the caller pins a variant that is none.
        """
        division = self._divisions.get(target.model)
        if division is None or not division.rollout.is_active:
            return None
        if target.version is not None or target.label is not None:
            return None
        assignment, rollout = self._assigned(division, caller), division.rollout
        pinned = assignment.arm == PINNED and assignment.served == CANDIDATE
        control = Target(target.model, rollout.candidate if pinned else rollout.control)
        candidate = self._candidate(rollout) if assignment.arm == CANDIDATE else None
        return Treatment(assignment, candidate, lambda: self._live.get(control))

    def _assigned(self, division: Division, caller: Caller) -> Assignment:
        pinned = caller.told(PIN)
        unit, hashed = _unit(division, caller)
        if pinned:
            served = pinned.decode("latin-1")
            if served not in {CONTROL, CANDIDATE}:
                raise InvalidRequest([f"X-Mlapi-Variant is {quoted(served)}; expected {CONTROL} or {CANDIDATE}"])
            return self._assignment(division, PINNED, served, unit, hashed)
        if self.is_stale(division.rollout.model):
            division = self._closed(division)
        arm = arm_of(division.rollout, hashed)
        return self._assignment(division, arm, arm, unit, hashed)

    def _closed(self, division: Division) -> Division:
        rollout = division.rollout
        if rollout.model not in self._said:
            self._said = self._said | {rollout.model}
            log.error("the registry is not heard of; only the control answers",
                      extra={"model": rollout.model, "rollout": rollout.id, "seconds": STALE_SECONDS})  # fmt: skip
        return replace(division, rollout=replace(rollout, ppm=0))

    def _candidate(self, rollout: Rollout) -> LoadedModel | None:
        if rollout.id in self._avoided:
            return None
        try:
            return self._live.get(Target(rollout.model, rollout.candidate))
        except (ModelNotReady, VersionNotFound):
            return None

    def _assignment(self, division: Division, arm: str, served: str, unit: str, hashed: int) -> Assignment:
        rollout, signed = division.rollout, None
        if division.secret is not None:
            now_ms = max(0, self._clock() // MILLISECOND)
            said = Prediction(now_ms, division.tag, rollout.step, arm, served, unit, hashed)
            signed = prediction_id.sign(said, division.secret)
        return Assignment(
            rollout.id, rollout.generation, rollout.step, rollout.ppm, arm, served, unit, hashed, signed,
        )


def arm_of(rollout: Rollout, hashed: int) -> str:
    """Return the arm that owns the bucket of a hash."""
    return CANDIDATE if bucket(hashed) < rollout.ppm else CONTROL


def _unit(division: Division, caller: Caller) -> tuple[str, int]:
    for source in division.rollout.keys:
        if key := caller.told(source):
            return KEY, division.hasher.hash(key)
    return REQUEST, caller.draw()


def _at_once(loaded: LoadedModel | None, assignment: Assignment | None = None) -> Ready | None:
    return None if loaded is None else Ready(loaded, assignment)


def _fallen_back(assignment: Assignment) -> Assignment:
    return replace(assignment, served=CONTROL, fell_back=True)
