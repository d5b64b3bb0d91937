"""Manifests: canonical bytes, a strict schema, and files of old formats that must load for ever."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlapi.inference.signature import Signature, TensorSpec
from mlapi.registry import loading, manifest
from mlapi.registry.manifest import FileEntry, Manifest, ManifestError
from mlapi.registry.store import Store

DATA = Path(__file__).parent / "data"
DIGEST = "0" * 64
FILES = (FileEntry("model.joblib", 10, DIGEST), FileEntry("reference.npz", 20, DIGEST))
SIGNATURE = Signature(
    "columns",
    (TensorSpec("größe", "FP64", (-1, 1), nullable=True, minimum=0.1, maximum=1e300),
     TensorSpec("city", "BYTES", (-1, 1), categories=("a", "ß"), unseen="refuse")),
    (TensorSpec("predict", "INT64", (-1, 1)),),
)  # fmt: skip
WHOLE = Manifest(
    name="churn", version=3, runtime="joblib", feed="frame", files=FILES, signature=SIGNATURE,
    classes=("no", "yes"), estimator="Ridge", libraries={"python": "3.11"}, memory_bytes=5,
    published_at="2026-11-24T00:00:00Z", publisher="me", parent=2, code_revision="abc",
    metrics={"f1": 0.1 + 0.2}, parameters={"alpha": 1.0, "deep": None}, training={"rows": 3},
    data={"source": "x"}, note="two\nlines", intended_use="use", limits=("none",),
)  # fmt: skip


def members(**changes: Any) -> bytes:
    """Return the sealed manifest with members put in another way; `...` leaves one out."""
    document = json.loads(manifest.dumps(WHOLE)) | changes
    document.pop(manifest.DIGEST)
    return manifest.sealed({key: value for key, value in document.items() if value is not ...})


def tensor(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(manifest.dumps(WHOLE))["signature"]
    document["inputs"][0] |= changes
    return document


def file(**changes: Any) -> list[dict[str, Any]]:
    document: list[dict[str, Any]] = json.loads(manifest.dumps(WHOLE))["files"]
    document[0] |= changes
    return document


def test_a_manifest_comes_back_as_it_was_written() -> None:
    assert manifest.loads(manifest.dumps(WHOLE)) == WHOLE


def test_the_bytes_are_canonical() -> None:
    data = manifest.dumps(WHOLE)
    document = json.loads(data)
    assert data == json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    assert document["format"] == 1
    assert manifest.dumps(manifest.loads(data)) == data


def test_members_that_are_not_known_are_ignored() -> None:
    assert manifest.loads(members(novelty={"a": 1})) == WHOLE


def test_a_file_entry_fits_only_the_bytes_it_was_made_of() -> None:
    entry = FileEntry.of("card.md", b"abc")
    assert entry.fits(b"abc")
    assert not entry.fits(b"abd")
    assert not entry.fits(b"abcd")


def test_a_file_that_is_not_listed_is_a_key_error() -> None:
    assert WHOLE.file("model.joblib") is FILES[0]
    assert WHOLE.size == 30
    with pytest.raises(KeyError):
        WHOLE.file("model.onnx")


FAULTS = {
    "another format": members(format=2),
    "no format": members(format=...),
    "format true": members(format=True),
    "format 1.0": members(format=1.0),
    "name with a path": members(name="../x"),
    "name empty": members(name=""),
    "version zero": members(version=0),
    "version as text": members(version="3"),
    "version as a fraction": members(version=3.0),
    "version beyond 63 bits": members(version=2**63),
    "runtime unknown": members(runtime="pickle"),
    "feed unknown": members(feed="csv"),
    "no files": members(files=[]),
    "file outside the set": members(files=file(name="../../etc/passwd")),
    "file of another name": members(files=file(name="model.pkl")),
    "file of no bytes": members(files=file(size=0)),
    "file size as text": members(files=file(size="10")),
    "digest short": members(files=file(sha256="abc")),
    "digest in capitals": members(files=file(sha256="A" * 64)),
    "digest with a newline": members(files=file(sha256=DIGEST + "\n")),
    "no signature": members(signature=...),
    "signature null": members(signature=None),
    "form unknown": members(signature={**tensor(), "form": "cube"}),
    "no inputs": members(signature={**tensor(), "inputs": []}),
    "no outputs": members(signature={**tensor(), "outputs": []}),
    "tensor without a name": members(signature=tensor(name="")),
    "tensor of a foreign datatype": members(signature=tensor(datatype="FP80")),
    "tensor of one dimension": members(signature=tensor(shape=[-1])),
    "shape as text": members(signature=tensor(shape=["-1", "1"])),
    "nullable as text": members(signature=tensor(nullable="yes")),
    "unseen unknown": members(signature=tensor(unseen="maybe")),
    "range as text": members(signature=tensor(minimum="0.1")),
    "categories a text": members(signature=tensor(categories="ab")),
    "classes of objects": members(classes=[{}]),
    "no libraries": members(libraries=...),
    "metrics as text": members(metrics={"f1": "0.9"}),
    "memory as text": members(memory_bytes="5"),
    "parent as text": members(parent="2"),
    "limits a text": members(limits="none"),
    "a list": b"[]\n",
    "a text": b'"manifest"\n',
    "nothing": b"",
    "no JSON": b"{",
    "a key twice": manifest.dumps(WHOLE).replace(b'{"classes"', b'{"note":"x","classes"'),
    "a NaN": manifest.dumps(WHOLE).replace(b"0.30000000000000004", b"NaN"),
    "an infinity": manifest.dumps(WHOLE).replace(b"0.30000000000000004", b"1e999"),
    "no UTF-8": manifest.dumps(WHOLE).replace("ß".encode(), b"\xff"),
    "UTF-16": manifest.dumps(WHOLE).decode().encode("utf-16"),
    "a BOM": b"\xef\xbb\xbf" + manifest.dumps(WHOLE),
    "too deep": b"[" * 60_000,
    "too large": members(note="x" * manifest.LARGEST),
    "not canonical": manifest.dumps(WHOLE).replace(b",", b", "),
    "a byte at the end": manifest.dumps(WHOLE) + b"\n",
    "another metric": manifest.dumps(WHOLE).replace(b"0.30000000000000004", b"0.90000000000000004"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_refused_in_one_line(fault: str) -> None:
    with pytest.raises(ManifestError) as caught:
        manifest.loads(FAULTS[fault])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "named"),
    [("tensor of a foreign datatype", "signature.inputs.0.datatype"), ("no libraries", "libraries"),
     ("another format", "format 2"), ("too large", "the limit is 65536"), ("a key twice", "stands twice")],
)  # fmt: skip
def test_the_sentence_names_the_member(fault: str, named: str) -> None:
    with pytest.raises(ManifestError, match=named):
        manifest.loads(FAULTS[fault])


def test_what_is_too_large_to_write_names_its_largest_member() -> None:
    fields = {key: getattr(WHOLE, key) for key in Manifest.__slots__}
    with pytest.raises(ManifestError, match=r"the limit is 65536, and its 'note' takes most"):
        manifest.dumps(Manifest(**{**fields, "note": "x" * manifest.LARGEST}))


KEPT = sorted(path.parent for path in DATA.glob("format-*/*/*/manifest.json"))


@pytest.mark.parametrize("version", KEPT, ids=lambda path: "-".join(path.parts[-3:]))
def test_a_manifest_of_an_old_format_loads_for_ever(version: Path) -> None:
    """The folders below `data` were written by the releases of their time; they are never written anew."""
    registry, name, number = version.parent.parent, version.parent.name, int(version.name)
    described = Store(registry).manifest(name, number)
    assert (described.name, described.version) == (name, number)
    for entry in described.files:
        assert entry.fits((version / entry.name).read_bytes())


def test_a_model_of_an_old_format_answers_for_ever() -> None:
    """An ONNX graph: what a pickle of scikit-learn means changes with its releases."""
    pytest.importorskip("onnxruntime")
    store = Store(DATA / "format-1")
    assert loading.verify(store, "line", 1).manifest.runtime == "onnx"
    assert store.labels("rent") == {"stable": 1}


def test_there_is_a_kept_version_of_the_format_that_is_written_now() -> None:
    assert list(DATA.glob(f"format-{manifest.FORMAT}/*/*/manifest.json"))


def test_what_was_published_is_what_is_described(add: Callable[..., Manifest], store: Store) -> None:
    written = add(note="n", metrics={"r2": 1})
    assert store.manifest("line", 1) == written
    assert written.metrics == {"r2": 1.0}
