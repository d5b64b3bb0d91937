"""Bodies of one row, read as one request and answered apart: what each would have got by itself, to the last bit."""

import json
import uuid
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlapi.errors import InvalidRequest
from mlapi.inference import conform as conforming
from mlapi.inference.signature import Signature
from mlapi.inference.values import Array, Assignment, InferenceRequest, InferenceResponse, Numbers, Rows
from mlapi.schemas import rows, v2
from mlapi.schemas.v1 import batch as v1_batch
from mlapi.schemas.v1 import predict
from mlapi.schemas.v2 import batch as v2_batch
from tests.schemas.test_fast_roads import (
    EXAMPLES,
    EXTRA,
    GOOD,
    SIGNATURES,
    TARGET,
    bits,
    documents,
    listed,
    matrix,
    values,
)

Load = Callable[[bytes], InferenceRequest]

GOOD_V1 = b'{"instances": [[1, 2.5, -3e2]]}'
GOOD_V2 = b'{"inputs":[{"name":"input-0","shape":[1,3],"datatype":"FP64","data":[1,2.5,-3e2]}]}'


def learnt(request: InferenceRequest, signature: Signature) -> Any:
    """Return all that the core learns of a request; raises InvalidRequest."""
    inputs = request.inputs
    arrays = conforming.conform(inputs, signature)
    by_row = inputs.by_row if isinstance(inputs, Numbers) else type(inputs) is Rows
    wanted = (request.wanted, request.binary) if isinstance(request, v2.Asked) else by_row
    return arrays, (wanted, request.outputs, request.id, request.parameters)


def as_alone(batch: Any, load: Load, bodies: Sequence[bytes], signature: Signature) -> bool:
    """Check that bodies of one frame mean together what each means alone; tell whether they could be read together."""
    cuts = [batch.cut(body) for body in bodies]
    if None in cuts or any(one[0] is not other[0] for one, other in pairwise(cuts)):
        return False
    request = batch.gather(TARGET, cuts[0][0], [numbers for _, numbers in cuts])
    try:
        arrays, asked = learnt(request, signature) if request is not None else (None, None)
    except InvalidRequest:
        return False
    if arrays is None:
        return False
    for row, body in enumerate(bodies):
        alone, asked_alone = learnt(load(body), signature)
        assert asked == asked_alone
        assert {name: bits(a[row : row + 1]) for name, a in arrays.items()} == {n: bits(a) for n, a in alone.items()}
    return True


def v1_load(body: bytes) -> InferenceRequest:
    return predict.load(body, TARGET)


def v2_load(body: bytes) -> InferenceRequest:
    return v2.load(body, TARGET)


@st.composite
def rows_of_one(draw: st.DrawFn) -> str:
    """Return `[[...]]` as text, mostly three numbers, seldom broken."""
    width = draw(st.sampled_from([3, 3, 3, 3, 1, 2, 4]))
    kind = values() if draw(st.integers(0, 3)) == 0 else GOOD
    return f"[{listed(draw(st.lists(kind, min_size=width, max_size=width)))}]"


@pytest.mark.parametrize("signature", SIGNATURES, ids=range(len(SIGNATURES)))
@EXAMPLES
@given(data=st.data())
def test_v1_bodies_mean_together_what_they_mean_alone(signature: Signature, data: st.DataObject) -> None:
    member = data.draw(st.sampled_from(["instances", "inputs"]))
    extra = data.draw(st.lists(EXTRA, max_size=1))
    bodies = [data.draw(documents((member, data.draw(rows_of_one())), *extra)) for _ in range(data.draw(
        st.integers(1, 3)))]  # fmt: skip
    as_alone(v1_batch, v1_load, bodies, signature)


