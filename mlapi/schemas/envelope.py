"""What the envelopes of all protocols share: checking members by marshmallow, naming every fault."""

from collections.abc import Iterator
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError

from mlapi.errors import InvalidAnswer
from mlapi.inference.faults import Faults
from mlapi.schemas import jsonbody


class Envelope(Schema):
    """A request object; members that are not declared are ignored, as both protocols ask."""

    class Meta:
        """marshmallow's options."""

        unknown = EXCLUDE


def checked(schema: Schema, document: dict[str, Any]) -> Any:  # noqa: ANN401 (what the schema's post_load makes)
    """Return what `schema` makes of `document`; InvalidRequest with every fault by its path."""
    try:
        return schema.load(document)
    except ValidationError as error:
        faults = Faults()
        faults.extend(_sentences(error.messages, ""))
        faults.raise_any()
        raise


def check_answer(schema: Schema, body: bytes) -> None:
    """Raise InvalidAnswer with every fault by its path, unless `body` is an answer that `schema` describes."""
    try:
        schema.load(jsonbody.parsed(body))
    except ValidationError as error:
        faults = "; ".join(_sentences(error.messages, ""))
        raise InvalidAnswer(f"the answer is not as {type(schema).__name__} has it: {faults}") from error


def _sentences(messages: Any, path: str) -> Iterator[str]:  # noqa: ANN401 (marshmallow's nested messages)
    if isinstance(messages, dict):
        for key, inner in messages.items():
            step = f"[{key}]" if isinstance(key, int) else ("" if key == "_schema" else f".{key}")
            yield from _sentences(inner, f"{path}{step}".lstrip("."))
        return
    for message in messages if isinstance(messages, list) else [messages]:
        text = str(message).rstrip(".")
        yield f"{path}: {text[:1].lower()}{text[1:]}" if path else text
