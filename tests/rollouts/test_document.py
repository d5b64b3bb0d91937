"""The rollout document: what is written is read, and nothing else."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mlapi.errors import RegistryError
from mlapi.registry import manifest
from mlapi.rollouts import document, transitions
from mlapi.rollouts.document import Rollout
from mlapi.rollouts.transitions import Reason

Running = Callable[..., Rollout]


def test_what_is_written_is_read(running: Running, why: Reason) -> None:
    for rollout in (running(), transitions.abort(running(5), why), transitions.hold("iris", 3, 1, why)):
        assert document.loads(document.dumps(rollout)) == rollout


@pytest.mark.parametrize(("ppm", "ranges"), [
    (0, [[0, 1_000_000, "control"]]),
    (50_000, [[0, 50_000, "candidate"], [50_000, 1_000_000, "control"]]),
    (1_000_000, [[0, 1_000_000, "candidate"]]),
])  # fmt: skip
def test_the_ranges_cover_every_bucket_once(running: Running, ppm: int, ranges: list[list[Any]]) -> None:
    assert replace(running(), ppm=ppm).ranges == ranges


def test_one_flipped_byte_is_seen(running: Running) -> None:
    data = bytearray(document.dumps(running()))
    data[data.index(b"iris")] ^= 1
    with pytest.raises(RegistryError, match="damaged: its digest differs"):
        document.loads(bytes(data))


def resealed(rollout: Rollout, **changes: Any) -> bytes:
    plain = {**json.loads(document.dumps(rollout)), **changes}
    plain.pop(manifest.DIGEST)
    return manifest.sealed(plain)


@pytest.mark.parametrize(("changes", "reason"), [
    ({"ranges": [[0, 60_000, "candidate"], [10_000, 1_000_000, "control"]]}, "overlap"),
    ({"ranges": [[0, 5_000, "candidate"], [10_000, 1_000_000, "control"]]}, "leave a gap"),
    ({"format": 2}, "format is not 1"),
    ({"state": "elsewhere"}, "state"),
    ({"ppm": -1}, "ppm"),
    ({"ppm": True}, "ppm"),
    ({"srm_alpha": "0.1"}, "srm_alpha"),
    ({"more": 1}, "more"),
])  # fmt: skip
def test_a_document_that_makes_no_sense_is_refused(running: Running, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RegistryError, match=reason):
        document.loads(resealed(running(), **changes))


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b'{"format": 1}'])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(RegistryError):
        document.loads(data)
