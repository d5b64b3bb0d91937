"""Loading: size, digest and schema before parsing, golden rows after; every damage has its reason."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mlapi.errors import InvalidRequest, VersionRefused
from mlapi.inference.signature import Signature, TensorSpec
from mlapi.registry import loading, manifest, reference
from mlapi.registry.manifest import Manifest
from mlapi.registry.reference import Reference
from mlapi.registry.store import Store

Add = Callable[..., Manifest]


def joblib_bytes(model: Any) -> bytes:
    sink = io.BytesIO()
    joblib.dump(model, sink)
    return sink.getvalue()


class Payload:
    """Makes a folder when it is unpickled, as a crafted file would run a command."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


def reason(store: Store, version: int = 1) -> str:
    with pytest.raises(VersionRefused) as caught:
        loading.verify(store, "line", version)
    assert "\n" not in str(caught.value)
    return caught.value.reason


def test_a_version_as_published_is_loaded_and_proven(add: Add, store: Store, matrix: Any, line: Any) -> None:
    add()
    loaded = loading.verify(store, "line", 1)
    answers = loaded.predict({"input-0": matrix}, ["predict"])["predict"]
    assert_allclose(answers[:, 0], line.predict(matrix), rtol=1e-12)


def test_outputs_by_name_default_and_all(store: Store, classifier: Any, matrix: Any) -> None:
    import mlapi  # noqa: PLC0415 (the one name that it has)

    mlapi.publish(classifier, "line", sample=matrix, registry=store.root)
    loaded = loading.load(store, "line", 1)
    assert loaded.outputs(()) == ("predict",)
    assert loaded.outputs(None) == ("predict", "predict_proba")
    assert loaded.outputs(("predict_proba",)) == ("predict_proba",)
    with pytest.raises(InvalidRequest, match="output 'odds' is unknown; the outputs are predict, predict_proba"):
        loaded.outputs(("odds",))


@pytest.mark.parametrize("file", ["model.joblib", "reference.npz", "card.md", "manifest.json"])
@pytest.mark.parametrize("place", [0, 0.3, 0.6, 0.999])
def test_one_flipped_bit_anywhere_is_refused(
    add: Add, store: Store, tamper: SimpleNamespace, file: str, place: float,
) -> None:
    add()
    data = bytearray((store.folder("line", 1) / file).read_bytes())
    data[int(place * len(data))] ^= 1
    tamper.write("line", 1, file, bytes(data))
    said = reason(store)
    assert file in said or "manifest" in said


@pytest.mark.parametrize("file", ["model.joblib", "reference.npz", "card.md"])
def test_a_file_that_is_missing_longer_or_shorter_is_refused(
    add: Add, store: Store, tamper: SimpleNamespace, file: str,
) -> None:
    add()
    data = (store.folder("line", 1) / file).read_bytes()
    tamper.write("line", 1, file, data + b"x")
    assert reason(store) == f"'{file}' has {len(data) + 1} bytes; the manifest says {len(data)}"
    tamper.write("line", 1, file, b"")
    assert "has 0 bytes" in reason(store)
    (store.folder("line", 1) / file).unlink()
    assert reason(store) == "a file that its manifest lists is missing"


@pytest.mark.parametrize("kind", ["symlink", "hard link", "fifo", "folder", "sparse"])
def test_a_model_that_is_no_plain_file_is_refused(
    add: Add, store: Store, tamper: SimpleNamespace, tmp_path: Path, kind: str,
) -> None:
    add()
    path = store.folder("line", 1) / "model.joblib"
    real = tmp_path / "same bytes"
    real.write_bytes(path.read_bytes())
    tamper.write("line", 1, "model.joblib", b"").unlink()
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
            with path.open("wb") as file:
                file.truncate(10 * 2**30)
    assert reason(store).startswith("'model.joblib' ")


def test_a_model_beyond_the_limit_is_refused_unread(add: Add, store: Store) -> None:
    add()
    with pytest.raises(VersionRefused, match="the limit is 10"):
        loading.load(store, "line", 1, largest=10)


def test_a_crafted_pickle_is_refused_before_it_is_unpickled(
    add: Add, store: Store, tamper: SimpleNamespace, tmp_path: Path,
) -> None:
    """The side effect is there when the file is unpickled, and not when mlapi refuses it."""
    add()
    trace = tmp_path / "it ran"
    crafted = joblib_bytes(Payload(trace))
    tamper.write("line", 1, "model.joblib", crafted)
    assert "model.joblib" in reason(store)
    assert not trace.exists()
    same_size = crafted.ljust(store.manifest("line", 1).file("model.joblib").size, b"\0")
    tamper.write("line", 1, "model.joblib", same_size)
    assert "its sha256 differs" in reason(store)
    assert not trace.exists()
    joblib.load(io.BytesIO(same_size))
    assert trace.exists()


def test_nothing_is_imported_or_unpickled_after_a_mismatch(
    add: Add, store: Store, tamper: SimpleNamespace,
) -> None:
    add()
    path = store.folder("line", 1) / "model.joblib"
    tamper.write("line", 1, "model.joblib", path.read_bytes()[:-1] + b"\0")
    seen: list[str] = []
    listening = [True]
    sys.addaudithook(lambda event, _: seen.append(event) if listening[0] else None)
    reason(store)
    listening[0] = False
    assert "open" in seen
    assert not {"pickle.find_class", "import", "exec", "marshal.loads", "compile", "os.system"} & set(seen)


