"""What a signature says of one value, in JSON Schema (2020-12, the dialect of OpenAPI 3.1)."""

from typing import Any

import numpy as np

from mlapi.inference.signature import NUMPY_TYPES, TensorSpec

MOST_CATEGORIES = 100
"""How many categories are listed; with more of them a value is described as text alone."""

FORMATS = {"FP32": "float", "FP64": "double", "INT32": "int32", "INT64": "int64"}
"""OpenAPI's words for datatypes, where it has one."""

Json = dict[str, Any]


def element(spec: TensorSpec) -> Json:
    """Return the schema of one value of a tensor that is sent.

    Its limits are those that are enforced: of the datatype, and of a closed set of categories. What the
    sample held enforces nothing, and stands in the description.
    """
    described = _of_datatype(spec.datatype)
    if spec.datatype == "BYTES" and spec.categories and len(spec.categories) <= MOST_CATEGORIES:
        if spec.unseen == "refuse":
            return {**described, "enum": list(spec.categories)}
        return {**described, "description": f"In the sample: {', '.join(spec.categories)}."}
    if spec.minimum is not None and spec.maximum is not None:
        low, high = spec.minimum, spec.maximum
        return {**described, "description": f"{low:g} to {high:g} in the sample.", "x-sample-range": [low, high]}
    return described


def answered(spec: TensorSpec, classes: tuple[Any, ...] | None) -> Json:
    """Return the schema of one value of an output; texts of a classifier are among its `classes`."""
    if spec.datatype == "BYTES" and classes and all(isinstance(name, str) for name in classes):
        return {"type": "string", **({"enum": list(classes)} if len(classes) <= MOST_CATEGORIES else {})}
    kinds = {"BYTES": "string", "BOOL": "boolean"}
    return {"type": kinds.get(spec.datatype, "number" if spec.datatype.startswith("FP") else "integer")}


def rows_of_exactly(item: Json, width: int) -> Json:
    """Return the schema of a list with `width` values."""
    return {"type": "array", "items": item, "minItems": width, "maxItems": width}


def batch(item: Json) -> Json:
    """Return the schema of a list with one value or more."""
    return {"type": "array", "items": item, "minItems": 1}


def strict(properties: Json, required: list[str] | None = None) -> Json:
    """Return the schema of an object with these members; all of them are required where nothing else is said."""
    wanted = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": wanted, "additionalProperties": False}


def _of_datatype(datatype: str) -> Json:
    if datatype == "BYTES":
        return {"type": "string"}
    if datatype == "BOOL":
        return {"type": "boolean"}
    named = {"format": FORMATS[datatype]} if datatype in FORMATS else {}
    if datatype.startswith("FP"):
        largest = float(np.finfo(NUMPY_TYPES[datatype]).max)
        return {"type": "number", **named, "minimum": -largest, "maximum": largest}
    limits = np.iinfo(NUMPY_TYPES[datatype])
    return {"type": "integer", **named, "minimum": int(limits.min), "maximum": int(limits.max)}
