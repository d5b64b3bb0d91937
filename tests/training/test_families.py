"""The table of families: looked up by name, chosen by task and size, explained in the docs."""

from pathlib import Path

import pytest

from mlapi.errors import TrainingError
from mlapi.training.families import FAMILIES, chosen, find, fitting

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def test_auto_takes_every_family_that_fits_the_task() -> None:
    kept, skipped = chosen("auto", "regression", 100)
    assert tuple(kept) == fitting("regression")
    assert [family.name for family in kept] == ["linear", "tree", "svm", "mlp", "forest", "boosting"]
    assert skipped == ()


def test_auto_leaves_out_what_a_large_table_would_take_too_long_for_and_says_so() -> None:
    kept, (reason,) = chosen("auto", "classification", 10_001)
    assert "svm" not in [family.name for family in kept]
    assert reason.startswith("svm left out")
    assert reason.endswith("ask for it with --family svm")


def test_a_family_asked_for_by_name_is_taken_at_any_size() -> None:
    kept, skipped = chosen("svm", "regression", 1_000_000)
    assert ([family.name for family in kept], skipped) == (["svm"], ())


def test_a_family_that_cannot_do_the_task_is_refused_with_those_that_can() -> None:
    with pytest.raises(TrainingError) as caught:
        chosen("linear", "classification", 100)
    assert str(caught.value) == (
        "family 'linear' does regression, and this is classification; "
        "expected one of logistic, tree, svm, mlp, forest, boosting"
    )


def test_an_unknown_family_is_refused_with_the_nearest() -> None:
    with pytest.raises(TrainingError, match="did you mean 'forest'"):
        find("forrest")
    with pytest.raises(TrainingError, match="expected auto, linear, logistic"):
        find("xyz")


@pytest.mark.parametrize("name", [family.name for family in FAMILIES])
def test_the_docs_explain_the_family_in_the_words_of_the_help(name: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    family = find(name)
    assert f"## {family.title}: `{name}`" in page
    assert family.when in page