def test_a_consistent_forgery_of_answers_is_refused_by_the_golden_rows(
    add: Add, store: Store, tamper: SimpleNamespace,
) -> None:
    add()
    loaded = loading.load(store, "line", 1)
    other = Reference(loaded.reference.inputs, {"predict": loaded.reference.outputs["predict"] + 1e-3})
    tamper.consistent("line", 1, reference.FILE, reference.dumps(other, loaded.signature))
    assert reason(store).startswith("its answers are not those it was published with: 'predict' differs in 60 of 60")


def test_another_model_behind_consistent_digests_is_refused(
    add: Add, store: Store, tamper: SimpleNamespace, matrix: Any,
) -> None:
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415 (here alone)

    add()
    for other, said in (
        (LinearRegression().fit(matrix, matrix @ [2.0, 1.0]), "its answers are not those"),
        (LinearRegression().fit(matrix[:, :1], matrix[:, 0]), "it fails on its own reference rows"),
        (LinearRegression().fit(matrix, np.column_stack([matrix, matrix])), "its answers are not those"),
        (LinearRegression(), "it fails on its own reference rows"),
        ({"no": "model"}, "it fails on its own reference rows"),
        (None, "it fails on its own reference rows"),
    ):
        tamper.consistent("line", 1, "model.joblib", joblib_bytes(other))
        assert said in reason(store)


def test_files_of_other_kinds_behind_consistent_digests_are_refused(
    add: Add, store: Store, tamper: SimpleNamespace,
) -> None:
    add()
    add()
    tamper.consistent("line", 1, "model.joblib", b"no pickle")
    assert "it cannot be unpickled here" in reason(store)
    tamper.consistent("line", 2, "reference.npz", b"no rows")
    assert "reference.npz does not fit the signature" in reason(store, 2)


MATRIX = TensorSpec("input-0", "FP64", (-1, 2))
OUT = TensorSpec("predict", "FP64", (-1, 1))
WRONG: dict[str, dict[str, Any]] = {
    "another runtime": {"runtime": "skops"},
    "tensors for an estimator": {"feed": "tensors"},
    "a frame without features": {"feed": "frame"},
    "objects": {"signature": Signature("columns", (MATRIX,), (OUT,)), "feed": "objects"},
    "wider input": {"signature": Signature("matrix", (TensorSpec("input-0", "FP64", (-1, 9)),), (TensorSpec(
        "predict", "FP64", (-1, 7)),))},
    "input of text": {"signature": Signature("matrix", (TensorSpec("input-0", "BYTES", (-1, 2)),), (OUT,))},
    "output of text": {"signature": Signature("matrix", (MATRIX,), (TensorSpec("predict", "BYTES", (-1, 1)),))},
    "output of another name": {"signature": Signature("matrix", (MATRIX,), (TensorSpec("odds", "FP64", (-1, 1)),))},
    "output that is an attribute": {
        "signature": Signature("matrix", (MATRIX,), (TensorSpec("coef_", "FP64", (-1, 1)),))},
    "output that is a method": {
        "signature": Signature("matrix", (MATRIX,), (TensorSpec("get_params", "FP64", (-1, 1)),))},
    "more inputs": {"signature": Signature("columns", (MATRIX, TensorSpec("b", "FP64", (-1, 1))), (OUT,))},
    "output of no width": {"signature": Signature("matrix", (MATRIX,), (TensorSpec("predict", "FP64", (-1, 0)),))},
    "output of a negative width": {"signature": Signature("matrix", (MATRIX,), (TensorSpec("p", "FP64", (-1, -5)),))},
    "output of integers": {"signature": Signature("matrix", (MATRIX,), (TensorSpec("predict", "INT64", (-1, 1)),))},
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_a_manifest_that_fits_its_schema_and_not_the_model_is_refused(
    add: Add, store: Store, tamper: SimpleNamespace, fault: str,
) -> None:
    add()
    tamper.described("line", 1, **WRONG[fault])
    if fault == "output of integers":
        assert loading.verify(store, "line", 1)  # golden rows and answers are both cut: consistent, if not wise
    else:
        assert reason(store)


def test_a_manifest_without_the_model_or_the_rows_is_refused(
    add: Add, store: Store, tamper: SimpleNamespace,
) -> None:
    add()
    files = store.manifest("line", 1).files
    for left_out in ("model.joblib", "reference.npz"):
        tamper.described("line", 1, files=tuple(entry for entry in files if entry.name != left_out))
        assert reason(store) == f"its manifest lists no {left_out}"
        tamper.described("line", 1, files=files)


def test_a_manifest_of_an_unknown_major_is_refused(add: Add, store: Store, tamper: SimpleNamespace) -> None:
    add()
    document = json.loads((store.folder("line", 1) / manifest.FILE).read_bytes())
    document.pop(manifest.DIGEST)
    tamper.write("line", 1, manifest.FILE, manifest.sealed({**document, "format": 2}))
    assert reason(store) == "the manifest has format 2; this mlapi reads format 1"


def test_a_class_that_is_gone_here_is_named(
    add: Add, store: Store, tamper: SimpleNamespace,
) -> None:
    add()
    tamper.consistent("line", 1, "model.joblib", b"\x80\x04\x8c\x07nowhere\x8c\x05Thing\x93.")
    assert reason(store) == "it needs the module 'nowhere', which is not installed here"
    tamper.consistent("line", 1, "model.joblib", b"\x80\x04\x8c\x04json\x8c\x05Thing\x93.")
    assert reason(store) == "it needs 'Thing' from module 'json', which has none here"
