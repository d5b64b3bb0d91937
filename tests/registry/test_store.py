"""Folders, versions, labels and HEAD, as they stand on disk."""

import json
import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlapi.errors import (
    InvalidName,
    LabelNotFound,
    ModelNotFound,
    RegistryError,
    RegistryGone,
    VersionInUse,
    VersionNotFound,
    VersionRefused,
)
from mlapi.registry import manifest
from mlapi.registry.manifest import FileEntry, Manifest
from mlapi.registry.store import Store

Add = Callable[..., Manifest]


def test_a_missing_folder_is_an_empty_registry_and_reading_does_not_make_it(store: Store) -> None:
    assert store.models() == ()
    assert store.versions("line") == ()
    assert store.labels("line") == {}
    assert store.head() == b""
    assert not store.root.exists()


def test_versions_count_from_one_and_know_their_parent(add: Add, store: Store) -> None:
    assert [add().version, add().version, add().version] == [1, 2, 3]
    assert store.versions("line") == (1, 2, 3)
    assert [store.manifest("line", n).parent for n in (1, 2, 3)] == [None, 1, 2]


def test_published_files_are_read_only_and_of_their_own(add: Add, store: Store) -> None:
    add()
    folder = store.folder("line", 1)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o555
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
        assert path.stat().st_nlink == 1


def test_folders_that_are_no_models_are_not_listed(add: Add, store: Store) -> None:
    add()
    for foreign in (".git", "..x", "stats", "HEAD.d x", "über", "lost+found", "a..b", ".tmp-1"):
        (store.root / foreign / "1").mkdir(parents=True)
    (store.root / "README.md").write_text("hello")
    (store.root / "empty").mkdir()
    assert store.models() == ("line",)
    assert store.folders() == ("empty", "line")


def test_folders_that_are_no_versions_are_not_listed(add: Add, store: Store) -> None:
    add()
    for foreign in ("0", "01", "-1", "1.0", "two", ".tmp-7", "rollouts", "٣", str(2**63)):
        (store.folder("line") / foreign).mkdir()
    (store.folder("line") / "2").write_text("a file")
    assert store.versions("line") == (1,)


def test_links_are_neither_models_nor_versions(add: Add, store: Store) -> None:
    add()
    (store.root / "twin").symlink_to(store.folder("line"))
    (store.folder("line") / "2").symlink_to(store.folder("line", 1))
    assert store.models() == ("line",)
    assert store.versions("line") == (1,)


def test_links_and_files_in_the_way_of_the_next_number_are_stepped_over(
    add: Add, store: Store, tmp_path: Path,
) -> None:
    add()
    (store.folder("line") / "2").symlink_to(tmp_path)
    (store.folder("line") / "3").write_text("a file")
    before = sorted(tmp_path.iterdir())
    assert add().version == 4
    assert store.versions("line") == (1, 4)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("version", [1, 2])
def test_the_number_of_a_deleted_version_is_never_given_again(add: Add, store: Store, version: int) -> None:
    add()
    add()
    store.delete("line", version)
    assert store.versions("line") == ((2,) if version == 1 else (1,))
    assert store.retired("line") == (version,)
    assert add().version == 3


def test_a_model_whose_last_version_is_deleted_is_gone_but_keeps_its_numbers(add: Add, store: Store) -> None:
    add()
    store.delete("line", 1)
    assert store.models() == ()
    with pytest.raises(ModelNotFound):
        store.require("line")
    published = add()
    assert (published.version, published.parent) == (2, None)


def test_what_is_asked_for_and_missing_is_named(add: Add, store: Store) -> None:
    add("house-prices")
    assert store.require("house-prices") == 1
    with pytest.raises(ModelNotFound, match="did you mean 'house-prices'"):
        store.require("house-price")
    with pytest.raises(VersionNotFound, match="no version '7'; the newest is 1"):
        store.require("house-prices", 7)
    with pytest.raises(InvalidName):
        store.require("../house-prices")


def test_every_change_changes_head(add: Add, store: Store) -> None:
    heads = [store.head()]
    changes: list[Callable[[], Any]] = [
        add, add, lambda: store.label("line", "stable", 1), lambda: store.label("line", "stable", 1),
        lambda: store.unlabel("line", "stable"), lambda: store.delete("line", 1), store.touch,
    ]  # fmt: skip
    for change in changes:
        change()
        heads.append(store.head())
    assert len(set(heads)) == len(changes) + 1


