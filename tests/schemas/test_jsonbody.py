"""JSON within the contract's limits: what is read, what is refused, and in which words."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlapi.errors import InvalidRequest
from mlapi.schemas import jsonbody

DEEP = "the JSON is nested deeper than 64 levels"
BEYOND = "a number in the body is beyond the range of doubles"
NO_OBJECT = "the body is not a JSON object; expected {...} at the top"
HALF = "a text in the body holds half of a surrogate pair"
EMPTY = "the body is empty; expected a JSON object"
NO_UTF8 = "the body is not UTF-8 text; expected JSON in UTF-8"


def refused(data: bytes) -> str:
    with pytest.raises(InvalidRequest) as refusal:
        jsonbody.decode(data)
    return str(refusal.value)


def nested(levels: int, inside: bytes = b"") -> bytes:
    """Return an object that nests `levels` deep, itself included."""
    return b'{"a":' + b"[" * (levels - 1) + inside + b"]" * (levels - 1) + b"}"


@pytest.mark.parametrize(("data", "value"), [
    (b"{}", {}),
    (b' \t\r\n{"a": 1} \n', {"a": 1}),
    (b'{"a": 1, "a": 2}', {"a": 2}),
    (b'{"a": NaN, "a": [1, NaN, 2, NaN], "a": 3}', {"a": 3}),
    (b'{"a": [Infinity, -Infinity, 1e308]}', {"a": [math.inf, -math.inf, 1e308]}),
    (b'{"a": 18446744073709551615}', {"a": 2**64 - 1}),
    (b'{"a": -9223372036854775808}', {"a": -(2**63)}),
    ('{"ü": "☃ \\u2603 \\ud83d\\ude00"}'.encode(), {"ü": "☃ ☃ 😀"}),
    (b'{"a": NaN, "b": "\\ud83d\\ude00", "a": 1}', {"a": 1, "b": "😀"}),
    (b'{"a": "\\\\ud800", "b": NaN, "b": 1}', {"a": "\\ud800", "b": 1}),
    (b'{"a": "\\\\\\"]]]{{{"}', {"a": '\\"]]]{{{'}),
], ids=str)  # fmt: skip
def test_an_object_is_read(data: bytes, value: Any) -> None:
    assert jsonbody.decode(data) == value


def test_the_token_nan_is_a_number() -> None:
    assert math.isnan(jsonbody.decode(b'{"a": NaN}')["a"])


@pytest.mark.parametrize(("data", "sentence"), [
    (b"", EMPTY), (b" \r\n\t", EMPTY),
    (b"[]", NO_OBJECT), (b"1", NO_OBJECT), (b'"{}"', NO_OBJECT), (b"null", NO_OBJECT), (b"NaN", NO_OBJECT),
    (b"[" * 10 + b"NaN" + b"]" * 10, NO_OBJECT),
    ('{"a": "ü"}'.encode("latin-1"), NO_UTF8), ('{"a": 1}'.encode("utf-16"), NO_UTF8),
    (b'{"a": "\xed\xa0\x80"}', NO_UTF8),
    (b'{"a": 1e400}', BEYOND), (b'{"a": -1e400}', BEYOND), (b'{"a": NaN, "b": 1e400}', BEYOND),
    (b'{"a": ' + b"7" * 5000 + b"}", BEYOND), (b'{"a": NaN, "b": -' + b"7" * 5000 + b"}", BEYOND),
    (b'{"a": "\\ud800"}', HALF), (b'{"\\uDFFF": 1}', HALF), (b'{"a": NaN, "b": ["\\udc00x"]}', HALF),
    (b'{"a": "\\ude00\\ud83d"}', HALF),
])  # fmt: skip
def test_what_the_contract_excludes_is_refused_in_its_own_words(data: bytes, sentence: str) -> None:
    assert refused(data) == sentence


@pytest.mark.parametrize("data", [
    b"{", b"}", b'{"a"}', b'{"a": }', b"{'a': 1}", b'{"a": 1,}', b'{"a": [1,]}', b'{"a": 01}', b'{"a": 1.}',
    b'{"a": .5}',
    b'{"a": +1}', b'{"a": 0x10}', b'{"a": 1_0}', b'{"a": nan}', b'{"a": inf}', b'{"a": +Infinity}', b'{"a": True}',
    b'{"a": "\x00"}', b'{"a": "\n"}', b'{"a": "\\x41"}', b'{"a": "\\u12"}', b'{"a": "', b'{"a": "\\',
    b"/**/{}", b"{} {}", b'{"a": 1}x',
    b'{"a": 1}\x00', b"\xef\xbb\xbf{}", b'{"a": 1}]', b"\x0b{}", "{\u00a0}".encode(), b'{"a": NaN} trailing',
])  # fmt: skip
def test_what_is_no_json_is_refused_with_a_line_and_a_column(data: bytes) -> None:
    sentence = refused(data)
    assert sentence.startswith("the body is not valid JSON: ")
    assert " at line 1, column " in sentence


def test_the_place_of_a_syntax_error_is_told() -> None:
    assert refused(b'{"a": 1,\n "b": secret}').endswith(" at line 2, column 7")
    assert "secret" not in refused(b'{"a": 1,\n "b": secret}')


def test_sixty_four_levels_are_read_and_sixty_five_are_not() -> None:
    assert jsonbody.decode(nested(64, b"1"))["a"][0][0] is not None
    assert refused(nested(65, b"1")) == DEEP


def test_nesting_counts_depth_and_not_brackets() -> None:
    assert len(jsonbody.decode(b'{"a": [' + b",".join([b"[[1], {}]"] * 1000) + b"]}")["a"]) == 1000


@pytest.mark.parametrize("text", [
    b"[" * 200, b"{[" * 100,
    b'\\"' + b"[" * 200, b"\\\\" + b"[" * 200, b'\\\\\\"' + b"[" * 200, b"]" * 200 + b"[" * 200,
])  # fmt: skip
def test_brackets_inside_of_texts_are_no_nesting(text: bytes) -> None:
    data = b'{"a": "' + text + b'", "b": [1]}'
    assert jsonbody.decode(data) == json.loads(data)


@pytest.mark.parametrize("text", [b'"\\\\"', b'"\\\\\\\\"', b'"]]]]"', b'"\\"]]]"', b'"\\"", "]"'])
def test_texts_do_not_hide_the_nesting_beside_them(text: bytes) -> None:
    assert refused(b'{"t": [' + text + b'], "a": ' + nested(64) + b"}") == DEEP
    assert refused(b'{"a": ' + nested(64, text) + b"}") == DEEP


@pytest.mark.parametrize("data", [
    b"[" * 60_000, b'{"a":' * 60_000, b'{"a": ' + b"[" * 60_000 + b"]" * 60_000 + b"}", b"[{}," * 60_000,
    b'"' + b"[" * 60_000,
    b"]" * 60_000 + b"[" * 60_000 + b"{}", b"\xff" + b"[" * 60_000, b"\\" * 3 + b"[" * 60_000,
], ids=range(8))  # fmt: skip
def test_sixty_thousand_levels_never_reach_a_recursive_parser(data: bytes) -> None:
    refused(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), json_values, max_size=5), st.booleans())
def test_every_object_that_python_writes_is_read_back(value: dict[str, Any], plain: bool) -> None:
    """Through both parsers, since floats may be the tokens Infinity and -Infinity."""
    text = json.dumps(value, ensure_ascii=plain)
    assert jsonbody.decode(text.encode("utf-8")) == value


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_a_refusal(data: bytes) -> None:
    for body in (data, b'{"a":' + data, b'{"a": NaN, "b": "' + data):
        try:
            assert isinstance(jsonbody.decode(body), dict)
        except InvalidRequest:
            continue


def test_arrays_are_written_in_the_shortest_digits_of_their_own_datatype() -> None:
    arrays = {"a": np.array([0.1, 1e-7, 3.4028235e38], "f4"), "b": np.array([0.1]), "c": np.array([True]),
              "d": np.array([2**64 - 1], "u8")}  # fmt: skip
    body = b'{"a":[0.1,1e-7,3.4028235e+38],"b":[0.1],"c":[true],"d":[18446744073709551615]}'
    assert jsonbody.encode(arrays).replace(b"e38", b"e+38") == body  # older orjson leaves the plus out


def test_numbers_that_are_not_finite_are_null_or_tokens() -> None:
    values = [math.nan, math.inf, -math.inf, 0.5]
    assert jsonbody.encode({"a": np.array(values)}) == b'{"a":[null,null,null,0.5]}'
    assert jsonbody.encode_tokens({"a": values}) == b'{"a":[NaN,Infinity,-Infinity,0.5]}'


def test_text_is_written_as_utf8() -> None:
    assert jsonbody.encode({"a": "☃"}) == jsonbody.encode_tokens({"a": "☃"}) == '{"a":"☃"}'.encode()
