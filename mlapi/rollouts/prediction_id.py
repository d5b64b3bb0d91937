"""Prediction ids: signed, and saying themselves what they are of, so that nothing needs to be looked up.

47 characters: base64url of the time (6 bytes, milliseconds since the epoch), the rollout (4), the step
(1), the arm (1), flags (1), the hash of the key (8) and a random part (6), all big-endian, then 8 bytes
of BLAKE2s keyed with the rollout's secret (RFC 7693). They sort by time.
"""

import base64
import binascii
import hmac
import random
import struct
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, blake2s

from mlapi.errors import InvalidRequest

SECRET_BYTES = 32
LENGTH = 47
_SIGNED, _TAG, _RANDOM = 27, 8, 6
_WHEN, _WHO = struct.Struct(">HI4sB"), struct.Struct(">BBQHI")
_ARMS = ("control", "candidate", "pinned")
_NUMBERS = {name: number for number, name in enumerate(_ARMS)}
_BY_KEY, _CANDIDATE_SERVED = 1, 2
LAST_STEP = 255


@dataclass(slots=True)
class Prediction:
    """What an id says: when (milliseconds since the epoch), in which rollout and step, for whom, by which arm.

    It is never changed once it is made (see `mlapi.inference.values`).
    """

    at_ms: int
    rollout: bytes
    step: int
    arm: str
    served: str
    unit: str
    hashed: int


def tag_of(rollout_id: str) -> bytes:
    """Return the four bytes that stand for a rollout in its ids."""
    return blake2b(rollout_id.encode(), digest_size=4).digest()


class Signer:
    """Signs the ids of predictions that are made in one millisecond and step of a rollout; `tag` stands for it."""

    __slots__ = ("_begun", "_keyed")

    def __init__(self, at_ms: int, tag: bytes, step: int, secret: bytes) -> None:
        self._begun = _WHEN.pack(at_ms >> 32, at_ms & 0xFFFFFFFF, tag, min(step, LAST_STEP))
        self._keyed = _keyed(secret)

    def sign(self, arm: str, served: str, unit: str, hashed: int) -> str:
        """Return the id of a prediction."""
        flags = _BY_KEY * (unit == "key") | _CANDIDATE_SERVED * (served == "candidate")
        drawn = random.getrandbits(8 * _RANDOM)
        signed = self._begun + _WHO.pack(_NUMBERS[arm], flags, hashed, drawn >> 32, drawn & 0xFFFFFFFF)
        digest = self._keyed.copy()
        digest.update(signed)
        return base64.urlsafe_b64encode(signed + digest.digest())[:LENGTH].decode()


def sign(prediction: Prediction, secret: bytes) -> str:
    """Return the id of a prediction."""
    signer = Signer(prediction.at_ms, prediction.rollout, prediction.step, secret)
    return signer.sign(prediction.arm, prediction.served, prediction.unit, prediction.hashed)


def read(text: str, rollout_id: str, secret: bytes) -> Prediction:
    """Return what an id of this rollout says.

    Raises InvalidRequest for text that is no id, an id of another rollout, and one that was not signed here.
    """
    data = _decoded(text)
    signed, tag = data[:_SIGNED], data[_SIGNED:]
    if signed[6:10] != tag_of(rollout_id):
        raise InvalidRequest(["the prediction id belongs to another rollout"])
    if not hmac.compare_digest(tag, _tag(signed, secret)):
        raise InvalidRequest(["the prediction id was not given by this registry: its signature is wrong"])
    arm, flags = signed[11], signed[12]
    return Prediction(
        int.from_bytes(signed[:6], "big"), signed[6:10], signed[10], _ARMS[arm],
        "candidate" if flags & _CANDIDATE_SERVED else "control", "key" if flags & _BY_KEY else "request",
        int.from_bytes(signed[13:21], "big"),
    )  # fmt: skip


def rollout_tag(text: str) -> bytes:
    """Return the four bytes of the rollout that an id names, not yet verified; InvalidRequest where it is none."""
    return _decoded(text)[6:10]


def _decoded(text: str) -> bytes:
    try:
        data = base64.b64decode(text.encode("ascii") + b"=", altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        data = b""
    respelled = base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text  # the last character has bits to spare
    if len(text) != LENGTH or len(data) != _SIGNED + _TAG or respelled:
        raise InvalidRequest([f"the prediction id is none; expected {LENGTH} characters as the server gave them"])
    return data


def _tag(signed: bytes, secret: bytes) -> bytes:
    digest = _keyed(secret).copy()
    digest.update(signed)
    return digest.digest()


@lru_cache(64)
def _keyed(secret: bytes) -> "blake2s":
    return blake2s(key=secret, digest_size=_TAG)
