"""The model card: all that is known of a version, in Markdown that its texts cannot break."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from mlapi.registry import card
from mlapi.registry.manifest import Manifest
from mlapi.registry.publishing import publish_model
from mlapi.registry.store import Store

Add = Callable[..., Manifest]


def test_the_card_says_what_the_publisher_said(add: Add) -> None:
    text = card.render(add(note="a *note*", metrics={"r2": 0.123456789}, intended_use="this", limits=["not that"]))
    parts = ["# Model card: line", "a *note*", "| r2 | 0.123457 |", "## Intended use\n\nthis", "- not that", "input-0"]
    assert [part for part in parts if part not in text] == []


def test_what_was_not_said_is_said_to_be_so(add: Add) -> None:
    assert card.render(add()).count(card.NOT_SAID) == 4


def test_the_card_describes_columns_with_ranges_and_categories(store: Store, mixed: Any, table: pd.DataFrame) -> None:
    text = card.render(publish_model(mixed, "m", registry=store.root, sample=table, unseen="refuse"))
    assert "| city | BYTES | [-1, 1] | allowed | north, south, west (others refused) |" in text
    assert "in the sample |" in text


def test_texts_in_tables_stay_in_their_cells(add: Add) -> None:
    text = card.render(add(metrics={"a|b\nc": 1.0}, training={"rounds": [{"x|y": "1\n2"}], "deep": {"k": [1]}, "n": 3}))
    assert "| a\\|b c | 1 |" in text
    assert "| x\\|y |" in text
    assert "| 1 2 |" in text
    assert '```json\n{"k": [1]}\n```' in text
    assert "- n: 3" in text


def test_the_card_in_the_registry_is_that_of_its_manifest(add: Add, store: Store) -> None:
    published = add(note="n")
    assert (store.folder("line", 1) / card.FILE).read_text() == card.render(published)
