"""The grammar of names, labels and versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlapi.errors import InvalidName
from mlapi.registry.names import check_label, check_name, is_label, is_name, version_number

BAD_NAMES = [
    "", ".", "..", "a..b", "a/b", "a\\b", "../x", "/etc", ".hidden", "-dash", "_under", "a b", "a\n", "a\0", "ä",
    "a" * 129, "٣", "a\u202eb", "stats", "Stats", "HEAD", "head", "%2e%2e",
]  # fmt: skip


@pytest.mark.parametrize("name", ["a", "A", "0", "7.1", "house-prices", "a_b", "a.b.c", "a-", "a" * 128, "status"])
def test_names_of_the_grammar_are_taken_as_they_are(name: str) -> None:
    assert check_name(name) == name
    assert is_name(name)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_outside_the_grammar_are_refused_in_one_printable_line(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(InvalidName) as caught:
        check_name(name)
    assert str(caught.value).isascii() or "…" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


@given(st.text(max_size=140))
def test_no_accepted_name_can_leave_its_folder(text: str) -> None:
    if is_name(text):
        assert "/" not in text
        assert ".." not in text
        assert not text.startswith(".")
        assert text.isascii()
        assert text.isprintable()


@pytest.mark.parametrize("label", ["stable", "v1", "1a", "stats", "head", "1.0"])
def test_labels_are_names_that_are_no_numbers(label: str) -> None:
    assert check_label(label) == label


@pytest.mark.parametrize("label", ["1", "007", "", "..", "a b", "a\nb", ".x"])
def test_numbers_and_foreign_characters_are_no_labels(label: str) -> None:
    assert not is_label(label)
    with pytest.raises(InvalidName, match="cannot be a label"):
        check_label(label)


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("42", 42), (str(2**63 - 1), 2**63 - 1)])
def test_versions_are_plain_decimals(text: str, number: int) -> None:
    assert version_number(text) == number


@pytest.mark.parametrize(
    "text", ["0", "01", "-1", "+1", "1.0", "1e3", " 1", "1\n", "\u0661", "1_0", "", str(2**63), "9" * 30],
)
def test_other_spellings_of_numbers_are_no_versions(text: str) -> None:
    assert version_number(text) is None
