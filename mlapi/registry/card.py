"""The model card of a version (Mitchell et al. 2019, doi:10.1145/3287560.3287596), as Markdown."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlapi.inference.signature import TensorSpec
from mlapi.registry.manifest import Manifest

FILE = "card.md"
SHOWN_CATEGORIES = 12
NOT_SAID = "Not stated by the publisher."
ALWAYS = (
    "Answers are estimates from the data described above; they say nothing about causes.",
    "Input far from the ranges and categories listed here is answered without warning.",
)


def render(manifest: Manifest) -> str:
    """Return the card; the version number is the folder's, so that the text does not depend on it."""
    parts = [
        f"# Model card: {manifest.name}",
        f"{manifest.estimator}, published {manifest.published_at} by {manifest.publisher}.",
        manifest.note,
        "## Intended use",
        manifest.intended_use or NOT_SAID,
        "## Data",
        _pairs(manifest.data) or NOT_SAID,
        "## Metrics",
        _metrics(manifest),
        "## Training",
        _pairs({k: v for k, v in manifest.training.items() if not isinstance(v, list | dict)}) or NOT_SAID,
        *_tables(manifest.training),
        "## Inputs",
        _features(manifest.signature.features),
        _table(("name", "datatype", "shape", "missing values", "values"), map(_input, manifest.signature.inputs)),
        "## Outputs",
        _table(("name", "datatype", "shape"), map(_output, manifest.signature.outputs)),
        f"Classes: {', '.join(map(str, manifest.classes))}" if manifest.classes else "",
        "## Limits",
        "\n".join(f"- {limit}" for limit in (*manifest.limits, *ALWAYS)),
        "## Made with",
        _pairs(manifest.libraries),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _metrics(manifest: Manifest) -> str:
    if not manifest.metrics:
        return NOT_SAID
    return _table(("metric", "value"), ([name, f"{value:.6g}"] for name, value in manifest.metrics.items()))


def _features(names: Sequence[str]) -> str:
    return f"Features of the matrix, in order: {', '.join(names)}." if names else ""


def _input(spec: TensorSpec) -> list[object]:
    return [spec.name, spec.datatype, list(spec.shape), "allowed" if spec.nullable else "refused", _values(spec)]


def _output(spec: TensorSpec) -> list[object]:
    return [spec.name, spec.datatype, list(spec.shape)]


def _values(spec: TensorSpec) -> str:
    if spec.categories is not None:
        more = len(spec.categories) - SHOWN_CATEGORIES
        listed = ", ".join(spec.categories[:SHOWN_CATEGORIES]) + (f" and {more} more" if more > 0 else "")
        return f"{listed} (others {'refused' if spec.unseen == 'refuse' else 'accepted'})"
    if spec.minimum is not None:
        return f"{spec.minimum:g} to {spec.maximum:g} in the sample"
    return ""


def _tables(training: Mapping[str, Any]) -> Iterable[str]:
    for name, value in training.items():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            yield f"### {_title(name)}"
            yield _table(list(value[0]), ([row.get(key, "") for key in value[0]] for row in value))
        elif isinstance(value, list | dict) and value:
            yield f"### {_title(name)}"
            yield f"```json\n{json.dumps(value, ensure_ascii=False)}\n```"


def _pairs(values: Mapping[str, object]) -> str:
    return "\n".join(f"- {_title(name)}: {_cell(value)}" for name, value in values.items())


def _title(name: str) -> str:
    return name.replace("_", " ")


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["--"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