@pytest.mark.parametrize("signature", SIGNATURES[:6], ids=range(6))
@EXAMPLES
@given(data=st.data())
def test_v2_bodies_mean_together_what_they_mean_alone(signature: Signature, data: st.DataObject) -> None:
    extra = data.draw(st.lists(EXTRA, max_size=1))
    shape = data.draw(st.sampled_from(["[1,3]", "[1,3]", "[1,1]", "[1]", "[3]", "[3,1]", "[1,3,1]", "[1,1,3]"]))
    bodies = []
    for _ in range(data.draw(st.integers(1, 3))):
        row = data.draw(rows_of_one())[1:-1]
        tensor = f'[{{"name":"input-0","shape":{shape},"datatype":"FP64","data":{row}}}]'
        bodies.append(data.draw(documents(("inputs", tensor), *extra)))
    as_alone(v2_batch, v2_load, bodies, signature)


THREE = matrix("FP64", 3)


@pytest.mark.parametrize("around", [
    b'{"instances": %b}', b'{"instances":%b}', b' {"inputs":%b}\n',
    b'{"instances":%b,"signature_name":"predict_proba"}',
    b'{"signature_name":"", "instances":%b}', b'{"instances":%b,"more":{"a":[1]}}', b'{"instances":5,"instances":%b}',
])  # fmt: skip
def test_rows_in_one_frame_are_read_together(around: bytes) -> None:
    bodies = [around % row for row in (b"[[1,2,3]]", b"[[ 4, 5.5,6e2 ]]", b"[[18446744073709551615,-0.0,1e-400]]")]
    assert as_alone(v1_batch, v1_load, bodies, THREE)


@pytest.mark.parametrize("body", [
    b"", b"[[", b"]]", b"[[1,2,3]]", b"]][[", b'{"instances":[[1,2,3]', b'{"instances":[[1,2,3],[4,5,6]]}',
    b'{"instances":[[1,2,3]],"inputs":[[1,2,3]]}', b'{"instances":[[1,2,3]],"instances":[]}',
    b'{"instances":[[1,2,"3"]]}', b'{"instances":[[1,2,null]]}', b'{"instances":[[1,2,NaN]]}',
    b'{"instances":[[true]]}',
    b'{"instances":[[[1,2,3]]]}', b'{"instances":[[]]}', b'{"instances":[ [1,2,3] ]}', b'{"instances":{"a":[[1,2,3]]}}',
    b'{"signature_name":"[[1,2,3]]","instances":[5]}', b'{"x":"[[1,2,3]]","instances":[[1,2,3],[4,5,6]]}',
    b'{"instances":[[1,2,3]],"signature_name":"none"}', b'{"instances":[[1,2,3]],"signature_name":5}',
    b'{"instances":[[1,2,3]],"x":{"b64":"!"}}', b'{"instances":[[1,2,3]],"x":"\\ud800"}', b'{"instances":[[1,2,3]]}}',
    b'{"instances":[[1,2,3]],"x":"' + b"x" * 300 + b'"}', b'{"instances":[[' + b"1," * 9000 + b"1]]}",
    b'{"instances":' + b"[" * 70 + b"1" + b"]" * 70 + b"}", b'{"instances":[["[[1]]"]]}', b'\xff{"instances":[[1]]}',
])  # fmt: skip
def test_any_other_body_is_left_to_the_ordinary_way(body: bytes) -> None:
    assert v1_batch.cut(body) is None


@pytest.mark.parametrize("numbers", [
    b"1,2", b"1,2,3,4", b"", b"1,2,", b",1,2", b"1 2 3", b"01,2,3", b"1,2,1e999", b"+1,2,3", b"1,2,3.", b"1,,3", b"-",
    b"7" * 400 + b",2,3", b"1,2,3,", b"e", b" ",
])  # fmt: skip
def test_one_row_that_is_none_is_no_row_of_the_others(numbers: bytes) -> None:
    assert rows.read([b"1,2,3", numbers, b"4,5,6"]) is None


