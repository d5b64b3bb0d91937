"""What a process measures of its rollouts, for those who watch many servers; nothing here reads the registry's disk."""

from collections.abc import Mapping

from mlapi.registry.worker_files import Rows, Section
from mlapi.rollouts.controller import Controller
from mlapi.rollouts.counters import Counters
from mlapi.rollouts.document import Rollout
from mlapi.rollouts.follower import RolloutFollower
from mlapi.rollouts.router import Router

BY_ARM, STALE, HEARD = "rollouts", "rollouts: stale", "rollouts: heard"
EVIDENCE, EFFECT = "rollouts: evidence", "rollouts: effect"
SECTIONS = {
    BY_ARM: Section(), STALE: Section(lasting=False), HEARD: Section(min, lasting=False),
    EVIDENCE: Section(max, lasting=False), EFFECT: Section(max, lasting=False),
}  # fmt: skip
"""By rollout and arm what `Counters.sums` tells; by rollout 1 where only its control answers, since the registry is not
heard of; when that was last read, on the monotonic clock; by rollout and name what its controller saw last."""


class Measured:
    """Gathers it from those who know."""

    def __init__(
        self, router: Router, counters: Counters, controller: Controller, follower: RolloutFollower,
    ) -> None:
        self._router, self._counters, self._controller, self._follower = router, counters, controller, follower

    def begin(self) -> None:
        """Do nothing: those who count begin anew by themselves."""

    @property
    def changes(self) -> int:
        """How often something was counted."""
        return sum(self._counters.changes(rollout.id) for rollout in self._rollouts())

    def sections(self) -> Mapping[str, Rows]:
        """Return what is known now; see SECTIONS."""
        heard, looks, rollouts = self._follower.heard, list(self._controller.looks.items()), self._rollouts()
        return {
            BY_ARM: [((one.id, arm), sums) for one in rollouts for arm, sums in self._counters.sums(one.id).items()],
            STALE: [((one.id,), [int(self._router.is_stale(one.model))]) for one in rollouts if one.is_active],
            HEARD: [] if heard is None else [((), [heard])],
            EVIDENCE: [((one, name), [value]) for one, look in looks for name, value in look.evidence.items()],
            EFFECT: [((one, name), [value]) for one, look in looks for name, value in look.effect.items()],
        }

    def _rollouts(self) -> list[Rollout]:
        return [division.rollout for division in self._router.divisions.values()]
