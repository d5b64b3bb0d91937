"""R10: manifests that are damaged, foreign or forged; each is a ManifestError, never another exception."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from mlapi.registry import manifest
from mlapi.registry.manifest import ManifestError
from tests.reliability.figure import Figure
from tests.reliability.model import NAME, publish_line

EXAMPLES, QUICK_EXAMPLES = 2000, 200
FOREIGN_NAMES = (
    "../x", "/etc/passwd", "a/b", "model.joblib/", "model.joblib\n", "", ".", "..", "MODEL.JOBLIB", "x" * 300,
)
WRONG: tuple[object, ...] = (True, 7, 0.5, "text", "1", [], {})
_LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_JSON = st.recursive(
    _LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)
_OPEN = ("parameters", "training", "data")  # members whose values may be any JSON


def sweep(folder: Path, *, quick: bool) -> Figure:
    """Feed forged manifests, sealed with a right digest where that is not the point, and random damage."""
    genuine = manifest_bytes(folder)
    counts: Counter[str] = Counter({"forgeries": 0, "fuzzed": 0, "accepted": 0, "other errors": 0})
    faults = [] if refusal_fault(genuine) == "accepted" else ["the genuine manifest was refused"]
    for what, data in forgeries(genuine):
        counts["forgeries"] += 1
        if said := refusal_fault(data):
            counts["accepted" if said == "accepted" else "other errors"] += 1
            faults.append(f"{what}: {said}")
    for fuzz in (damage, replaced_member, any_json, any_bytes):
        faults += _fuzzed(fuzz(genuine), QUICK_EXAMPLES if quick else EXAMPLES, counts)
    return Figure("R10", "manifests", dict(counts), tuple(faults))


def manifest_bytes(folder: Path) -> bytes:
    """Return the manifest of a version that was published into `folder`."""
    return (folder / NAME / str(publish_line(folder)) / manifest.FILE).read_bytes()


def refusal_fault(data: bytes) -> str | None:
    """Return what is wrong with how `data` is refused: 'accepted', or another exception; None where nothing is."""
    try:
        manifest.loads(data)
    except ManifestError:
        return None
    except Exception as error:  # noqa: BLE001 (any other is the fault looked for)
        return f"{type(error).__name__}: {error}"
    return "accepted"


def forgeries(genuine: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield manifests that must be refused, each with what is wrong with it."""
    document = json.loads(genuine)
    yield "a key twice", genuine.replace(b'"note":""', b'"note":"","note":""')
    yield "a key twice in a file", genuine.replace(b'"size":', b'"size":1,"size":', 1)
    for number in ("NaN", "Infinity", "-Infinity", "1e400"):
        yield number, genuine.replace(b'"metrics":{}', b'"metrics":{"a":' + number.encode() + b"}")
    yield "more than 64 kB", _sealed(document, "note", "x" * (manifest.LARGEST + 1))
    yield "deep nesting", b"[" * 60_000
    yield "deep nesting inside", genuine.replace(b'"data":{}', b'"data":{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}")
    yield "not UTF-8", genuine.replace(b'"note":""', b'"note":"\xff"')
    yield "UTF-16", genuine.decode().encode("utf-16")
    yield "a byte order mark", b"\xef\xbb\xbf" + genuine
    yield "half of a surrogate pair", genuine.replace(b'"note":""', b'"note":"\\ud800"')
    yield "spaces", genuine.replace(b",", b", ", 1)
    yield "two documents", genuine + genuine
    yield "another digest", genuine.replace(document["sha256"].encode(), b"0" * 64)
    for major in (0, 2, 99, -1, True, 1.0, "1", None, [1], 10**400):
        yield f"format {str(major)[:9]!r}", _sealed(document, "format", major)
    for name in FOREIGN_NAMES:
        files = [{**document["files"][0], "name": name}, *document["files"][1:]]
        yield f"file name {name[:20]!r}", _sealed(document, "files", files)
    yield from _wrong_types(document)


def damage(genuine: bytes) -> st.SearchStrategy[bytes]:
    """Return the genuine bytes with one slice replaced by others."""
    edit = st.tuples(st.integers(0, len(genuine) - 1), st.integers(1, 8), st.binary(max_size=8))
    edited = edit.map(lambda at: genuine[: at[0]] + at[2] + genuine[at[0] + at[1] :])
    return edited.filter(lambda data: data != genuine)


def replaced_member(genuine: bytes) -> st.SearchStrategy[bytes]:
    """Return sealed manifests in which one member is a JSON value of another type."""
    document = json.loads(genuine)
    names = st.sampled_from([name for name in document if name not in {*_OPEN, manifest.DIGEST}])
    return st.tuples(names, _JSON).filter(lambda pair: _differs(document[pair[0]], pair[1])).map(
        lambda pair: _sealed(document, *pair),
    )


def any_json(genuine: bytes) -> st.SearchStrategy[bytes]:  # noqa: ARG001 (all strategies are made alike)
    """Return JSON documents of format 1 with random members."""
    return st.dictionaries(st.text(max_size=8), _JSON, max_size=5).map(lambda members: _sealed(members, "format", 1))


def any_bytes(genuine: bytes) -> st.SearchStrategy[bytes]:  # noqa: ARG001 (all strategies are made alike)
    """Return any bytes."""
    return st.binary(max_size=200)


def _fuzzed(strategy: st.SearchStrategy[bytes], examples: int, counts: Counter[str]) -> list[str]:
    faults: list[str] = []

    @seed(10)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def run(data: bytes) -> None:
        counts["fuzzed"] += 1
        if said := refusal_fault(data):
            counts["accepted" if said == "accepted" else "other errors"] += 1
            faults.append(f"{data[:80]!r}: {said}")

    run()
    return faults


def _wrong_types(document: dict[str, Any], path: tuple[Any, ...] = ()) -> Iterator[tuple[str, bytes]]:
    """Yield the manifest with each value, at any depth, of each type that it must not have."""
    at: Any = document
    for key in path:
        at = at[key]
    members = at.items() if isinstance(at, dict) else enumerate(at)
    for key, value in members:
        if not path and key in {*_OPEN, manifest.DIGEST}:
            continue
        for wrong in WRONG:
            if _differs(value, wrong) and not (isinstance(value, float) and wrong == 7):
                yield f"{(*path, key)}: {wrong!r}", _resealed(document, (*path, key), wrong)
        if isinstance(value, dict | list):
            yield from _wrong_types(document, (*path, key))


def _differs(value: object, other: object) -> bool:
    """Tell whether the other is of a type that no member takes where the genuine one is `value`."""
    return value is not None and type(other) is not type(value) and other is not None


def _resealed(document: dict[str, Any], path: tuple[Any, ...], value: object) -> bytes:
    copied = json.loads(json.dumps(document))
    at = copied
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return _sealed(copied, "format", copied["format"])


def _sealed(document: dict[str, Any], member: str, value: object) -> bytes:
    """Return the document with one member replaced, and with the digest that fits; NaN and the like stay unsealed."""
    plain = {key: item for key, item in {**document, member: value}.items() if key != manifest.DIGEST}
    try:
        return manifest.sealed(plain)
    except ValueError:
        return json.dumps(plain).encode("utf-8", "surrogatepass")