def test_refused_changes_leave_head_alone(add: Add, store: Store) -> None:
    add()
    before = store.head()
    for change in (
        lambda: store.unlabel("line", "canary"), lambda: store.label("line", "stable", 9),
        lambda: store.delete("line", 9), lambda: store.label("line", "1", 1),
    ):  # fmt: skip
        with pytest.raises(Exception, match=r"line|label"):
            change()
    assert store.head() == before


def test_racing_writers_leave_a_head_that_nobody_has_seen(store: Store) -> None:
    store.root.mkdir()
    store.touch()
    seen = {store.head()}
    start = threading.Barrier(8)

    def write(_: int) -> bytes:
        start.wait()
        store.touch()
        return store.head()

    with ThreadPoolExecutor(8) as pool:
        heads = set(pool.map(write, range(8)))
    assert not heads & seen
    assert store.head() in heads


def test_two_writers_that_read_the_same_head_write_different_ones(add: Add, store: Store) -> None:
    add()
    before = store.head()
    store.touch()
    first = store.head()
    (store.root / "HEAD").chmod(0o644)
    (store.root / "HEAD").write_bytes(before)
    store.touch()
    assert store.head() not in {before, first}


@pytest.mark.parametrize("damage", [b"", b"\n", b"garbage", b"-1 x", b"\xff\xfe", b"9" * 50])
def test_a_damaged_head_hinders_no_change(add: Add, store: Store, damage: bytes) -> None:
    add()
    (store.root / "HEAD").chmod(0o644)
    (store.root / "HEAD").write_bytes(damage)
    add()
    assert store.versions("line") == (1, 2)
    assert store.head() != damage


def test_racing_publishers_get_numbers_of_their_own(store: Store, add: Add) -> None:
    draft = add()
    data = b"x"

    def publish(_: int) -> int:
        files = tuple(FileEntry.of(entry.name, data) for entry in draft.files)
        fields = {key: getattr(draft, key) for key in Manifest.__slots__}
        return store.add(Manifest(**{**fields, "files": files}), [(entry.name, data) for entry in files]).version

    with ThreadPoolExecutor(4) as pool:
        numbers = sorted(pool.map(publish, range(12)))
    assert numbers == list(range(2, 14))
    assert [store.manifest("line", n).version for n in numbers] == numbers


# -- labels -------------------------------------------------------------------------------------


def test_labels_point_to_versions_and_move(add: Add, store: Store) -> None:
    add()
    add()
    store.label("line", "stable", 1)
    store.label("line", "canary", 2)
    assert store.labels("line") == {"canary": 2, "stable": 1}
    store.label("line", "stable", 2)
    store.unlabel("line", "canary")
    assert store.labels("line") == {"stable": 2}
    assert json.loads((store.folder("line") / "labels.json").read_text()) == {
        "format": 1, "serial": 4, "labels": {"stable": 2},
    }  # fmt: skip


def test_a_label_points_to_no_version_that_is_missing_or_deleted(add: Add, store: Store) -> None:
    add()
    add()
    store.delete("line", 2)
    for version in (2, 3):
        with pytest.raises(VersionNotFound):
            store.label("line", "stable", version)
    with pytest.raises(LabelNotFound, match="it has no labels"):
        store.unlabel("line", "stable")


def test_a_labelled_version_is_not_deleted(add: Add, store: Store) -> None:
    add()
    store.label("line", "stable", 1)
    store.label("line", "best", 1)
    with pytest.raises(VersionInUse, match="carries the label best, stable"):
        store.delete("line", 1)
    assert store.versions("line") == (1,)
    store.unlabel("line", "stable")
    store.unlabel("line", "best")
    store.delete("line", 1)
    assert store.versions("line") == ()


def test_labels_set_by_many_at_once_are_all_there(add: Add, store: Store) -> None:
    add()
    labels = [f"label-{i}" for i in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda label: store.label("line", label, 1), labels))
    assert set(store.labels("line")) == set(labels)


