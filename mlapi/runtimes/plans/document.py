"""A plan as two files: `plan.json`, which says what the steps are, and `plan.bin`, which holds their arrays.

Neither is a pickle or an archive: JSON, and plain little-endian numbers at the offsets that it gives, so
that large arrays can be mapped instead of read. Format 1; a reader of another format uses no plan.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mlapi.inference.signature import Signature
from mlapi.inference.values import Array
from mlapi.runtimes.plans import (  # noqa: F401 (each registers its steps)
    heads,
    kernel,
    linear,
    lookup,
    network,
    prepared,
    scaling,
    shapes,
    trees,
    wrappers,
)
from mlapi.runtimes.plans.plan import Plan
from mlapi.runtimes.plans.step import decoded, encoded

FORMAT = 1
FILE = "plan.json"
ARRAYS = "plan.bin"
ALIGNED = 64
DATATYPES = {"|b1": 1, "|u1": 1, "<i4": 4, "<i8": 8, "<f8": 8}


COPYING = {"linear": 2, "kernel": 2}
"""How many times the arrays of a plan stand in memory besides, at most, where it has such a step."""


class PlanError(Exception):
    """The bytes are no plan that this reader can use; says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared when the plan was kept: rows, the largest relative difference, and times in ns by batch size.

    `exact`: every answer was the same to the last bit. `row_independent`: so was every row's answer in
    every batch it was asked in. `libraries` are the versions that the estimator and the plan ran on.
    """

    rows: int
    largest_difference: float
    exact: bool
    row_independent: bool
    libraries: Mapping[str, str] = field(default_factory=dict)
    native_ns: Mapping[str, int] = field(default_factory=dict)
    plan_ns: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Described:
    """What `plan.json` says beside the steps: the proof, or why there is no plan."""

    proof: Proof | None
    reason: str
    kinds: tuple[str, ...] = ()


def binding(model_sha256: str, signature: Signature, feed: str) -> str:
    """Return the digest of what a plan was proven for: the model file, and all that decides which rows arrive."""
    inputs = [
        [spec.name, spec.datatype, list(spec.shape), spec.nullable, spec.unseen,
         list(spec.categories or ()) if spec.unseen == "refuse" else []]
        for spec in signature.inputs
    ]
    outputs = [[spec.name, spec.datatype, list(spec.shape)] for spec in signature.outputs]
    bound = [model_sha256, signature.form, feed, inputs, outputs, list(signature.features)]
    return hashlib.sha256(json.dumps(bound).encode()).hexdigest()


def dumps(plan: Plan, proof: Proof, bound: str) -> tuple[bytes, bytes]:
    """Return the bytes of `plan.json` and `plan.bin`."""
    arrays: list[Array] = []
    steps = encoded(plan, arrays)
    blob = bytearray()
    table = []
    for array in arrays:
        plain = np.ascontiguousarray(array)
        plain = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
        if plain.dtype.str not in DATATYPES:
            raise PlanError(f"an array of {plain.dtype} has no place in a plan")
        blob += b"\0" * (-len(blob) % ALIGNED)
        table.append([plain.dtype.str, list(plain.shape), len(blob)])
        blob += plain.tobytes()
    document = {"format": FORMAT, "of": bound, "plan": steps, "arrays": table, "proof": asdict(proof), "reason": ""}
    return _json(document), bytes(blob) or b"\0"


def refusal(reason: str, bound: str) -> bytes:
    """Return the bytes of a `plan.json` that says why there is no plan."""
    return _json({"format": FORMAT, "of": bound, "plan": None, "arrays": [], "proof": None, "reason": reason})


def describe(data: bytes) -> Described:
    """Return what a `plan.json` says, without its steps. Raises PlanError."""
    document = _document(data)
    try:
        proof = None if document["proof"] is None else Proof(**document["proof"])
        return Described(proof, str(document["reason"]), tuple(_kinds(document["plan"])))
    except (KeyError, TypeError) as error:
        raise PlanError(f"{FILE} is none that this mlapi writes") from error


def derived_bytes(data: bytes, size: int) -> int:
    """Return about how many bytes the steps of a `plan.json` make of `size` bytes of arrays. Raises PlanError."""
    return size * max((COPYING.get(kind, 0) for kind in describe(data).kinds), default=0)


def loads(data: bytes, blob: "bytes | memoryview", bound: str) -> tuple[Plan, Proof]:
    """Return the plan in verified bytes; its arrays are views of `blob`.

    Raises PlanError where it was proven for another model or signature (`bound`), is of another format,
    or is none.
    """
    document = _document(data)
    try:
        if document["plan"] is None:
            raise PlanError(document["reason"])
        if document["of"] != bound:
            msg = "the plan was proven for another model file or signature"
            raise PlanError(msg)
        arrays = [_array(blob, *entry) for entry in document["arrays"]]
        plan = decoded(document["plan"], arrays)
        if not isinstance(plan, Plan):
            msg = "its steps are no plan"
            raise PlanError(msg)
        return plan, Proof(**document["proof"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        raise PlanError(f"{FILE} and {ARRAYS} do not fit each other ({type(error).__name__})") from error


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{FILE} is no JSON") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise PlanError(f"{FILE} is of another format than {FORMAT}")
    return document


def _array(blob: "bytes | memoryview", datatype: str, shape: list[int], offset: int) -> Array:
    DATATYPES[datatype]
    if any(side < 0 for side in shape) or offset < 0:
        raise ValueError(shape)
    count = int(np.prod(shape, dtype=object)) if shape else 1
    if not count:
        return np.empty(shape, dtype=datatype)
    return np.frombuffer(blob, dtype=datatype, count=count, offset=offset).reshape(shape)


def _kinds(value: Any) -> list[str]:  # noqa: ANN401 (decoded JSON)
    """Return the names of all steps, in order, each once."""
    found: dict[str, None] = {}

    def walk(part: Any) -> None:  # noqa: ANN401 (see above)
        if isinstance(part, dict):
            if "step" in part and "model" not in part:
                found[str(part["step"])] = None
            for key in sorted(part, key=lambda key: key != "steps"):  # what comes before the model
                walk(part[key])
            if "step" in part:
                found[str(part["step"])] = None
        elif isinstance(part, list):
            for one in part:
                walk(one)

    walk(value)
    return [name for name in found if name not in {"plan", "chain", "pick", "stack", "split", "prepared"}]


def _json(document: Mapping[str, Any]) -> bytes:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"
