"""Who gets which version: a keyed hash of who asks, in a million buckets.

The candidate owns the buckets from 0 up to its weight. So a key keeps its version while the weight
stands, raising the weight only adds keys to the candidate, and two rollouts divide the same keys
independently, because each has a salt of its own. (A linear checksum such as CRC-32 would not do: two
salts would give identical or opposite halves.)
"""

import base64
import secrets
from hashlib import blake2b

BUCKETS = 1_000_000
DIGEST_BYTES = 8
SALT_BYTES = 10  # 16 characters of base32


class Hasher:
    """BLAKE2b of 64 bits under one salt (RFC 7693, section 2.9: keyed hashing); `salt` has at most 64 bytes."""

    def __init__(self, salt: str) -> None:
        self._base = blake2b(key=salt.encode(), digest_size=DIGEST_BYTES)

    def hash(self, key: bytes) -> int:
        """Return the hash of a key, 0 to 2^64 - 1; its bytes are taken as they are."""
        digest = self._base.copy()
        digest.update(key)
        return int.from_bytes(digest.digest(), "big")


def bucket(hashed: int) -> int:
    """Return the bucket of a 64-bit hash, 0 to 999,999, by multiplication (Lemire, doi:10.1145/3230636)."""
    return (hashed * BUCKETS) >> 64


def new_salt() -> str:
    """Return a salt that no other rollout has: 16 characters of base32."""
    return _token(SALT_BYTES)


def new_id() -> str:
    """Return the name of a new rollout, such as `ro_k7q2m4xa`."""
    return f"ro_{_token(5).lower()}"


def _token(size: int) -> str:
    return base64.b32encode(secrets.token_bytes(size)).decode()
