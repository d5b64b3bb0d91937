"""Plan files: what was written comes back, and nothing else is taken for a plan."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlapi.runtimes.plans import document
from mlapi.runtimes.plans.document import PlanError


@pytest.fixture(scope="module")
def done(compiled: Any, numbers: Any) -> SimpleNamespace:
    return compiled(make_pipeline(StandardScaler(), LogisticRegression()), numbers.rows, numbers.three)


@pytest.fixture(scope="module")
def bound(done: SimpleNamespace) -> str:
    return document.binding("0" * 64, done.signature, done.feed)


def test_a_plan_comes_back_as_it_was_written(done: SimpleNamespace, bound: str) -> None:
    plan, proof = document.loads(done.files["plan.json"], done.files["plan.bin"], bound)
    assert document.dumps(plan, proof, bound) == (done.files["plan.json"], done.files["plan.bin"])


def test_arrays_are_views_of_the_bytes(done: SimpleNamespace, bound: str) -> None:
    blob = memoryview(done.files["plan.bin"])
    plan, _ = document.loads(done.files["plan.json"], blob, bound)
    assert np.shares_memory(plan.head.model.weights, np.frombuffer(blob, "u1"))
    assert not plan.head.model.weights.flags.writeable


@pytest.mark.parametrize("changed", ["model", "feed", "nullable", "datatype", "outputs", "categories"])
def test_a_plan_is_for_one_model_and_signature(done: SimpleNamespace, changed: str) -> None:
    signature, model, feed = done.signature, "0" * 64, done.feed
    spec = signature.inputs[0]
    match changed:
        case "model":
            model = "1" * 64
        case "feed":
            feed = "frame"
        case "nullable":
            signature = replace(signature, inputs=(replace(spec, nullable=True),))
        case "datatype":
            signature = replace(signature, inputs=(replace(spec, datatype="FP32"),))
        case "outputs":
            signature = replace(signature, outputs=signature.outputs[:1])
        case "categories":
            signature = replace(signature, inputs=(replace(spec, unseen="refuse", categories=("a",)),))
    with pytest.raises(PlanError, match="proven for another model file or signature"):
        document.loads(done.files["plan.json"], done.files["plan.bin"], document.binding(model, signature, feed))


BROKEN: dict[str, Any] = {
    "another format": lambda told: {**told, "format": 2},
    "no steps": lambda told: {**told, "plan": {"step": "column"}},
    "an unknown step": lambda told: {**told, "plan": {"step": "os.system"}},
    "a field too many": lambda told: {**told, "plan": {**told["plan"], "more": 1}},
    "a step without its fields": lambda told: {**told, "plan": {"step": "plan"}},
    "an array that is not there": lambda told: {**told, "arrays": told["arrays"][:1]},
    "an array behind the end": lambda told: {**told, "arrays": [["<f8", [10**9], 0]] * len(told["arrays"])},
    "an array before the beginning": lambda told: {**told, "arrays": [["<f8", [1], -8]] * len(told["arrays"])},
    "an array of objects": lambda told: {**told, "arrays": [["|O", [1], 0]] * len(told["arrays"])},
    "a proof that is none": lambda told: {**told, "proof": {"rows": 1, "by": "me"}},
    "no document": lambda _: [],
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_no_plan_is_refused(done: SimpleNamespace, bound: str, fault: str) -> None:
    told = json.dumps(BROKEN[fault](json.loads(done.files["plan.json"]))).encode()
    with pytest.raises(PlanError):
        document.loads(told, done.files["plan.bin"], bound)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(done: SimpleNamespace, bound: str, data: bytes) -> None:
    with pytest.raises(PlanError):
        document.loads(data, done.files["plan.bin"], bound)


@pytest.mark.parametrize("place", range(0, 9000, 700))
def test_trees_that_lead_nowhere_are_refused_or_answer(compiled: Any, numbers: Any, place: int) -> None:
    """Whatever bytes stand in the arrays: no endless walk, and no reading outside of them."""
    done = compiled(RandomForestRegressor(2, max_depth=4, random_state=0), numbers.rows, numbers.line)
    blob = bytearray(done.files["plan.bin"])
    place %= len(blob) - 8
    blob[place : place + 8] = b"\xff\xff\xff\x7f\xff\xff\xff\x7f"
    bound = document.binding("0" * 64, done.signature, done.feed)
    try:
        plan, _ = document.loads(done.files["plan.json"], bytes(blob), bound)
    except PlanError:
        return
    answer = plan.head.answers(numbers.rows, ("predict",))["predict"]
    assert answer.shape == (len(numbers.rows), 1)
