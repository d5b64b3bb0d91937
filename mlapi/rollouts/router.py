"""Which version answers a request that names none: where a rollout is, what it decided; else the newest.

What is known of a rollout is used for thirty seconds after the registry was last heard of; then only the
control answers, until it is heard of again. The request itself looks at the time, so that this also holds
where a read of the registry hangs.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from mlapi.errors import ModelNotReady, VersionNotFound
from mlapi.inference.values import Assignment, Target
from mlapi.registry.live import LiveRegistry
from mlapi.registry.loading import LoadedModel
from mlapi.rollouts.caller import Caller
from mlapi.rollouts.division import PINNED, Division, Draw
from mlapi.rollouts.document import CANDIDATE, CONTROL, Rollout

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


Choose = Callable[[Caller], Ready | None]
"""Gives a caller the model that answers; those without an assignment all get the same."""


def untreated(_: Target, __: Caller) -> Treatment | None:
    """No rollout anywhere."""
    return None


def undivided(live: LiveRegistry) -> Callable[[Target], Choose]:
    """Return what chooses among the loaded models of `live` where there is no rollout anywhere."""
    return lambda target: _same(live.ready(target))


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

    def unheard(self, models: AbstractSet[str]) -> None:
        """Note that nobody has confirmed the rollouts of these models yet: only their controls answer until then."""
        self._heard = {**self._heard, **dict.fromkeys(models, -math.inf)}

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

    def ready(self, target: Target) -> Choose:
        """Return how those who ask for `target` at this moment get a model that is in memory; never a wait.

        What it returns raises InvalidRequest as `treat` does.
        """
        division = self._divisions.get(target.model)
        if division is None or target.version is not None or target.label is not None:
            return _same(self._live.ready(target))
        rollout = division.rollout
        if not rollout.is_active:
            return _same(self._live.ready(Target(target.model, rollout.default)))
        draw, is_avoided = self._draw(division), rollout.id in self._avoided
        arms = {CONTROL: self._live.ready(division.control), CANDIDATE: self._live.ready(division.candidate)}

        def choose(caller: Caller) -> Ready | None:
            assignment = draw.assigned(caller)
            if is_avoided and assignment.arm == CANDIDATE:
                assignment = _fallen_back(assignment)
            loaded = arms[assignment.served]
            return None if loaded is None else Ready(loaded, assignment)

        return choose

    def treat(self, target: Target, caller: Caller) -> Treatment | None:
        """Return what the rollout of the target's model decides; None where there is none, or a version is named.

        Raises InvalidRequest where the caller pins a variant that is none.
        """
        division = self._divisions.get(target.model)
        if division is None or not division.rollout.is_active:
            return None
        if target.version is not None or target.label is not None:
            return None
        assignment = self._draw(division).assigned(caller)
        pinned = assignment.arm == PINNED and assignment.served == CANDIDATE
        control = division.candidate if pinned else division.control
        candidate = self._candidate(division) if assignment.arm == CANDIDATE else None
        return Treatment(assignment, candidate, lambda: self._live.get(control))

    def _draw(self, division: Division) -> Draw:
        is_stale = self.is_stale(division.rollout.model)
        if is_stale:
            self._say(division.rollout)
        return Draw(division, self._clock(), closed=is_stale)

    def _say(self, rollout: Rollout) -> None:
        if rollout.model not in self._said:
            self._said = self._said | {rollout.model}
            log.error("the registry is not heard of; only the control answers",
                      extra={"model": rollout.model, "rollout": rollout.id, "seconds": STALE_SECONDS})  # fmt: skip

    def _candidate(self, division: Division) -> LoadedModel | None:
        if division.rollout.id in self._avoided:
            return None
        try:
            return self._live.get(division.candidate)
        except (ModelNotReady, VersionNotFound):
            return None


def _same(loaded: LoadedModel | None) -> Choose:
    ready = None if loaded is None else Ready(loaded, None)
    return lambda _: ready


def _fallen_back(assignment: Assignment) -> Assignment:
    return replace(assignment, served=CONTROL, fell_back=True)
