"""V2's bodies for one signature, in JSON Schema.

That a shape and the number of values belong together, and that all inputs have one batch size, is
nothing that JSON Schema can say; the descriptions do.
"""

from typing import Any

from mlapi.inference.signature import NUMPY_TYPES, Signature, TensorSpec
from mlapi.schemas.elements import Json, answered, batch, element, rows_of_exactly
from mlapi.schemas.v2.request import BINARY_ONLY

BATCH = {"type": "integer", "minimum": 1}


def infer_request(signature: Signature, generic: Json) -> Json:
    """Return the members of an inference request that depend on the signature; `generic` are those of one input."""
    inputs = [_input(spec, generic) for spec in signature.inputs]
    names = {"type": "string", "enum": list(signature.output_names)}
    return {
        "inputs": {"type": "array", "prefixItems": inputs, "minItems": len(inputs), "maxItems": len(inputs),
                   "description": "One an input, in any order, all of one batch size."},
        "outputs": {"type": "array", "uniqueItems": True, "items": {
            "type": "object", "properties": {"name": names, "parameters": {"type": "object"}}, "required": ["name"]}},
    }  # fmt: skip


def infer_answer(signature: Signature, name: str, version: int, classes: tuple[Any, ...] | None) -> Json:
    """Return the members of its answer: the outputs that were asked for, numeric ones perhaps as classification."""
    forms = [form for spec in signature.outputs for form in _outputs(spec, classes)]
    return {
        "model_name": {"type": "string", "const": name},
        "model_version": {"type": "string", "const": str(version)},
        "outputs": {**batch({"anyOf": forms}), "maxItems": len(signature.outputs)},
    }


def _input(spec: TensorSpec, generic: Json) -> Json:
    value = element(spec)
    if spec.nullable and spec.datatype.startswith("FP"):
        value = {**value, "type": ["number", "null"]}
    size = f"[n, {spec.width}]" if spec.width > 1 else "[n] or [n, 1]"
    own = {
        "name": {"type": "string", "const": spec.name},
        "datatype": {"type": "string", "enum": _sendable(spec.datatype),
                     "description": f"{spec.datatype}, or another that holds the same values."},
        "shape": {"type": "array", "prefixItems": [BATCH, {"type": "integer", "const": spec.width}],
                  "minItems": 1, "maxItems": 2, "description": size},
        "data": {**batch({"anyOf": [value, {"type": "array", "items": value}]}),
                 "description": "Flat, row by row, or nested; as many values as the shape says."},
    }  # fmt: skip
    return {**generic, "properties": {**generic["properties"], **own}, "required": [*generic["required"], "data"]}


def _sendable(datatype: str) -> list[str]:
    """Return the model's own datatype first, then those that JSON has a form for and that are cast to it."""
    others = [name for name in NUMPY_TYPES if name not in {"BYTES", BINARY_ONLY, datatype}]
    return [datatype] if datatype == "BYTES" else [datatype, *others]


def _outputs(spec: TensorSpec, classes: tuple[Any, ...] | None) -> list[Json]:
    value = answered(spec, classes)
    if spec.datatype.startswith("FP"):
        value = {**value, "type": ["number", "null"]}
    forms = [_output(spec, spec.datatype, value)]
    if spec.datatype != "BYTES":
        forms.append(_output(spec, "BYTES", {"type": "string"}))
    return forms


def _output(spec: TensorSpec, datatype: str, value: Json) -> Json:
    return {
        "type": "object",
        "properties": {
            "name": {"type": "string", "const": spec.name},
            "datatype": {"type": "string", "const": datatype},
            "shape": {**rows_of_exactly(BATCH, 2), "description": f"[n, {spec.width}]; of a classification, narrower"},
            "data": batch(value),
        },
        "required": ["name", "datatype", "shape"],
    }
