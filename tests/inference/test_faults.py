"""Faults of one request: counted all, named twenty, worded only where they are named."""

from typing import Any

import pytest

from mlapi.errors import InvalidRequest, SignatureMismatch
from mlapi.inference.faults import Faults, quoted


def raised(faults: Faults) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refusal:
        faults.raise_any()
    return refusal.value


def test_no_fault_raises_nothing() -> None:
    faults = Faults()
    faults.raise_any()
    assert not faults


def test_one_fault_is_its_own_sentence() -> None:
    faults = Faults()
    faults.add("a is wrong")
    assert str(raised(faults)) == "a is wrong"


def test_several_faults_are_numbered_and_raised_as_the_kind_asked_for() -> None:
    faults = Faults(SignatureMismatch)
    faults.extend(["a", "b"])
    error = raised(faults)
    assert type(error) is SignatureMismatch
    assert str(error) == "2 faults: (1) a; (2) b"


def test_the_twenty_first_is_counted_and_not_named() -> None:
    faults = Faults()
    faults.extend(str(i) for i in range(23))
    error = raised(faults)
    assert error.faults == tuple(str(i) for i in range(20))
    assert str(error).endswith("(20) 19; and 3 more")


def test_words_are_made_only_for_faults_that_are_named() -> None:
    """A body with a million faults must not cost a million sentences."""
    worded: list[int] = []

    def sentence(i: int) -> str:
        worded.append(i)
        return str(i)

    faults = Faults()
    faults.add("first")
    faults.each(range(1000), sentence)
    faults.each(range(1000), sentence)
    assert worded == list(range(19))
    assert raised(faults).total == 2001


def test_an_error_of_many_faults_names_twenty_even_when_raised_by_hand() -> None:
    error = InvalidRequest([str(i) for i in range(50)])
    assert (len(error.faults), error.total) == (20, 50)
    assert str(error).endswith("and 30 more")


@pytest.mark.parametrize(("name", "shown"), [
    ("plain", "'plain'"),
    ("a\r\nb\x00\x1b[1m", r"'a\r\nb\x00\x1b[1m'"),
    ("ü\ud800", r"'\xfc\ud800'"),
    ("x" * 61, f"'{'x' * 60}…'"),
    (7, "'7'"),
])  # fmt: skip
def test_a_quoted_name_is_printable_ascii_and_short(name: Any, shown: str) -> None:
    assert quoted(name) == shown
