"""What training leaves in a manifest: everything needed to repeat it, within the limit."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mlapi.registry.store import Store
from mlapi.training.evaluation import ClassFigures
from mlapi.training.publication import data_record, publish, training_record
from mlapi.training.trainer import Trained


def test_the_record_tells_task_split_seed_and_leaderboard(trained_price: Trained) -> None:
    record = json.loads(json.dumps(training_record(trained_price), allow_nan=False))
    assert (record["task"], record["family"], record["primary_metric"]) == ("regression", "linear", "r2")
    assert record["split"]["train_rows"] == 144
    assert record["split"]["held_out_sha256"] == trained_price.split.digest
    assert [entry["family"] for entry in record["leaderboard"]] == ["linear", "baseline"]
    assert "per_class" not in record


def test_the_record_of_classes_has_each_class_and_the_confusion_matrix(trained_grade: Trained) -> None:
    record = training_record(trained_grade)
    per_class, confusion = record["per_class"], record["confusion_matrix"]
    assert isinstance(per_class, list)
    assert isinstance(confusion, dict)
    assert [figures["class"] for figures in per_class] == ["high", "low", "middle"]
    assert confusion["labels"] == ["high", "low", "middle"]


@pytest.mark.parametrize("classes", [40, 500])
def test_the_record_stays_small_with_many_classes(trained_grade: Trained, classes: int) -> None:
    figures = {f"a class with a long name {i}": ClassFigures(1 / 3, 1 / 3, 1 / 3, 9) for i in range(classes)}
    confusion = ((100,) * classes,) * classes
    evaluation = replace(trained_grade.evaluation, per_class=figures, confusion=confusion)
    many = replace(trained_grade, evaluation=evaluation, notices=("x" * 500,) * 50)
    assert len(json.dumps(training_record(many))) < 30_000


def test_the_version_carries_held_out_figures_and_the_digest(
    trained_price: Trained, tmp_path: Path,
) -> None:
    manifest = publish(trained_price, "prices", registry=tmp_path, note="first")
    read = Store(tmp_path).manifest("prices", 1)
    assert (manifest.name, manifest.version, read.note) == ("prices", 1, "first")
    assert read.metrics == trained_price.evaluation.metrics
    assert read.data == data_record(trained_price.table)
    assert read.intended_use.startswith("Estimating 'price' for rows")
    assert "Learned from 144 rows; the figures come from 36 others" in read.limits[0]


def test_the_signature_keeps_integers_flags_texts_and_gaps(trained_grade: Trained, tmp_path: Path) -> None:
    signature = publish(trained_grade, "grades", registry=tmp_path).signature
    inputs = {spec.name: (spec.datatype, spec.nullable) for spec in signature.inputs}
    assert inputs == {
        "size": ("FP64", True), "age": ("INT64", False), "city": ("BYTES", True), "garden": ("BOOL", False),
    }  # fmt: skip
