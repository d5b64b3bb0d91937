"""Why somebody gets the version they get: the arithmetic of the assignment, in words."""

from dataclasses import dataclass

from mlapi.errors import InvalidRequest
from mlapi.rollouts import prediction_id
from mlapi.rollouts.buckets import BUCKETS, Hasher, bucket
from mlapi.rollouts.division import PINNED, arm_of
from mlapi.rollouts.document import CANDIDATE, Rollout
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.moments import moment


@dataclass(frozen=True, slots=True)
class Explanation:
    """Which version, and why; members are None where no rollout has a say."""

    version: int | None
    why: str
    rollout: str | None = None
    variant: str | None = None
    bucket: int | None = None
    candidate_below: int | None = None
    at: str | None = None


def of_key(rollout: Rollout | None, key: str) -> Explanation:
    """Return the version that a key gets from the rollout in force, if any; a version of None is the newest."""
    if rollout is None:
        why = "no rollout divides the requests of this model, so the newest version that is ready answers"
        return Explanation(None, why)
    if not rollout.is_active:
        why = f"the last rollout is {rollout.state}, so version {rollout.default} answers everybody"
        return Explanation(rollout.default, why, rollout.id)
    hashed = Hasher(rollout.salt).hash(key.encode())
    found, arm = bucket(hashed), arm_of(rollout, hashed)
    version = rollout.candidate if arm == CANDIDATE else rollout.control
    side = "below" if arm == CANDIDATE else "not below"
    why = (
        f"the key falls into bucket {found} of {BUCKETS}, which is {side} {rollout.ppm}: "
        f"the candidate has {rollout.ppm / BUCKETS:.2%} of them"
    )
    return Explanation(version, why, rollout.id, arm, found, rollout.ppm)


def of_prediction(generations: Generations, model: str, text: str) -> Explanation:
    """Return what answered the prediction with this id; raises InvalidRequest where no rollout of the model gave it."""
    tag = prediction_id.rollout_tag(text)
    for rollout in generations.all(model):
        secret = generations.secret(rollout)
        if prediction_id.tag_of(rollout.id) != tag or secret is None:
            continue
        said = prediction_id.read(text, rollout.id, secret)
        version = rollout.candidate if said.served == CANDIDATE else rollout.control
        drew = "its key fell" if said.unit == "key" else "it had no key and was drawn"
        why = f"{drew} into bucket {bucket(said.hashed)} of {BUCKETS} at step {said.step}"
        if said.arm == PINNED:
            why = "the caller pinned the variant"
        return Explanation(version, why, rollout.id, said.arm, bucket(said.hashed), None, moment(said.at_ms / 1000))
    raise InvalidRequest([f"the prediction id was given by no rollout of model '{model}'"])
