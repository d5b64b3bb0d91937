"""V1's bodies for one signature, in JSON Schema."""

from typing import Any

from mlapi.inference.signature import Signature, TensorSpec
from mlapi.schemas.elements import Json, answered, batch, element, rows_of_exactly, strict
from mlapi.schemas.v1.answers import LABEL_AND_SCORE
from mlapi.schemas.v1.examples import CLASSIFY, REGRESS
from mlapi.schemas.v1.frames import PROBABILITIES, SERVING_DEFAULT

Classes = tuple[Any, ...] | None


def predict_request(signature: Signature) -> Json:
    """Return the members of a predict request that depend on the signature."""
    names = ["", SERVING_DEFAULT, *(name for name in signature.output_names if name == PROBABILITIES)]
    return {
        "instances": _one_form([batch(row) for row in _rows(signature)]),
        "inputs": _matrix_columns(signature) if signature.form == "matrix" else _columns(signature),
        "signature_name": {"type": "string", "enum": names},
    }


def predict_answer(signature: Signature, classes: Classes) -> Json:
    """Return the schema of both members of its answer: one value or list a row, of one of the outputs."""
    kinds = [_outgoing(spec, classes) for spec in signature.outputs]
    rows = batch(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})
    return {"predictions": rows, "outputs": rows}


def examples_request(signature: Signature, verb: str) -> Json:
    """Return the members of a classify or regress request that depend on the signature."""
    return {
        "examples": _one_form([batch(example) for example in _examples(signature)]),
        "context": {"type": "object", "description": "Features of all examples; each stands here or there."},
        "signature_name": {"type": "string", "enum": ["", SERVING_DEFAULT, {"classify": CLASSIFY}.get(verb, REGRESS)]},
    }


def classify_answer(classes: Classes) -> Json:
    """Return the member of its answer: for each example a pair of label and score for every class."""
    labels = [str(name) for name in classes or ()]
    pair = rows_of_exactly({"anyOf": [{"type": "string", "enum": labels}, {"type": "number"}]}, LABEL_AND_SCORE)
    return {"results": batch(rows_of_exactly(pair, len(labels)))}


def _rows(signature: Signature) -> list[Json]:
    """Return the forms of a row; all rows of a request have the same one."""
    if signature.form == "columns":
        named = strict({spec.name: element(spec) for spec in signature.inputs})
        listed = {"type": "array", "prefixItems": [element(spec) for spec in signature.inputs],
                  "minItems": len(signature.inputs), "maxItems": len(signature.inputs)}  # fmt: skip
        return [named, listed]
    spec = signature.inputs[0]
    values = rows_of_exactly(element(spec), spec.width)
    forms = [values, strict({spec.name: _scalar_or(values, spec)})]
    forms += [strict({name: element(spec) for name in signature.features})] if signature.features else []
    return [*forms, element(spec)] if spec.width == 1 else forms


def _one_form(forms: list[Json]) -> Json:
    return forms[0] if len(forms) == 1 else {"anyOf": forms}


def _scalar_or(values: Json, spec: TensorSpec) -> Json:
    return {"anyOf": [values, element(spec)]} if spec.width == 1 else values


def _matrix_columns(signature: Signature) -> Json:
    spec = signature.inputs[0]
    rows = batch(_scalar_or(rows_of_exactly(element(spec), spec.width), spec))
    forms = [rows, strict({spec.name: rows})]
    forms += [strict({name: batch(element(spec)) for name in signature.features})] if signature.features else []
    return _one_form(forms)


def _columns(signature: Signature) -> Json:
    return strict({spec.name: batch(element(spec)) for spec in signature.inputs})


def _examples(signature: Signature) -> list[Json]:
    if signature.form == "columns":
        return [strict({spec.name: element(spec) for spec in signature.inputs})]
    spec = signature.inputs[0]
    by_tensor = strict({spec.name: _scalar_or(rows_of_exactly(element(spec), spec.width), spec)})
    by_name = [strict({name: element(spec) for name in signature.features})] if signature.features else []
    return [by_tensor, *by_name]


def _outgoing(spec: TensorSpec, classes: Classes) -> Json:
    value = answered(spec, classes)
    return value if spec.width == 1 else rows_of_exactly(value, spec.width)