@pytest.mark.parametrize("body", [
    GOOD_V2.replace(b"FP64", b"FP32"), GOOD_V2.replace(b"[1,3]", b"[3,1]"), GOOD_V2.replace(b"[1,3]", b"[0,3]"),
    GOOD_V2[:-1] + b',"id":"mine"}', GOOD_V2.replace(b'"name"', b'"nome"'), GOOD_V2.replace(b"1,2.5", b'"1",2.5'),
    GOOD_V2.replace(b"1,2.5", b"[1],2.5"), GOOD_V2[:-1], GOOD_V2 + b"x", b"[" + GOOD_V2 + b"]",
    GOOD_V2[:-1] + b',"outputs":[{"name":"y","parameters":{"classification":2}}]}', b'"data"', b'"data":[1]',
    GOOD_V2[:-1] + b',"outputs":[{"name":"y"},{"name":"y"}]}', GOOD_V2[:-1] + b',"parameters":{"x":[1]}}',
    GOOD_V2.replace(b"]}]", b'],"parameters":{"binary_data_size":24}}]'), b"", b"{}",
    GOOD_V2.replace(b"]}]", b'],"parameters":{"shared_memory_region":"x"}}]'),
    GOOD_V2.replace(b"}]", b'},{"name":"b","shape":[1],"datatype":"FP64","data":[1]}]'),
])  # fmt: skip
def test_any_other_inference_is_left_to_the_ordinary_way(body: bytes) -> None:
    assert v2_batch.cut(GOOD_V2) is not None
    assert v2_batch.cut(body) is None


def test_inferences_in_one_frame_are_read_together() -> None:
    given = (b"1,2,3", b" 4, 5.5,6e2 ", b"18446744073709551615,-0.0,1")
    bodies = [GOOD_V2.replace(b"1,2.5,-3e2", row) for row in given]
    assert as_alone(v2_batch, v2_load, bodies, THREE)
    more = b',"outputs":[{"name":"predict"}],"parameters":{"binary_data_output":true}}'
    assert as_alone(v2_batch, v2_load, [body[:-1] + more for body in bodies], THREE)


def raw(size: int = 24, shape: str = "[1,3]", datatype: str = "FP64", more: str = "") -> bytes:
    return (f'{{"inputs":[{{"name":"input-0","shape":{shape},"datatype":"{datatype}",'
            f'"parameters":{{"binary_data_size":{size}}}}}]{more}}}').encode()  # fmt: skip


def test_raw_rows_are_read_together() -> None:
    head = raw(more=',"outputs":[{"name":"predict","parameters":{"binary_data":true}}]')
    length = str(len(head))
    bodies = [head + np.array(row, "<f8").tobytes() for row in ([1, 2, 3], [4, -0.0, 1e300], [np.inf, -np.inf, 5e-324])]
    found = [v2_batch.cut(body, length) for body in bodies]
    frames, numbers = zip(*[one for one in found if one is not None], strict=True)
    assert len(frames) == len(bodies)
    assert all(frame is frames[0] for frame in frames)
    together = v2_batch.gather(TARGET, frames[0], numbers)
    assert together is not None
    arrays, asked = learnt(together, THREE)
    assert arrays["input-0"].flags.writeable
    for row, body in enumerate(bodies):
        alone, asked_alone = learnt(v2.load(body, TARGET, length), THREE)
        assert asked == asked_alone
        assert bits(arrays["input-0"][row : row + 1]) == bits(alone["input-0"])


@pytest.mark.parametrize(("head", "tail", "length"), [
    (raw(), 23, None), (raw(), 25, None), (raw(), 0, None), (raw(16), 24, None), (raw(datatype="INT64"), 24, None),
    (raw(shape="[3,1]"), 24, None), (raw(more=',"id":"mine"'), 24, None), (raw(), 24, "0"), (raw(), 24, "x"),
    (raw(), 24, "9" * 30), (raw(), 24, "-1"), (raw(), 24, "100000"), (raw(), 24, "٣"),
    (raw(shape="[1,0]", size=0), 0, None), (GOOD_V2, 0, None),
    (raw(more=',"parameters":{"x":"' + "x" * 600 + '"}'), 24, None),
])  # fmt: skip
def test_any_other_raw_body_is_left_to_the_ordinary_way(head: bytes, tail: int, length: str | None) -> None:
    assert v2_batch.cut(raw() + bytes(24), str(len(raw()))) is not None
    assert v2_batch.cut(head + bytes(tail), str(len(head)) if length is None else length) is None


# -- answers ----------------------------------------------------------------------------------------

