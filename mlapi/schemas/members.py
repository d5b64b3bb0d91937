"""Members of documents: marshmallow fields that convert nothing, so that what they pass is what was written."""

from typing import Any

from marshmallow import Schema, ValidationError, fields
from marshmallow.constants import RAISE


class Strict(Schema):
    """An object in which a member that is not declared is a fault: mistyped, it must not become a default."""

    class Meta:
        """marshmallow's options."""

        unknown = RAISE


class Answer(Strict):
    """An answer object."""


class Number(fields.Float):
    """A JSON number."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:  # noqa: ANN401 (marshmallow's signature)
        if type(value) not in {int, float}:
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Whole(fields.Integer):
    """A JSON integer."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ANN401, ARG002 (marshmallow's signature)
        if type(value) is not int:
            msg = "expected an integer"
            raise ValidationError(msg)
        return value


class Truth(fields.Boolean):
    """JSON's true or false."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ANN401, ARG002 (marshmallow's signature)
        if type(value) is not bool:
            msg = "expected true or false"
            raise ValidationError(msg)
        return value


class Values(fields.Raw):
    """A list that is not empty, whose values a schema judges whole, if at all."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ANN401, ARG002 (marshmallow's signature)
        if type(value) is not list or not value:
            msg = "expected a list of values"
            raise ValidationError(msg)
        return value


def values(items: dict[str, Any] | None = None, **options: Any) -> Values:  # noqa: ANN401 (marshmallow's options)
    """Return such a list whose description says what its `items` are, in JSON Schema."""
    described = {"type": "array", "minItems": 1, **({} if items is None else {"items": items})}
    return Values(metadata=described, **options)
