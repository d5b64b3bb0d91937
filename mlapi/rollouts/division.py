"""How a rollout divides those who ask: by the bucket of a key, by a number drawn, or as the caller pinned it."""

from dataclasses import dataclass, replace

from mlapi.errors import InvalidRequest
from mlapi.inference.faults import quoted
from mlapi.inference.values import Assignment, Target
from mlapi.rollouts import prediction_id
from mlapi.rollouts.buckets import Hasher, bucket
from mlapi.rollouts.caller import Caller
from mlapi.rollouts.document import CANDIDATE, CONTROL, Rollout
from mlapi.rollouts.prediction_id import Signer

PIN = "header:X-Mlapi-Variant"
PINNED, KEY, REQUEST = "pinned", "key", "request"
MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Division:
    """A rollout made ready for requests: its hash, the secret that signs its prediction ids, and who serves an arm."""

    rollout: Rollout
    hasher: Hasher
    tag: bytes
    secret: bytes | None
    control: Target
    candidate: Target

    @classmethod
    def of(cls, rollout: Rollout, secret: bytes | None) -> "Division":
        """Return the division that `rollout` stands for; without a secret no prediction ids are given."""
        control, candidate = (Target(rollout.model, version) for version in (rollout.control, rollout.candidate))
        return cls(rollout, Hasher(rollout.salt), prediction_id.tag_of(rollout.id), secret, control, candidate)


class Draw:
    """A division at one moment (nanoseconds since the epoch), for all who ask at that moment.

    With `closed` only the control is drawn; a caller may pin the candidate even then.
    """

    __slots__ = ("_division", "_rollout", "_signer")

    def __init__(self, division: Division, at_ns: int, *, closed: bool = False) -> None:
        rollout, secret = division.rollout, division.secret
        self._division, self._signer = division, None
        self._rollout = replace(rollout, ppm=0) if closed else rollout
        if secret is not None:
            self._signer = Signer(max(0, at_ns // MILLISECOND), division.tag, rollout.step, secret)

    def assigned(self, caller: Caller) -> Assignment:
        """Return what is decided for a caller; raises InvalidRequest where it pins a variant that is none."""
        pinned = caller.told(PIN)
        unit, hashed = self._unit(caller)
        if pinned:
            served = pinned.decode("latin-1")
            if served not in {CONTROL, CANDIDATE}:
                raise InvalidRequest([f"X-Mlapi-Variant is {quoted(served)}; expected {CONTROL} or {CANDIDATE}"])
            return self._assignment(PINNED, served, unit, hashed)
        arm = arm_of(self._rollout, hashed)
        return self._assignment(arm, arm, unit, hashed)

    def _unit(self, caller: Caller) -> tuple[str, int]:
        for source in self._rollout.keys:
            if key := caller.told(source):
                return KEY, self._division.hasher.hash(key)
        return REQUEST, caller.draw()

    def _assignment(self, arm: str, served: str, unit: str, hashed: int) -> Assignment:
        rollout, signer = self._rollout, self._signer
        signed = None if signer is None else signer.sign(arm, served, unit, hashed)
        return Assignment(
            rollout.id, rollout.generation, rollout.step, rollout.ppm, arm, served, unit, hashed, signed,
        )


def arm_of(rollout: Rollout, hashed: int) -> str:
    """Return the arm that owns the bucket of a hash."""
    return CANDIDATE if bucket(hashed) < rollout.ppm else CONTROL
