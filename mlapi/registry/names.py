"""The one grammar for names, versions and labels; nothing becomes part of a path without it."""

import re

from mlapi.errors import InvalidName
from mlapi.inference.faults import quoted

NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
VERSION = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
LARGEST_VERSION = 2**63 - 1
RESERVED = {"stats": "GET /v2/models/stats is the statistics of all models",
            "head": "the registry keeps its generation in a file of that name"}  # fmt: skip


def is_name(text: str) -> bool:
    """Tell whether `text` may name a model."""
    return NAME.fullmatch(text) is not None and text.lower() not in RESERVED


def check_name(text: str) -> str:
    """Return `text` if it may name a model, else raise InvalidName."""
    if text.lower() in RESERVED:
        msg = f"'{text}' cannot name a model: {RESERVED[text.lower()]}"
        raise InvalidName(msg)
    if not is_name(text):
        msg = (
            f"{quoted(text)} cannot name a model; expected 1 to 128 letters, digits, '.', '_' or '-', "
            "beginning with a letter or digit, without '..'"
        )
        raise InvalidName(msg)
    return text


def is_label(text: str) -> bool:
    """Tell whether `text` may be a label: a name that is not a number."""
    return NAME.fullmatch(text) is not None and not text.isdecimal()


def check_label(text: str) -> str:
    """Return `text` if it may be a label, else raise InvalidName."""
    if not is_label(text):
        msg = (
            f"{quoted(text)} cannot be a label; expected 1 to 128 letters, digits, '.', '_' or '-', "
            "not a number, such as 'stable'"
        )
        raise InvalidName(msg)
    return text


def version_number(text: str) -> int | None:
    """Return the version that `text` writes, or None: decimal, no sign, no leading zero, below 2^63."""
    if VERSION.fullmatch(text) is None:
        return None
    number = int(text)
    return number if number <= LARGEST_VERSION else None
