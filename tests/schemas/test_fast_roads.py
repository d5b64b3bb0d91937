"""Whatever is sent, the fast roads and the slow one say the same: the same arrays bit by bit, or the same sentence."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlapi.errors import InvalidRequest
from mlapi.inference import conform as conforming
from mlapi.inference import table as tabled
from mlapi.inference import wholecolumns
from mlapi.inference.signature import Form, Signature, TensorSpec
from mlapi.inference.values import InferenceRequest, Numbers, Rows, Target
from mlapi.schemas import csvbody, invocations, rectangles, v2
from mlapi.schemas.v1 import predict
from mlapi.schemas.v2 import plain, request

TARGET = Target("m")
OUTPUTS = (TensorSpec("predict", "FP64", (-1, 1)),)
EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

NAMES = ("a", "b", "c")


def matrix(datatype: str, width: int, features: tuple[str, ...] = (), **options: Any) -> Signature:
    return Signature("matrix", (TensorSpec("input-0", datatype, (-1, width), **options),), OUTPUTS, features)


def columns(**datatypes: str) -> Signature:
    form: Form = "columns"
    city: dict[str, Any] = {"categories": ("oslo", "rome"), "unseen": "refuse"}
    return Signature(form, tuple(
        TensorSpec(name, datatype, (-1, 1), **(city if name == "city" else {})) for name, datatype in datatypes.items()
    ), OUTPUTS)  # fmt: skip


SIGNATURES = [
    matrix("FP64", 3), matrix("FP64", 3, NAMES, nullable=True), matrix("FP32", 3, NAMES), matrix("INT64", 3, NAMES),
    matrix("FP64", 1), matrix("FP64", 3, ("input-0", "b", "c")),
    columns(a="FP64", b="FP64", c="FP64"), columns(a="INT64", b="FP32", c="BOOL"), columns(a="BYTES", city="BYTES"),
    columns(a="UINT8", b="UINT64", c="FP64"), columns(a="FP64"), columns(a="INT64"), columns(city="BYTES"),
]  # fmt: skip

# -- two roads ------------------------------------------------------------------------------------


def nothing(*_: object, **__: object) -> None:
    """What a fast road says that leaves everything to the slow one."""


FAST: list[tuple[Any, str]] = [
    (predict, "plain"), (predict, "_framed"), (predict, "_lifted"),
    (plain, "loaded"), (plain, "filled"), (rectangles, "lift"),
    (request, "_straight"), (conforming, "fitting"), (csvbody, "_split"),
    (tabled, "whole_column"), (tabled, "straight"),
]  # fmt: skip


@contextmanager
def only_slow() -> Iterator[None]:
    with ExitStack() as stack:
        for module, name in FAST:
            stack.enter_context(patch.object(module, name, nothing))
        stack.enter_context(patch.object(conforming, "refused", lambda *_: True))  # look at every value
        yield


def bits(array: Any) -> Any:
    return array.dtype.str, array.shape, array.tolist() if array.dtype == object else array.tobytes()


def outcome(load: Callable[[], InferenceRequest], signature: Signature) -> Any:
    """Return all that the core learns of a request, or the refusal."""
    try:
        asked = load()
        inputs = asked.inputs
        arrays = {name: bits(array) for name, array in conforming.conform(inputs, signature).items()}
    except InvalidRequest as refusal:
        return type(refusal), refusal.faults, str(refusal)
    by_row = inputs.by_row if isinstance(inputs, Numbers) else type(inputs) is Rows
    wanted = (asked.wanted, asked.binary) if isinstance(asked, v2.Asked) else None
    return arrays, by_row, asked.outputs, asked.id, asked.parameters, wanted


def alike(load: Callable[[], InferenceRequest], signature: Signature) -> None:
    with only_slow():
        expected = outcome(load, signature)
    assert outcome(load, signature) == expected
    with patch.object(rectangles, "LARGE", 1), patch.object(wholecolumns, "MANY", 1):
        assert outcome(load, signature) == expected
        with patch.object(predict, "_framed", nothing):
            assert outcome(load, signature) == expected


# -- bodies as text, good and bad -------------------------------------------------------------------

GOOD = st.sampled_from(["0", "1", "-0", "-0.0", "2.5", "1e3", "1E-7", "123456789.125", "255", "3.0", "-17"])
EDGE = st.sampled_from([
    "1e400", "-1e400", "1e-400", "5e-324", "1.7976931348623157e308", "0.1", "9007199254740993", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
    "18446744073709551616", "7" * 400, "NaN", "Infinity", "-Infinity", "1e39", "256", "-1",
])  # fmt: skip
ODD = st.sampled_from([
    "true", "false", "null", '"x"', '"1"', '"oslo"', '"\\u0031"', '"é"', '"[1"', '"#0"', '"\\ud800"', "{}", "[]", "[1]",
    "[[1]]", "[1,2]", '{"b64":"b3Nsbw=="}', '{"b64":"!"}', '{"a":1}', "01", "1.", ".5", "+1", "tru", "nan", "", "1 2",
    "[" * 70 + "]" * 70,
])  # fmt: skip
TEXT = st.sampled_from(['"oslo"', '"rome"', '"x"', '"é"', '""', '"null"', '{"b64":"b3Nsbw=="}'])
SPACE = st.sampled_from(["", "", "", " ", "\n", "\t \r\n"])


@st.composite
def values(draw: st.DrawFn) -> str:
    """Return one value: mostly a number, seldom what breaks an array."""
    kind = draw(st.integers(0, 40))
    return draw(EDGE if kind == 0 else ODD if kind == 1 else TEXT if kind == 2 else GOOD)


def listed(items: list[str], space: str = "") -> str:
    return f"[{space}" + f"{space},{space}".join(items) + f"{space}]"


def named(members: list[tuple[str, str]], space: str = "") -> str:
    return f"{{{space}" + f",{space}".join(f'"{name}"{space}:{space}{value}' for name, value in members) + f"{space}}}"


@st.composite
def lists(draw: st.DrawFn) -> str:
    """Return rows of one width, or of nearly one."""
    width, kind, space = draw(st.integers(1, 4)), draw(st.sampled_from(["flat", "rows", "rows", "deep"])), draw(SPACE)
    n = draw(st.integers(0, 5))
    one = values()
    if kind == "flat":
        return listed(draw(st.lists(one, min_size=n, max_size=n)), space)
    rows = [draw(st.lists(one, min_size=width, max_size=width)) for _ in range(n)]
    if rows and draw(st.integers(0, 9)) == 0:
        draw(st.sampled_from(rows)).extend(draw(st.lists(one, max_size=2)))
    if rows and draw(st.integers(0, 9)) == 0:
        draw(st.sampled_from(rows)).clear()
    text = [listed([f"[{value}]" for value in row] if kind == "deep" else row, space) for row in rows]
    return listed(text, space)


@st.composite
def objects(draw: st.DrawFn, names: tuple[str, ...]) -> str:
    rows, space = [], draw(SPACE)
    for _ in range(draw(st.integers(1, 3))):
        members = [(name, draw(TEXT if name == "city" else values())) for name in names]
        if draw(st.integers(0, 9)) == 0:
            members.append((draw(st.sampled_from([*names, "z", "input-0"])), draw(values())))
        if draw(st.integers(0, 9)) == 0:
            members.pop()
        rows.append(named(draw(st.permutations(members)), space))
    return listed(rows, space)


@st.composite
def by_column(draw: st.DrawFn, names: tuple[str, ...]) -> str:
    n, nested = draw(st.integers(0, 3)), draw(st.booleans())
    members = []
    for name in names:
        size = n + (draw(st.integers(0, 9)) == 0)
        column = draw(st.lists(TEXT if name == "city" else values(), min_size=size, max_size=size))
        members.append((name, listed([f"[{value}]" for value in column] if nested else column)))
    return named(draw(st.permutations(members)), draw(SPACE))


EXTRA = st.sampled_from([
    ("signature_name", '"serving_default"'), ("signature_name", '""'), ("signature_name", '"predict"'),
    ("signature_name", "5"), ("signature_name", "null"), ("id", '"i"'), ("id", "null"), ("id", "7"), ("id", '"é\\n"'),
    ("x", '{"b64":"!"}'), ("x", '{"data":[1,2,3]}'), ("x", '{"data":[1,,3]}'), ("x", '{"data":"#0"}'), ("x", "1e400"),
    ("x", "NaN"), ("x", '"\\"data\\":[1]"'), ("x", '"\\"instances\\":[[1,2,3]]"'), ("parameters", '{"a":[1]}'),
    ("parameters", "null"), ("parameters", '{"binary_data_output":true}'), ("parameters", '{"binary_data_output":1}'),
    ("outputs", "[]"), ("parameters", '{"content_type":"base64"}'), ("outputs", '[{"name":"predict"}]'),
    ("outputs", '[{"name":5}]'), ("outputs", '[{"name":"y","parameters":{"binary_data":true}},{"name":"y"}]'),
    ("outputs", "null"), ("outputs", '[{"name":"y","parameters":{"classification":2}}]'), ("x", "[" * 70 + "]" * 70),
    ("instances", "[[1,2,3]]"), ("inputs", "[[1,2,3]]"), ("instances", "null"), ("inputs", "{}"), ("instances", "[]"),
])  # fmt: skip


@st.composite
def mangled(draw: st.DrawFn, text: str) -> bytes:
    """Return the text, seldom with a few bytes changed, left out or doubled."""
    data = bytearray(text.encode())
    for _ in range(draw(st.integers(-6, 2))):
        at = draw(st.integers(0, len(data) - 1))
        end = draw(st.integers(at, min(len(data), at + 4)))
        data[at:end] = draw(st.sampled_from([
            b"", b"[", b"]", b"{", b"}", b'"', b",", b":", b"\\", b"#", b"0", b"e", b"-", b" ", b"\xff", b"\x00", b"t",
            b"null", b"\xc3\xa9", bytes(data[at:end]) * 2,
        ]))  # fmt: skip
        data = data or bytearray(b" ")
    return bytes(data)


@st.composite
def documents(draw: st.DrawFn, *members: tuple[str, str]) -> bytes:
    found = list(members)
    if draw(st.integers(0, 2)) == 0:
        found += draw(st.lists(EXTRA, max_size=2))
    body = draw(SPACE) + named(draw(st.permutations(found)), draw(SPACE)) + draw(SPACE)
    return draw(mangled(body))


@st.composite
def v1_bodies(draw: st.DrawFn, signature: Signature) -> bytes:
    names = draw(st.sampled_from([signature.features or signature.input_names, signature.input_names]))
    member = draw(st.sampled_from(["instances", "inputs"]))
    form = objects(names) if member == "instances" else by_column(names)
    text = draw(form if draw(st.booleans()) else lists())
    if draw(st.integers(0, 9)) == 0:
        text = draw(values())
    return draw(documents((member, text)))


@st.composite
def tensors(draw: st.DrawFn, spec: TensorSpec, rows: int) -> str:
    """Return an input tensor as text: mostly as its signature has it."""
    shape, datatype = [rows, spec.width], spec.datatype
    if draw(st.integers(0, 9)) == 0:
        datatypes = ["FP64", "FP32", "INT64", "UINT64", "INT8", "BOOL", "BYTES", "FP16", "BF16", ""]
        datatype = draw(st.sampled_from(datatypes))
    if draw(st.integers(0, 9)) == 0:
        shape = draw(st.lists(st.integers(0, 4), max_size=3))
    count = int(np.prod(shape)) + (draw(st.integers(0, 15)) == 0)
    kind = {"BYTES": TEXT, "BOOL": st.sampled_from(["true", "false"])}.get(datatype, values())
    flat = draw(st.lists(kind, min_size=count, max_size=count))
    width = draw(st.sampled_from([0, spec.width, 1, 2]))
    data = listed([listed(flat[i : i + width]) for i in range(0, count, width)] if width else flat, draw(SPACE))
    name = spec.name if draw(st.integers(0, 15)) else draw(st.sampled_from(["a", "z", "", "é", "#0"]))
    members = [("name", json.dumps(name)), ("shape", json.dumps(shape)), ("datatype", json.dumps(datatype)),
               ("data", data)]  # fmt: skip
    if draw(st.integers(0, 9)) == 0:
        members.append(draw(st.sampled_from([
            ("parameters", "{}"), ("parameters", '{"content_type":"base64"}'), ("parameters", "null"), ("shape", "2"),
            ("parameters", '{"binary_data_size":8}'), ("parameters", '{"shared_memory_region":"x"}'), ("data", '"#0"'),
            ("data", "[1,2,3]"), ("name", "5"), ("x", "[1,2,3,4]"), ("shape", "[true]"), ("shape", "[3.0]"),
            ("parameters", '{"x":null}'), ("data", "5"), ("datatype", "[]"),
        ])))  # fmt: skip
    return named(draw(st.permutations(members)), draw(SPACE))


@st.composite
def v2_bodies(draw: st.DrawFn, signature: Signature) -> bytes:
    rows = draw(st.integers(1, 3))
    inputs = [draw(tensors(spec, rows)) for spec in signature.inputs]
    if draw(st.integers(0, 15)) == 0:
        inputs.append(draw(st.sampled_from([*inputs, "5", "null", "{}"])))
    return draw(documents(("inputs", listed(inputs, draw(SPACE)))))


@pytest.mark.parametrize("signature", SIGNATURES, ids=range(len(SIGNATURES)))
@EXAMPLES
@given(data=st.data())
def test_v1_says_the_same_on_every_road(signature: Signature, data: st.DataObject) -> None:
    body = data.draw(v1_bodies(signature))
    alike(lambda: predict.load(body, TARGET), signature)


@pytest.mark.parametrize("signature", SIGNATURES, ids=range(len(SIGNATURES)))
@EXAMPLES
@given(data=st.data())
def test_v2_says_the_same_on_every_road(signature: Signature, data: st.DataObject) -> None:
    body = data.draw(v2_bodies(signature))
    alike(lambda: v2.load(body, TARGET), signature)


@pytest.mark.parametrize("signature", SIGNATURES, ids=range(len(SIGNATURES)))
@EXAMPLES
@given(data=st.data())
def test_records_say_the_same_on_every_road(signature: Signature, data: st.DataObject) -> None:
    names = signature.features or signature.input_names
    body = data.draw(documents(("dataframe_records", data.draw(objects(names)))))
    alike(lambda: invocations.load(body, "application/json", TARGET, 10**6), signature)


CELL = st.sampled_from(
    ["1", "0", "-0", "-0 ", "-0.0", "2.5", "1e3", "1e-05", "1E-7", "255", "3.0", "-17", " 4", "007"],
)
ODD_CELL = st.sampled_from([
    "", " ", "nan", "NaN", "inf", "-Infinity", "1e400", "-1e400", "1_0", "٣", "\u00a01", "x", "true", "1.", ".5", "+1",
    "0x1", "[1", "2]", "[1]", "{}", "null", '"1"', '"1,2"', '"a\nb"', '"a""b"', "7" * 400, "9007199254740993",
    "9223372036854775808", "-9223372036854775808", "18446744073709551616", "\x1c1", "\x0b1", "\x85", "\u2028", "\x00",
    "1,2", 'a"b', "e", "-",
])  # fmt: skip
TEXT_CELL = st.sampled_from(["oslo", "rome", "oslo", "x", "é", '"rome"', ""])


@st.composite
def csv_bodies(draw: st.DrawFn, signature: Signature) -> bytes:
    """Return a CSV of the signature's columns: mostly numbers, seldom what is none."""
    names = list(signature.features or (["a", "b", "c"] if signature.form == "matrix" else signature.input_names))
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r", "\n\n"]))
    lines = [",".join(draw(st.permutations(names)))]
    for _ in range(draw(st.integers(0, 4))):
        row = []
        for name in names:
            odd = draw(st.integers(0, 20)) == 0
            row.append(draw(ODD_CELL if odd else TEXT_CELL if name == "city" else CELL))
        lines.append(",".join(row))
    return draw(mangled(draw(st.sampled_from(["", "", "\ufeff", "\n"])) + end.join(lines) + draw(SPACE)))


@pytest.mark.parametrize("signature", SIGNATURES, ids=range(len(SIGNATURES)))
@EXAMPLES
@given(data=st.data())
def test_a_csv_says_the_same_on_every_road(signature: Signature, data: st.DataObject) -> None:
    body = data.draw(csv_bodies(signature))
    alike(lambda: invocations.load(body, "text/csv", TARGET, 10**6), signature)


@pytest.mark.parametrize("size", [131_072, 131_073])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_csv_has_the_limit_of_its_reader_on_every_road(size: int, end: str) -> None:
    body = f"city{end}{'x' * size}{end}".encode()
    alike(lambda: invocations.load(body, "text/csv", TARGET, 10**6), columns(city="BYTES"))
