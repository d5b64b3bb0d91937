"""JSON bodies: bytes to Python values within the contract's limits, and answers back to bytes."""

import json
import re
from typing import Any, NoReturn

import numpy as np
import orjson

from mlapi.errors import InvalidRequest

DEEPEST = 64
_OTHER = bytes(set(range(256)) - set(b'[]{}"'))
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_TEXT = re.compile(rb'"[^"]*"')
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def decode(data: bytes) -> dict[str, Any]:
    """Return the JSON object in `data`; the tokens NaN, Infinity and -Infinity are numbers.

    Raises InvalidRequest on an empty body, bytes that are not UTF-8 JSON, nesting beyond 64 levels,
    numbers beyond the doubles, texts that UTF-8 cannot write, and anything but an object at the top.
    """
    if not data or data.isspace():
        raise InvalidRequest(["the body is empty; expected a JSON object"])
    if _depth(data) > DEEPEST:
        raise InvalidRequest([f"the JSON is nested deeper than {DEEPEST} levels"])
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = _decode_tokens(data)
    if not isinstance(value, dict):
        raise InvalidRequest(["the body is not a JSON object; expected {...} at the top"])
    return value


def parsed(data: bytes) -> Any:  # noqa: ANN401 (any JSON)
    """Return the value of an answer that `encode` or `encode_tokens` wrote."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:  # the bare tokens of V1
        return json.loads(data)


def encode(value: object) -> bytes:
    """Return compact JSON; numpy arrays row-major; NaN and infinities as null (V2's form)."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def encode_tokens(value: object) -> bytes:
    """Return compact JSON; NaN and infinities as the bare tokens that TensorFlow Serving documents."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _depth(data: bytes) -> int:
    """Return the deepest nesting, by looking at brackets outside of texts; costs no recursion."""
    if data.count(b"[") + data.count(b"{") <= DEEPEST:
        return 0
    bare = _ESCAPE.sub(b"", data) if b"\\" in data else data
    brackets = bare.translate(None, _OTHER).replace(b'""', b"")  # texts without a bracket, which most are
    if b'"' in brackets:
        brackets = _TEXT.sub(b"", bare.translate(None, _OTHER)).replace(b'"', b"")
    codes = np.frombuffer(brackets, dtype=np.uint8)
    opening = (codes == ord("[")) | (codes == ord("{"))
    return int(np.cumsum(np.where(opening, 1, -1)).max(initial=0))


def _decode_tokens(data: bytes) -> Any:  # noqa: ANN401 (any JSON)
    """The road for bodies with NaN or Infinity; also finds the words for what is wrong."""
    try:
        value = json.loads(data.decode("utf-8"), parse_float=_double)
        if _SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidRequest(["a text in the body holds half of a surrogate pair"]) from None
    except UnicodeDecodeError:
        raise InvalidRequest(["the body is not UTF-8 text; expected JSON in UTF-8"]) from None
    except json.JSONDecodeError as error:
        what = f"{error.msg[:1].lower()}{error.msg[1:]} at line {error.lineno}, column {error.colno}"
        raise InvalidRequest([f"the body is not valid JSON: {what}"]) from None
    except (ValueError, RecursionError):  # an integer of thousands of digits; depth is checked before
        _overflow()
    return value


def _double(text: str) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        _overflow()
    return value


def _overflow() -> NoReturn:
    raise InvalidRequest(["a number in the body is beyond the range of doubles"])