OUTPUTS: dict[str, Array] = {
    "doubles": np.array([[0.1], [1e300], [-0.0], [3.0]]), "several": np.array([[0.1, 1 / 3, 2.0]] * 4),
    "integers": np.array([[1], [-(2**63)], [2**63 - 1], [0]]), "unsigned": np.array([[2**64 - 1]] * 4, "u8"),
    "many": np.linspace(-1e-9, 1e9, 80).reshape(4, 20),
}  # fmt: skip
ODD: dict[str, Array] = {
    "text": np.array([["a,b"], ["],["], ['"'], [""]], dtype=object), "singles": np.array([[0.1]] * 4, "f4"),
    "bits": np.array([[True], [False], [True], [True]]), "nan": np.array([[np.nan], [1], [2], [3]]),
    "infinite": np.array([[1.0, np.inf]] * 4), "halves": np.array([[0.1]] * 4, "f2"),
}  # fmt: skip
TYPES = {"text": "BYTES", "singles": "FP32", "bits": "BOOL", "integers": "INT64", "unsigned": "UINT64",
         "halves": "FP16"}  # fmt: skip
TOLD = Assignment("r", 1, 0, 5, "candidate", "candidate", "key", 7, "signed.id")
BARE = Assignment("r", 1, 0, 5, "control", "control", "key", 7, None)


def response(outputs: dict[str, Array], own_id: str | None = None, told: Assignment | None = None) -> InferenceResponse:
    return InferenceResponse("m", 3, outputs, {n: TYPES.get(n, "FP64") for n in outputs}, own_id, None, told)


def row_of(outputs: dict[str, Array], row: int) -> dict[str, Array]:
    return {name: array[row : row + 1] for name, array in outputs.items()}


@pytest.mark.parametrize("body", [GOOD_V1, GOOD_V1.replace(b"instances", b"inputs")])
@pytest.mark.parametrize("name", OUTPUTS)
def test_v1_answers_are_written_apart_as_each_alone(name: str, body: bytes) -> None:
    request, outputs = v1_load(body), {name: OUTPUTS[name]}
    written = v1_batch.scatter(response(outputs), request)
    assert written == [predict.dump(response(row_of(outputs, row)), request) for row in range(4)]


@pytest.mark.parametrize("name", ODD)
def test_v1_leaves_texts_and_what_json_has_no_number_for(name: str) -> None:
    assert v1_batch.scatter(response({name: ODD[name]}), v1_load(GOOD_V1)) is None


BINARY = GOOD_V2[:-1] + b',"parameters":{"binary_data_output":true}}'


@pytest.mark.parametrize("body", [GOOD_V2, BINARY], ids=["json", "binary"])
@pytest.mark.parametrize("names", [
    *([name] for name in (*OUTPUTS, "singles", "bits", "nan", "infinite")), ["several", "integers"],
    ["integers", "bits", "nan"],
], ids=str)  # fmt: skip
def test_v2_answers_are_written_apart_as_each_alone(names: list[str], body: bytes) -> None:
    asked, outputs = v2.load(body, TARGET), {name: {**OUTPUTS, **ODD}[name] for name in names}
    ids, told = [str(uuid.uuid4()) for _ in range(4)], [None, TOLD, BARE, None]
    written = v2_batch.scatter(response(outputs), asked, ids, told)
    assert written == [
        v2.dump(response(row_of(outputs, row), ids[row], told[row]), asked) for row in range(4)
    ]


def test_v2_leaves_what_needs_more_than_numbers() -> None:
    some = json.dumps([{"name": "several", "parameters": {"binary_data": True}}, {"name": "doubles"}]).encode()
    mixed = v2.load(GOOD_V2[:-1] + b',"outputs":' + some + b"}", TARGET)
    ids = ["i"] * 4
    assert v2_batch.scatter(response({"several": OUTPUTS["several"], "doubles": OUTPUTS["doubles"]}), mixed, ids,
                            [None] * 4) is None  # fmt: skip
    for name in ("text", "halves"):
        assert v2_batch.scatter(response({name: ODD[name]}), v2.load(GOOD_V2, TARGET), ids, [None] * 4) is None
