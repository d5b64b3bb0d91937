"""The operations of one version: literal paths, bodies as its signature has them, examples from its reference rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlapi.inference.values import Array, InferenceRequest, InferenceResponse, Rows, Target
from mlapi.registry.loading import LoadedModel
from mlapi.registry.status import ModelStatus
from mlapi.schemas import jsonbody, v2
from mlapi.schemas.elements import Json
from mlapi.schemas.examples import v1_body, v2_body, whole_row
from mlapi.schemas.v1 import examples, predict
from mlapi.schemas.v1 import typed as v1_typed
from mlapi.schemas.v2 import typed as v2_typed
from mlapi.schemas.v2.request import BINARY_ONLY

NEWEST = 3
"""How many versions of a model are described each by itself: its newest ones that are ready."""

MOST = 100
"""How many versions of all models: first the newest of every model by name, then the second newest, and so on."""

EXAMPLE_ID = "42"


@dataclass(frozen=True, slots=True)
class Typed:
    """One operation of one version: its path, the members that its bodies narrow, and an example of both."""

    path: str
    endpoint: str
    request: Json
    answer: Json
    asks: Json
    gets: Json | None


def described(models: tuple[ModelStatus, ...]) -> list[LoadedModel]:
    """Return the versions that get operations of their own, by name and version."""
    newest = [model.ready[::-1][:NEWEST] for model in models]
    rounds = [(place, model, ready[place]) for model, ready in zip(models, newest, strict=True)
              for place in range(len(ready))]  # fmt: skip
    chosen = sorted(rounds, key=lambda one: (one[0], one[1].name))[:MOST]
    loaded = [model.versions[version].loaded for _, model, version in chosen]
    return sorted(filter(None, loaded), key=lambda one: (one.manifest.name, one.manifest.version))


def operations(loaded: LoadedModel, components: Json) -> Iterator[Typed]:
    """Yield the operations of a version: predict, what it can do of classify and regress, and infer."""
    manifest, signature = loaded.manifest, loaded.signature
    base = f"models/{manifest.name}/versions/{manifest.version}"
    row = whole_row(loaded.reference.inputs)
    outputs = {name: array[row : row + 1] for name, array in loaded.reference.outputs.items()}
    body = v1_body(signature, loaded.reference.inputs)
    yield Typed(
        f"/v1/{base}:predict", "v1-predict", v1_typed.predict_request(signature),
        v1_typed.predict_answer(signature, manifest.classes), body,
        _shown(loaded, outputs, signature.output_names[0], predict.dump),
    )
    yield from _of_examples(loaded, f"/v1/{base}", outputs, body["instances"])
    if any(spec.datatype == BINARY_ONLY for spec in (*signature.inputs, *signature.outputs)):
        return  # there is no JSON to describe
    generic = components["V2Input"]
    yield Typed(
        f"/v2/{base}/infer", "v2-infer", v2_typed.infer_request(signature, generic),
        v2_typed.infer_answer(signature, manifest.name, manifest.version, manifest.classes),
        {"id": EXAMPLE_ID, **v2_body(signature, loaded.reference.inputs)},
        jsonbody.parsed(v2.dump(_response(loaded, outputs), v2.Asked(_target(loaded), Rows([]))).body),
    )


def narrowed(component: Json, members: Json, title: str) -> Json:
    """Return a component whose members are those of one version, where these say more."""
    return {**component, "title": title, "properties": {**component["properties"], **members}}


def _of_examples(loaded: LoadedModel, base: str, outputs: dict[str, Array], rows: list[Any]) -> Iterator[Typed]:
    signature, classes = loaded.signature, loaded.manifest.classes
    name = signature.inputs[0].name
    body = {"examples": rows if signature.form == "columns" else [{name: row} for row in rows]}
    if classes is not None and "predict_proba" in signature.output_names:
        yield Typed(
            f"{base}:classify", "v1-classify", v1_typed.examples_request(signature, "classify"),
            v1_typed.classify_answer(classes), body,
            _shown(loaded, outputs, "predict_proba", examples.dump_classes),
        )
    if classes is None and signature.outputs[0].datatype != "BYTES":
        first = signature.output_names[0]
        yield Typed(
            f"{base}:regress", "v1-regress", v1_typed.examples_request(signature, "regress"), {}, body,
            _shown(loaded, outputs, first, examples.dump_numbers),
        )


def _shown(
    loaded: LoadedModel, outputs: dict[str, Array], name: str,
    dump: Callable[[InferenceResponse, InferenceRequest], bytes],
) -> Json | None:
    """Return what a verb of V1 answers with one output, or None where JSON has no number for it."""
    if outputs[name].dtype.kind == "f" and not np.isfinite(outputs[name]).all():
        return None
    body = dump(_response(loaded, {name: outputs[name]}), InferenceRequest(_target(loaded), Rows([])))
    answer: Json = jsonbody.parsed(body)
    return answer


def _response(loaded: LoadedModel, outputs: dict[str, Array]) -> InferenceResponse:
    manifest = loaded.manifest
    datatypes = {spec.name: spec.datatype for spec in loaded.signature.outputs}
    return InferenceResponse(manifest.name, manifest.version, outputs, datatypes, EXAMPLE_ID, manifest.classes)


def _target(loaded: LoadedModel) -> Target:
    return Target(loaded.manifest.name, loaded.manifest.version)
