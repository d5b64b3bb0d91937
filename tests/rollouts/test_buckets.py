"""Assignment: the vectors of the design, and what a hash must do for an experiment."""

import pytest

from mlapi.rollouts.buckets import BUCKETS, Hasher, bucket, new_id, new_salt

VECTORS = [
    ("ro_01J8ZK", "user-1", 0xF0E53417EB4BC91E, 940997),
    ("ro_01J8ZK", "user-2", 0x42CD6B2E830C9B99, 260946),
    ("ro_01J8ZK", "", 0x6BE0BD96E274E9AD, 421398),
    ("ro_01J8ZK", "пользователь", 0x808146B50AFBE106, 501972),
    ("ro_01J8ZL", "user-1", 0xF045716928C10503, 938559),
    ("ro_01J8ZK", "user-1" * 50, 0x8BDB04D79AFD99E0, 546310),
]


@pytest.mark.parametrize(("salt", "key", "hashed", "found"), VECTORS)
def test_a_key_falls_into_the_bucket_of_the_published_vectors(salt: str, key: str, hashed: int, found: int) -> None:
    assert Hasher(salt).hash(key.encode()) == hashed
    assert bucket(hashed) == found


def test_the_first_and_the_last_hash_are_in_the_first_and_the_last_bucket() -> None:
    assert (bucket(0), bucket(2**64 - 1)) == (0, BUCKETS - 1)


def test_buckets_are_filled_evenly() -> None:
    """20,000 keys in ten parts: a chi-square of 9 degrees of freedom, beyond 33.7 once in 10,000 draws."""
    hasher, parts = Hasher("even"), [0] * 10
    for number in range(20_000):
        parts[bucket(hasher.hash(f"user-{number}".encode())) * 10 // BUCKETS] += 1
    assert sum((count - 2000) ** 2 / 2000 for count in parts) < 33.7


def test_two_rollouts_divide_the_same_keys_independently() -> None:
    """Of 20,000 keys two canaries of 5 % share 50 by chance, give or take 7."""
    first, second = Hasher("AAAAAAAAAAAAAAAA"), Hasher("AAAAAAAAAAAAAAAB")
    keys = [f"user-{number}".encode() for number in range(20_000)]
    both = [key for key in keys if bucket(first.hash(key)) < 50_000 and bucket(second.hash(key)) < 50_000]
    assert 20 < len(both) < 85


def test_ids_and_salts_are_new_each_time_and_fit_where_they_go() -> None:
    assert new_id() != new_id()
    assert new_salt() != new_salt()
    assert len(new_salt()) == 16
    assert new_id()[:3] == "ro_"
