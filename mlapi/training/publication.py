"""What a training run leaves behind: the record in the manifest, and the published version."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from mlapi.registry.manifest import Manifest
from mlapi.registry.publishing import publish_model
from mlapi.training.evaluation import Evaluation
from mlapi.training.search import Entry
from mlapi.training.split import Split
from mlapi.training.table import Table
from mlapi.training.trainer import Trained

MOST_CLASSES = 40
"""With more classes the confusion matrix alone would fill half of a manifest."""


def publish(  # noqa: PLR0913 (what is said of a version, each by its name)
    trained: Trained,
    name: str,
    *,
    registry: Path,
    note: str = "",
    intended_use: str = "",
    limits: Sequence[str] = (),
) -> Manifest:
    """Publish the trained pipeline as the next version of `name`; return its manifest.

    The signature is taken from the training rows, the metrics are the held-out ones.
    Raises what `mlapi.registry.publishing.publish_model` raises.
    """
    return publish_model(
        trained.model,
        name,
        registry=registry,
        sample=trained.train_features,
        target=trained.train_target,
        metrics=trained.evaluation.metrics,
        note=note,
        training=training_record(trained),
        data=data_record(trained.table),
        unseen="accept",  # every pipeline is built to take texts it has never seen
        intended_use=intended_use or _intended_use(trained),
        limits=(*_limits(trained), *limits),
    )


def training_record(trained: Trained) -> dict[str, object]:
    """Return how the model came to be, as JSON values: below 30 kB for any table."""
    task = trained.task.task
    return {
        "task": task,
        "task_reason": trained.task.reason,
        "target": str(trained.table.target.name),
        "family": trained.family.name,
        "seed": trained.options.seed,
        "primary_metric": trained.metric.name,
        "split": split_record(trained.split),
        "cross_validation": {
            "folds": trained.options.folds,
            "method": "stratified shuffled k-fold" if trained.split.stratified else "shuffled k-fold",
            "rows": "training rows only",
        },
        "leaderboard": [entry_record(entry) for entry in trained.leaderboard],
        "notices": [notice[:300] for notice in trained.notices[:20]],
        **class_record(trained.evaluation),
    }


def data_record(table: Table) -> dict[str, object]:
    """Return the name, digest and size of the file, as JSON values."""
    return {
        "source": table.source,
        "sha256": table.sha256,
        "rows": table.rows,
        "columns": table.columns,
    }


def split_record(split: Split) -> dict[str, object]:
    """Return the split, as JSON values, with the digest of the held-out row positions."""
    return {
        "method": "stratified shuffle" if split.stratified else "shuffle",
        "test_size": split.test_size,
        "seed": split.seed,
        "train_rows": len(split.train),
        "held_out_rows": len(split.held_out),
        "held_out_sha256": split.digest,
        "fitted_on": "the training rows only; no fit has seen the held-out rows",
    }


def entry_record(entry: Entry) -> dict[str, object]:
    """Return a line of the leaderboard, as JSON values."""
    return {
        "family": entry.family,
        **entry.metrics,
        "spread": entry.spread,
        "seconds": round(entry.seconds, 2),
        "note": entry.note,
    }


def class_record(evaluation: Evaluation) -> dict[str, object]:
    """Return the figures of each class and the confusion matrix, as JSON values.

    Empty for regression; with more than 40 classes only a sentence that says so.
    """
    labels = list(evaluation.per_class)
    if not labels:
        return {}
    if len(labels) > MOST_CLASSES:
        return {"per_class_left_out": f"{len(labels)} classes; the record keeps up to {MOST_CLASSES}"}
    return {
        "per_class": [{"class": name, **asdict(evaluation.per_class[name])} for name in labels],
        "confusion_matrix": {
            "labels": labels,
            "rows": [list(row) for row in evaluation.confusion],
            "reading": "rows are the truth, columns what the model said",
        },
    }


def _intended_use(trained: Trained) -> str:
    verb = "Estimating" if trained.task.task == "regression" else "Telling the class"
    preposition = " " if trained.task.task == "regression" else " of "
    return (
        f"{verb}{preposition}'{trained.table.target.name}' for rows that come from where those of "
        f"{trained.table.source} came from."
    )


def _limits(trained: Trained) -> Sequence[str]:
    held_out, train = len(trained.split.held_out), len(trained.split.train)
    figures = (
        f"Learned from {train:,} rows; the figures come from {held_out:,} others of the same file, "
        f"picked at random, and say nothing about data from elsewhere or from later."
    )
    unseen = "A text it has never seen in a column counts as none of those it knows, or as missing."
    return (figures, unseen, *_extrapolation(trained), *_small_classes(trained.evaluation))


def _extrapolation(trained: Trained) -> Sequence[str]:
    if trained.task.task == "regression" and trained.family.name in {"tree", "forest", "boosting"}:
        return ("It hardly answers beyond the smallest and the largest target it has learned from.",)
    return ()


def _small_classes(evaluation: Evaluation, least: int = 30) -> Sequence[str]:
    per_class: Mapping[str, int] = {name: f.support for name, f in evaluation.per_class.items()}
    small = [f"'{name}' ({support})" for name, support in per_class.items() if support < least]
    if not small:
        return ()
    return (f"Classes with few held-out rows, whose figures are rough: {', '.join(small[:10])}.",)
