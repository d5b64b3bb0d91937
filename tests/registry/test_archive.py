"""Archives: the same bytes for the same version, and nothing taken in that was not exported so."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlapi.errors import InvalidName, MlapiError, PublishRefused, StorageFailed, VersionRefused
from mlapi.registry import archive, loading, manifest, reference
from mlapi.registry.manifest import FileEntry, Manifest
from mlapi.registry.reference import Reference
from mlapi.registry.store import Store

Add = Callable[..., Manifest]
Members = dict[str, bytes]


@pytest.fixture
def exported(add: Add, store: Store, tmp_path: Path) -> Path:
    """Return the archive of a published line."""
    add(note="a note", metrics={"r2": 0.5})
    path = tmp_path / "line-1.tar"
    archive.export_version(store, "line", 1, path)
    return path


@pytest.fixture
def members(exported: Path) -> Members:
    """Return what stands in the archive."""
    with tarfile.open(exported) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Store:
    """Return another registry."""
    return Store(tmp_path / "elsewhere")


def packed(path: Path, members: dict[str, Any], **more: Any) -> Path:
    """Write members into a tar; a TarInfo stands for itself."""
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            for key, value in more.get(name, {}).items():
                setattr(entry, key, value)
            entry.size = len(data) if entry.isreg() else 0
            tar.addfile(entry, io.BytesIO(data))
    return path


def refusal(store: Store, path: Path, name: str | None = None) -> str:
    with pytest.raises((PublishRefused, VersionRefused)) as caught:
        archive.import_version(store, path, name)
    assert store.models() == ()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_version_goes_out_and_comes_back_in(exported: Path, store: Store, elsewhere: Store, matrix: Any) -> None:
    taken = archive.import_version(elsewhere, exported)
    assert (taken.name, taken.version, taken.parent) == ("line", 1, None)
    given = store.manifest("line", 1)
    assert (taken.files, taken.note, taken.metrics) == (given.files, given.note, given.metrics)
    one, other = (loading.verify(place, "line", 1).predict({"input-0": matrix}, ["predict"])["predict"]
                  for place in (store, elsewhere))  # fmt: skip
    assert np.array_equal(one, other)


def test_the_same_version_gives_the_same_bytes(exported: Path, store: Store, tmp_path: Path) -> None:
    again = tmp_path / "again.tar"
    assert archive.export_version(store, "line", 1, again) == again.stat().st_size
    assert again.read_bytes() == exported.read_bytes()


def test_an_archive_becomes_the_next_version_of_its_name_or_of_another(exported: Path, store: Store) -> None:
    assert archive.import_version(store, exported).version == 2
    assert archive.import_version(store, exported, "other").version == 1
    assert loading.verify(store, "other", 1).manifest.name == "other"
    assert loading.verify(store, "line", 2).manifest.parent == 1


@pytest.mark.parametrize("name", ["../other", "a/b", "stats", "HEAD", ".x"])
def test_another_name_passes_the_grammar_before_anything_is_parsed(
    exported: Path, elsewhere: Store, name: str,
) -> None:
    with pytest.raises(InvalidName):
        archive.import_version(elsewhere, exported, name)
    assert not elsewhere.root.exists()


def test_a_damaged_version_is_not_exported(
    add: Add, store: Store, tamper: SimpleNamespace, tmp_path: Path,
) -> None:
    add()
    tamper.write("line", 1, "card.md", b"x")
    with pytest.raises(VersionRefused):
        archive.export_version(store, "line", 1, tmp_path / "line.tar")
    assert not (tmp_path / "line.tar").exists()


def test_an_archive_that_cannot_be_written_is_a_storage_error(add: Add, store: Store, tmp_path: Path) -> None:
    add()
    with pytest.raises(StorageFailed, match=r"writing line\.tar failed: No such file or directory"):
        archive.export_version(store, "line", 1, tmp_path / "nowhere" / "line.tar")


def test_every_changed_member_is_refused(members: Members, elsewhere: Store, tmp_path: Path) -> None:
    for name in members:
        if name == manifest.FILE:
            continue
        changed = packed(tmp_path / "t.tar", {**members, name: members[name][:-1] + bytes([members[name][-1] ^ 1])})
        assert f"'{name}' is missing or not what was exported" in refusal(elsewhere, changed)
        missing = packed(tmp_path / "t.tar", {key: data for key, data in members.items() if key != name})
        assert f"'{name}' is missing" in refusal(elsewhere, missing)


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/evil", "a/../../evil", "evil.py", "manifest.json/", "./manifest.json", "labels.json",
     "..\\evil", "model.joblib\x1b[31m", "HEAD", "e\nvil"],
)  # fmt: skip
def test_members_that_no_version_has_are_refused_unwritten(
    members: Members, elsewhere: Store, tmp_path: Path, name: str,
) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    said = refusal(elsewhere, packed(tmp_path / "t.tar", {**members, name: b"x"}))
    assert "which no version has" in said
    assert said.isprintable()
    assert {path.name for path in tmp_path.iterdir()} == before | {"t.tar"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_links_devices_and_folders_are_refused(
    members: Members, elsewhere: Store, tmp_path: Path, kind: bytes,
) -> None:
    odd = {"model.joblib": {"type": kind, "linkname": "/etc/passwd"}}
    assert "which no version has" in refusal(elsewhere, packed(tmp_path / "t.tar", members, **odd))


def test_a_sparse_member_is_refused_before_it_fills_the_memory(elsewhere: Store, tmp_path: Path) -> None:
    """A few kilobytes that would read as gigabytes of zeros (GNU sparse format 1.0)."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo("model.joblib")
        entry.pax_headers = {
            "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "model.joblib",
            "GNU.sparse.realsize": str(7 * 2**30),
        }  # fmt: skip
        data = b"0\n".ljust(512, b"\0")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    path = tmp_path / "t.tar"
    path.write_bytes(sink.getvalue())
    assert "which no version has" in refusal(elsewhere, path)


