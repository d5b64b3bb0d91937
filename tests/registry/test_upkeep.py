"""Garbage is freed after a grace, and damage is found."""

import os
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from mlapi.errors import StorageFailed
from mlapi.registry import upkeep
from mlapi.registry.manifest import Manifest
from mlapi.registry.store import TOMBSTONE, Store
from mlapi.registry.upkeep import Finding, Freed

Add = Callable[..., Manifest]


def test_there_is_nothing_to_free_in_an_empty_registry(store: Store) -> None:
    assert upkeep.collect_garbage(store) == Freed(0, 0)
    assert not store.root.exists()


def test_a_retired_version_keeps_its_files_for_an_hour(add: Add, store: Store) -> None:
    add()
    store.delete("line", 1)
    assert upkeep.collect_garbage(store) == Freed(0, 0)
    assert (store.folder("line", 1) / "model.joblib").exists()
    tombstone = store.folder("line", 1) / TOMBSTONE
    os.utime(tombstone, (tombstone.stat().st_mtime - upkeep.GRACE_SECONDS - 1,) * 2)
    assert upkeep.collect_garbage(store).versions == 1
    assert [path.name for path in store.folder("line", 1).iterdir()] == [TOMBSTONE]


def test_without_a_grace_it_is_freed_at_once_and_counted_once(add: Add, store: Store) -> None:
    size = add().size
    add()
    store.delete("line", 1)
    freed = upkeep.collect_garbage(store, older_than=0)
    assert freed.versions == 1
    assert freed.bytes >= size
    assert upkeep.collect_garbage(store, older_than=0) == Freed(0, 0)
    assert store.versions("line") == (2,)
    assert add().version == 3


def test_versions_that_serve_lose_nothing(add: Add, store: Store) -> None:
    add()
    upkeep.collect_garbage(store, older_than=0)
    assert upkeep.refused(store, "line", 1) is None


def test_what_killed_writers_left_is_freed_by_age(add: Add, store: Store) -> None:
    add()
    for parent in (store.root, store.folder("line")):
        (parent / ".tmp-abc").mkdir()
        (parent / ".tmp-abc" / "model.joblib").write_bytes(b"12345")
    assert upkeep.collect_garbage(store) == Freed(0, 0)
    assert upkeep.collect_garbage(store, older_than=0) == Freed(0, 10)
    assert not list(store.root.rglob(".tmp-*"))


def test_links_among_the_leftovers_are_removed_and_not_followed(add: Add, store: Store) -> None:
    add()
    (store.root / ".tmp-abc").symlink_to(store.folder("line", 1))
    upkeep.collect_garbage(store, older_than=0)
    assert not (store.root / ".tmp-abc").is_symlink()
    assert upkeep.refused(store, "line", 1) is None


def test_what_cannot_be_freed_is_a_storage_error(add: Add, store: Store) -> None:
    add()
    store.folder("line", 1).chmod(0o755)
    (store.folder("line", 1) / "folder").mkdir()
    store.delete("line", 1)
    with pytest.raises(StorageFailed, match="collecting garbage failed"):
        upkeep.collect_garbage(store, older_than=0)


def test_damaged_versions_are_found_without_parsing_them(
    add: Add, store: Store, tamper: SimpleNamespace,
) -> None:
    add()
    add()
    tamper.write("line", 1, "card.md", b"x")
    assert "'card.md' has 1 bytes" in (upkeep.refused(store, "line", 1) or "")
    assert upkeep.refused(store, "line", 2) is None


def test_labels_that_are_damaged_or_point_nowhere_are_found(add: Add, store: Store) -> None:
    add("a-fine")
    store.label("a-fine", "stable", 1)
    add("b-broken")
    (store.folder("b-broken") / "labels.json").write_bytes(b"{")
    add("c-dangling")
    (store.folder("c-dangling") / "labels.json").write_bytes(b'{"format":1,"serial":1,"labels":{"stable":7}}')
    broken, dangling = upkeep.damaged_labels(store)
    assert (broken.name, broken.version) == ("b-broken", None)
    assert dangling == Finding("c-dangling", 7, "label 'stable' points to version 7, which is not there")