DAMAGED_LABELS = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "another format": b'{"format":2,"serial":1,"labels":{}}',
    "format true": b'{"format":true,"serial":1,"labels":{}}',
    "no labels": b'{"format":1,"serial":1}',
    "no serial": b'{"format":1,"labels":{"stable":1}}',
    "serial as text": b'{"format":1,"serial":"1","labels":{}}',
    "labels a list": b'{"format":1,"serial":1,"labels":[1]}',
    "a version as text": b'{"format":1,"serial":1,"labels":{"stable":"1"}}',
    "a version as a fraction": b'{"format":1,"serial":1,"labels":{"stable":1.9}}',
    "a version beyond doubles": b'{"format":1,"serial":1,"labels":{"stable":1e999}}',
    "a version true": b'{"format":1,"serial":1,"labels":{"stable":true}}',
    "a label that is a path": b'{"format":1,"serial":1,"labels":{"../x":1}}',
    "a key twice": b'{"format":1,"serial":1,"labels":{"a":1,"a":2}}',
    "too deep": b"[" * 50_000,
    "too large": b" " * 70_000,
    "no UTF-8": b'{"format":1,"serial":1,"labels":{"\xff":1}}',
}


@pytest.mark.parametrize("damage", DAMAGED_LABELS)
def test_damaged_labels_are_an_error_of_one_line_and_are_not_overwritten(add: Add, store: Store, damage: str) -> None:
    add()
    path = store.folder("line") / "labels.json"
    path.write_bytes(DAMAGED_LABELS[damage])
    for change in (
        lambda: store.labels("line"), lambda: store.label("line", "a", 1), lambda: store.delete("line", 1),
    ):  # fmt: skip
        with pytest.raises(RegistryError, match=r"labels\.json of model 'line' is damaged") as caught:
            change()
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == DAMAGED_LABELS[damage]
    assert store.versions("line") == (1,)


def test_labels_in_a_linked_file_are_not_followed(add: Add, store: Store, tmp_path: Path) -> None:
    add()
    outside = tmp_path / "outside.json"
    outside.write_bytes(b'{"format":1,"serial":1,"labels":{"stable":1}}')
    (store.folder("line") / "labels.json").symlink_to(outside)
    with pytest.raises(RegistryError, match="damaged"):
        store.labels("line")


# -- reading one file ---------------------------------------------------------------------------


def test_a_manifest_that_belongs_elsewhere_is_refused(add: Add, store: Store, tamper: SimpleNamespace) -> None:
    add()
    add("other")
    tamper.write("line", 1, manifest.FILE, (store.folder("other", 1) / manifest.FILE).read_bytes())
    with pytest.raises(VersionRefused, match="its manifest is that of 'other' version 1"):
        store.manifest("line", 1)


def test_a_version_without_a_manifest_is_refused(store: Store) -> None:
    store.folder("line", 1).mkdir(parents=True)
    assert store.versions("line") == (1,)
    with pytest.raises(VersionRefused, match="its manifest is missing"):
        store.manifest("line", 1)


@pytest.mark.parametrize("kind", ["symlink", "hard link", "fifo", "folder", "sparse", "empty"])
def test_a_manifest_that_is_no_plain_file_is_refused_without_reading(
    add: Add, store: Store, tamper: SimpleNamespace, tmp_path: Path, kind: str,
) -> None:
    add()
    path = tamper.write("line", 1, manifest.FILE, b"")
    real = tmp_path / "real"
    real.write_bytes(b"{}")
    if kind != "empty":
        path.unlink()
    match kind:
        case "symlink":
            path.symlink_to(real)
        case "hard link":
            path.hardlink_to(real)
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "sparse":
            with path.open("wb") as sparse:
                sparse.truncate(10 * 2**30)
    with pytest.raises(VersionRefused) as caught:
        store.manifest("line", 1)
    assert caught.value.reason.startswith(("'manifest.json'", "the manifest is"))


def test_the_fingerprint_changes_with_any_file(add: Add, store: Store, tamper: SimpleNamespace) -> None:
    add()
    prints = {store.fingerprint("line", 1)}
    for change in (
        lambda: tamper.write("line", 1, "card.md", b"x"), lambda: tamper.write("line", 1, "new", b""),
        (store.folder("line", 1) / "card.md").unlink,
    ):  # fmt: skip
        change()
        prints.add(store.fingerprint("line", 1))
    assert len(prints) == 4
    assert store.fingerprint("line", 9) == ()


def test_nothing_is_written_below_a_disk_that_is_gone(add: Callable[..., Manifest], store: Store) -> None:
    add()
    assert store.head()
    away = store.root.with_name("away")
    store.root.rename(away)
    store.root.mkdir()
    with pytest.raises(RegistryGone):
        store.head()
    with pytest.raises(RegistryGone):
        store.add(Store(away).manifest("line", 1), [])
    assert list(store.root.iterdir()) == []
