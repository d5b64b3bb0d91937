"""The schemas of bodies as components of the document, made of marshmallow's by apispec."""

import inspect
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema

from mlapi.resources.openapi.operations import EXCLUSIVE, OPERATIONS
from mlapi.schemas.elements import Json
from mlapi.schemas.fault import Fault

OPENAPI = "3.1.0"


def start(title: str, version: str, **options: Any) -> APISpec:  # noqa: ANN401 (top-level members of the document)
    """Return a document that has a component for every schema of the operations, and no path yet."""
    spec = APISpec(title, version, OPENAPI, plugins=[MarshmallowPlugin(schema_name_resolver=name_of)], **options)
    used: list[type[Schema]] = [Fault]
    used += [kind for one in OPERATIONS.values() for kind in (one.request, one.answer) if kind is not None]
    for kind in dict.fromkeys(used):
        spec.components.schema(name_of(kind), component=_beyond_fields(kind), schema=kind)
    for name, component in spec.components.schemas.items():
        component.setdefault("title", name)
    return spec


def name_of(schema: Any) -> str:  # noqa: ANN401 (a schema's class, instance or name, as apispec has them)
    """Return the name of a schema's component; classes of the two protocols may share theirs."""
    kind = schema if isinstance(schema, type) else type(schema)
    face = {"v1": "V1", "v2": "V2"}.get(kind.__module__.split(".")[2], "")
    return f"{face}{kind.__name__}"


def reference(kind: type[Schema]) -> Json:
    """Return the reference to a schema's component."""
    return {"$ref": f"#/components/schemas/{name_of(kind)}"}


def _beyond_fields(kind: type[Schema]) -> Json:
    said: Json = {"description": (inspect.getdoc(kind) or "").split("\n\n")[0]}
    return {**said, "oneOf": [{"required": [name]} for name in EXCLUSIVE[kind]]} if kind in EXCLUSIVE else said
