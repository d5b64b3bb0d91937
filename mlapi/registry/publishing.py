"""A trained model becomes the next version: inferred, proven, written, acknowledged."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlapi.errors import PublishRefused
from mlapi.inference.faults import quoted
from mlapi.inference.signature import Signature, TensorSpec, Unseen
from mlapi.registry import card, manifest, provenance, reference
from mlapi.registry.candidate import Candidate, onnx_table
from mlapi.registry.manifest import FileEntry, Manifest, ManifestError
from mlapi.registry.names import check_name
from mlapi.registry.sample import table_of
from mlapi.registry.store import Store, written
from mlapi.runtimes.compilers.compilation import compile_plan
from mlapi.runtimes.formats import FORMATS, UnloadableError, parse
from mlapi.runtimes.pickled import Audit, dump


@dataclass(frozen=True, slots=True)
class Description:
    """What the publisher tells of a model, beyond the model itself."""

    metrics: Mapping[str, float] | None = None
    note: str = ""
    training: Mapping[str, Any] | None = None
    data: Mapping[str, Any] | None = None
    intended_use: str = ""
    limits: Sequence[str] = ()


def publish(  # noqa: PLR0913 (all by name but the model and its name)
    model: Any, name: str, *, sample: Any = None, target: Any = None,  # noqa: ANN401 (any estimator, anything array-like)
    metrics: Mapping[str, float] | None = None, note: str = "", registry: str | Path = "artifacts",
    feature_names: Sequence[str] | None = None, unseen: Unseen | None = None,
) -> int:
    """Publish `model` as the next version of `name` and return its number.

    `sample` is rows of the training data: a data frame, or a matrix `[n, k]`. From it the signature is
    inferred; up to 200 rows are kept with the model's answers. `target` is the truth for these rows,
    `metrics` are held-out figures by name. Raises PublishRefused with what is wrong and what to do.
    """
    published = publish_model(
        model, name, registry=Path(registry), sample=sample, target=target, metrics=metrics, note=note,
        feature_names=feature_names, unseen=unseen,
    )
    return published.version


def publish_model(  # noqa: PLR0913 (see publish)
    model: Any, name: str, *, registry: Path, sample: Any, target: Any = None,  # noqa: ANN401 (see publish)
    metrics: Mapping[str, float] | None = None, note: str = "", training: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None, feature_names: Sequence[str] | None = None,
    unseen: Unseen | None = None, intended_use: str = "", limits: Sequence[str] = (),
) -> Manifest:
    """Publish an estimator as a joblib file and return the manifest of the new version."""
    check_name(name)
    audit = _audited(model)
    about = Description(metrics, note, training, data, intended_use, limits)
    table = table_of(model, sample, feature_names, unseen)
    return _publish(name, registry, Candidate("joblib", model, dump(model), audit, table, sample, target), about)


def publish_file(  # noqa: PLR0913 (see publish)
    path: Path, name: str, *, registry: Path, sample: Any, target: Any = None,  # noqa: ANN401 (see publish)
    about: Description | None = None, unseen: Unseen | None = None,
) -> Manifest:
    """Publish a `.joblib`, `.skops` or `.onnx` file, byte for byte, and return the new manifest.

    Loading a joblib file runs what it says: publish only files of your own making.
    """
    check_name(name)
    runtime = path.suffix.removeprefix(".")
    if runtime not in FORMATS:
        msg = f"{quoted(path.name)} has no known ending; expected .joblib, .skops or .onnx"
        raise PublishRefused(msg)
    try:
        artifact = path.read_bytes()
        model = parse(runtime, artifact)
    except OSError as error:
        msg = f"{quoted(path.name)} cannot be read: {error.strerror}"
        raise PublishRefused(msg) from error
    except UnloadableError as error:
        msg = f"{quoted(path.name)} cannot be published: {error}"
        raise PublishRefused(msg) from error
    if runtime == "onnx":
        audit, table = None, onnx_table(model, table_of(None, sample, None, "accept"))
    else:
        audit, table = _audited(model), table_of(model, sample, None, unseen)
    candidate = Candidate(runtime, model, artifact, audit, table, sample, target)
    return _publish(name, registry, candidate, about or Description())


def _publish(name: str, registry: Path, candidate: Candidate, about: Description) -> Manifest:
    signature, rows, read_back = candidate.prove()
    drafts = _ever_shorter(_draft(name, candidate, signature, about))
    try:
        written(drafts[-1])  # before a plan is proven, which takes the longest
        stored = [
            (FORMATS[candidate.runtime].file, candidate.artifact),
            (reference.FILE, reference.dumps(rows, signature)),
        ]
        if candidate.runtime != "onnx":
            model = FileEntry.of(*stored[0])
            stored += compile_plan(read_back, dict(rows.inputs), signature, drafts[0].feed, model.sha256).files
        for draft in drafts:
            files = [*stored, (card.FILE, card.render(draft).encode())]
            whole = replace(draft, files=tuple(FileEntry.of(file, data) for file, data in files))
            if _is_writable(whole):
                break
    except UnicodeEncodeError as error:
        msg = f"{quoted(error.object[:50])} is no valid Unicode text"
        raise PublishRefused(msg) from error
    return Store(registry).add(whole, files)


def _ever_shorter(draft: Manifest) -> list[Manifest]:
    """Return the draft, and what is left of it without what its signature may go without: less and less."""
    drafts = [draft]
    for leave_out in (_range, _accepted_categories):
        inputs = tuple(leave_out(spec) for spec in drafts[-1].signature.inputs)
        drafts.append(replace(draft, signature=replace(draft.signature, inputs=inputs)))
    return drafts


def _is_writable(draft: Manifest) -> bool:
    try:
        return bool(manifest.dumps(draft))
    except ManifestError:
        return False


def _range(spec: TensorSpec) -> TensorSpec:
    """Leave out what refuses nothing, as a table of some hundred columns must to fit its manifest."""
    return replace(spec, minimum=None, maximum=None)


def _accepted_categories(spec: TensorSpec) -> TensorSpec:
    return spec if spec.unseen == "refuse" else replace(spec, categories=None)


def _audited(model: Any) -> Audit:  # noqa: ANN401 (see publish)
    if isinstance(model, type):
        msg = f"{model.__name__} is a class; expected a fitted estimator, such as {model.__name__}().fit(X, y)"
        raise PublishRefused(msg)
    if not hasattr(model, "predict"):
        msg = f"a {type(model).__name__} has no predict(); expected a fitted estimator"
        raise PublishRefused(msg)
    audit = Audit(model)
    if audit.unimportable:
        msg = (
            f"the model needs {', '.join(map(quoted, audit.unimportable[:3]))}, which another process cannot import; "
            "move it into a module that is installed beside mlapi (no __main__, lambda or inner function)"
        )
        raise PublishRefused(msg)
    return audit


def _draft(name: str, candidate: Candidate, signature: Signature, about: Description) -> Manifest:
    model, classes = candidate.model, getattr(candidate.model, "classes_", None)
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    return Manifest(
        name=name, version=1, runtime=candidate.runtime, feed=candidate.table.feed, files=(), signature=signature,
        classes=None if classes is None else tuple(np.asarray(classes).tolist()),
        estimator=provenance.estimator(model), parameters=provenance.parameters(model),
        libraries=provenance.libraries(candidate.audit), publisher=provenance.publisher(),
        code_revision=provenance.code_revision(), published_at=now.isoformat().replace("+00:00", "Z"),
        memory_bytes=candidate.audit.size if candidate.audit else len(candidate.artifact),
        metrics={key: _metric(key, value) for key, value in (about.metrics or {}).items()},
        training=dict(about.training or {}), data=dict(about.data or {}),
        note=about.note, intended_use=about.intended_use, limits=tuple(about.limits),
    )


def _metric(name: str, value: Any) -> float:  # noqa: ANN401 (what the publisher gave)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        msg = f"the metric {quoted(name)} is no finite number"
        raise PublishRefused(msg)
    return number
