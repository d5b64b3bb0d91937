"""The judges notice what they are there for: without this a sweep without faults would prove nothing."""

from pathlib import Path

import pytest

from mlapi.registry.store import Store
from tests.reliability.forgery import manifest_bytes, refusal_fault
from tests.reliability.model import NAME
from tests.reliability.operations import two_versions
from tests.reliability.state import Promise, State, breaches
from tests.reliability.volume import File, losses

pytestmark = pytest.mark.reliability


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    two_versions(tmp_path / "registry")
    return tmp_path / "registry"


def test_a_whole_registry_breaks_no_promise(registry: Path) -> None:
    assert list(breaches(registry, Promise.between([State.of(registry)]))) == []


def test_a_lost_version_is_noticed(registry: Path) -> None:
    promise = Promise.between([State.of(registry)])
    Store(registry).delete(NAME, 2)
    assert list(breaches(registry, promise)) == ["lost: version 2"]


def test_a_torn_version_is_noticed(registry: Path) -> None:
    promise = Promise.between([State.of(registry)])
    artifact = registry / NAME / "2" / "model.joblib"
    artifact.chmod(0o644)
    artifact.write_bytes(artifact.read_bytes()[:-1])
    assert [fault.split(":")[0] for fault in breaches(registry, promise)] == ["torn"]


def test_an_unacknowledged_state_is_allowed_and_a_third_is_not(registry: Path) -> None:
    before = State.of(registry)
    after = State(before.live, (("stable", 2),), before.taken)
    assert list(breaches(registry, Promise.between([before, after]))) == []
    Store(registry).label(NAME, "other", 1)
    assert [fault.split(":")[0] for fault in breaches(registry, Promise.between([before, after]))] == ["lost"]


def test_damaged_labels_are_noticed(registry: Path) -> None:
    promise = Promise.between([State.of(registry)])
    labels = registry / NAME / "labels.json"
    labels.unlink()
    labels.write_bytes(b"{")
    assert [fault.split(":")[0] for fault in breaches(registry, promise)] == ["unreadable"]


def test_a_genuine_manifest_is_accepted(tmp_path: Path) -> None:
    assert refusal_fault(manifest_bytes(tmp_path)) == "accepted"


def test_content_that_was_not_synced_may_be_missing_half_or_whole() -> None:
    assert File(b"", b"ab").outcomes() == [b"", b"a", b"ab"]


def test_nothing_is_lost_where_nothing_was_done() -> None:
    assert list(losses({"a": b"1"}, [], "strict")) == [{"a": b"1"}]
    assert list(losses({"a": b"1"}, [], "ordered")) == [{"a": b"1"}]
