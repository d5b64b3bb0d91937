"""The classify and regress APIs: examples of named features, with a context they share."""

from typing import Any

import numpy as np
from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from mlapi.errors import InvalidRequest
from mlapi.inference.values import InferenceRequest, InferenceResponse, Rows, Target
from mlapi.schemas.envelope import Envelope, checked
from mlapi.schemas.v1 import values
from mlapi.schemas.v1.frames import SERVING_DEFAULT

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
OUTPUTS = {CLASSIFY: "predict_proba", REGRESS: "predict"}


def load(data: bytes, target: Target, signature: str) -> InferenceRequest:
    """Return the request in a body of `examples`; `signature` is the one that the verb stands for.

    Features of `context` are merged into every example. Raises InvalidRequest, also where a feature
    stands in both, and where another signature is named.
    """
    examples, named = checked(_EXAMPLES, values.decode(data))
    if named not in {"", SERVING_DEFAULT, signature}:
        raise InvalidRequest([f"signature_name: expected {SERVING_DEFAULT} or {signature} for this verb"])
    return InferenceRequest(target, Rows(examples), (OUTPUTS[signature],))


def dump_classes(response: InferenceResponse, _: InferenceRequest) -> bytes:
    """Return `results`: for each example a pair of label and score a class, in the model's order."""
    labels = [str(label) for label in response.classes or ()]
    scores = values.numbers(response.outputs[OUTPUTS[CLASSIFY]])
    results = [[[label, score] for label, score in zip(labels, row, strict=True)] for row in scores.tolist()]
    return values.encode({"results": results}, finite=bool(np.isfinite(scores).all()))


def dump_numbers(response: InferenceResponse, _: InferenceRequest) -> bytes:
    """Return `results`: a number for each example."""
    return values.encode({"results": values.numbers(response.outputs[OUTPUTS[REGRESS]][:, 0])})


class Examples(Envelope):
    """The request."""

    signature_name = fields.String(load_default="")
    context = fields.Dict(keys=fields.String(), load_default=dict)
    examples = fields.List(
        fields.Dict(keys=fields.String()), required=True,
        validate=validate.Length(min=1, error="Expected a non-empty list of objects."),
    )

    @validates_schema
    def _no_feature_twice(self, data: dict[str, Any], **_: object) -> None:
        context = data.get("context", {}).keys()
        if any(context & example.keys() for example in data.get("examples", ())):
            msg = "a feature of the context stands in an example as well; expected it in one of them"
            raise ValidationError(msg, "context")

    @post_load
    def _values(self, data: dict[str, Any], **_: object) -> tuple[list[dict[str, Any]], str]:
        shared = data["context"]
        examples = [{name: _scalar(value) for name, value in {**shared, **example}.items()}
                    for example in data["examples"]]  # fmt: skip
        return examples, data["signature_name"]


def _scalar(value: Any) -> Any:  # noqa: ANN401 (decoded JSON)
    """A list of one element is that element."""
    return value[0] if type(value) is list and len(value) == 1 else value


_EXAMPLES = Examples()
