"""The explain API: a predict request in, predictions and their explanations out.

KServe V1 has the verb and leaves the answer to the explainer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import fields

from mlapi.inference.values import InferenceRequest, InferenceResponse, Target
from mlapi.schemas.members import Answer
from mlapi.schemas.v1 import predict, values


def load(data: bytes, target: Target) -> InferenceRequest:
    """Return the request in a body, which is that of predict. Raises InvalidRequest."""
    return predict.load(data, target)


def dump(response: InferenceResponse, method: str, explanations: Sequence[Mapping[str, Any]]) -> bytes:
    """Return `predictions`, `method`, and `explanations` in the same order, one a row (see `Explanation`)."""
    name, answer = next(iter(response.outputs.items()))
    rows = [_EXPLANATION.dump(explanation) for explanation in explanations]
    return values.encode({"predictions": values.outgoing(name, answer), "method": method, "explanations": rows})


class Explanation(Answer):
    """One row: `base_value` and all contributions add up to what the model's method `output` answers.

    `class` is the class that is explained, the predicted one; only classifiers have it.
    """

    base_value = fields.Float(required=True, allow_nan=True)
    contributions = fields.Dict(keys=fields.String(), values=fields.Float(allow_nan=True), required=True)
    output = fields.String(required=True)
    label = fields.Raw(data_key="class", metadata={"type": ["string", "integer", "boolean"]})


_EXPLANATION = Explanation()