def test_consistent_forgeries_meet_the_golden_rows(members: Members, elsewhere: Store, tmp_path: Path) -> None:
    described = manifest.loads(members[manifest.FILE])
    rows = reference.loads(members[reference.FILE], described.signature)
    wrong = Reference(rows.inputs, {"predict": rows.outputs["predict"] + 1})
    data = reference.dumps(wrong, described.signature)
    files = tuple(FileEntry.of(reference.FILE, data) if e.name == reference.FILE else e for e in described.files)
    fields = {key: getattr(described, key) for key in Manifest.__slots__}
    forged = manifest.dumps(Manifest(**{**fields, "files": files}))
    path = packed(tmp_path / "t.tar", {**members, reference.FILE: data, manifest.FILE: forged})
    assert "its answers are not those it was published with" in refusal(elsewhere, path)


@pytest.mark.parametrize("data", [b"", b"x" * 2000, b"\0" * 10240, b"PK\x03\x04" + b"\0" * 1000], ids=len)
def test_a_file_that_is_no_archive_is_refused(elsewhere: Store, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "t.tar"
    path.write_bytes(data)
    assert "is not an archive that mlapi exported" in refusal(elsewhere, path)


def test_a_compressed_archive_is_refused_as_bombs_are(exported: Path, elsewhere: Store, tmp_path: Path) -> None:
    path = tmp_path / "t.tar"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(exported, "model.joblib")
    assert "is not an archive that mlapi exported" in refusal(elsewhere, path)


def test_a_file_that_cannot_be_read_is_refused(elsewhere: Store, tmp_path: Path) -> None:
    assert "No such file" in refusal(elsewhere, tmp_path / "gone.tar")
    assert "Is a directory" in refusal(elsewhere, tmp_path)


def test_a_damaged_archive_is_refused_or_whole(exported: Path, elsewhere: Store, tmp_path: Path) -> None:
    """Random bytes are changed, or the end is cut off: a sentence comes of it, or a whole version."""
    whole, path = exported.read_bytes(), tmp_path / "t.tar"
    for seed in range(150):
        random = np.random.default_rng(seed)
        data = bytearray(whole)
        for place in random.integers(0, len(data), 3):
            data[place] = random.integers(0, 256)
        path.write_bytes(bytes(data[: random.integers(1, len(data))] if seed % 3 == 0 else data))
        known = elsewhere.versions("line")
        try:
            archive.import_version(elsewhere, path)
        except MlapiError:
            assert elsewhere.versions("line") == known
        else:
            assert loading.verify(elsewhere, "line", len(known) + 1)


def test_an_archive_is_a_plain_tar_of_the_files(exported: Path, members: Members, store: Store) -> None:
    assert set(members) == {"manifest.json", "model.joblib", "plan.json", "plan.bin", "reference.npz", "card.md"}
    assert members == {name: (store.folder("line", 1) / name).read_bytes() for name in members}
    with tarfile.open(exported) as tar:
        assert {(e.mode, e.mtime, e.uid, e.uname) for e in tar} == {(0o444, 0, 0, "")}
    assert os.access(exported, os.R_OK)
