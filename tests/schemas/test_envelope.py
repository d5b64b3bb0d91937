"""Faults of an envelope are sentences with the path of the member, and never its value."""

import pytest
from marshmallow import ValidationError, fields, validates_schema

from mlapi.errors import InvalidRequest
from mlapi.schemas.envelope import Envelope, checked


class Leaf(Envelope):
    """One member."""

    size = fields.Integer(required=True, strict=True)


class Tree(Envelope):
    """A member, a list of leaves and a rule about the whole."""

    name = fields.String()
    leaves = fields.List(fields.Nested(Leaf))

    @validates_schema
    def _named(self, data: dict[str, object], **_: object) -> None:
        if "name" not in data:
            msg = "A name is needed."
            raise ValidationError(msg)


def test_what_fits_is_returned_and_unknown_members_are_dropped() -> None:
    assert checked(Tree(), {"name": "a", "leaves": [{"size": 1, "x": 2}], "y": 3}) == {
        "name": "a", "leaves": [{"size": 1}],
    }  # fmt: skip


def test_every_fault_is_named_by_its_path() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        checked(Tree(), {"name": 5, "leaves": [{"size": 1}, {}, {"size": "secret"}]})
    assert refusal.value.faults == (
        "name: not a valid string", "leaves[1].size: missing data for required field",
        "leaves[2].size: not a valid integer",
    )  # fmt: skip


def test_a_fault_of_the_whole_has_no_path() -> None:
    with pytest.raises(InvalidRequest, match=r"^A name is needed$"):
        checked(Tree(), {})


def test_more_than_twenty_faults_are_counted() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        checked(Tree(), {"name": "a", "leaves": [{}] * 30})
    assert (len(refusal.value.faults), refusal.value.total) == (20, 30)
