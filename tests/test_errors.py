"""Every exception: one sentence a person can act on, with its evidence beside it."""

import inspect
from typing import Any

import pytest

from mlapi import errors

SENTENCES: list[tuple[errors.MlapiError, str]] = [
    (errors.InvalidRequest(["a is wrong"]), "a is wrong"),
    (errors.InvalidRequest(["a", "b"]), "2 faults: (1) a; (2) b"),
    (errors.InvalidRequest(["a", "b"], 9), "9 faults: (1) a; (2) b; and 7 more"),
    (errors.BodyTooLarge(64), "the body is larger than the limit of 64 bytes"),
    (errors.ModelNotFound("m"), "model 'm' is unknown"),
    (errors.ModelNotFound("iriss", "iris"), "model 'iriss' is unknown; did you mean 'iris'?"),
    (errors.VersionNotFound("m", "9"), "model 'm' has no version '9'"),
    (errors.VersionNotFound("m", "9", (1, 3)), "model 'm' has no version '9'; the newest is 3"),
    (errors.LabelNotFound("m", "x"), "model 'm' has no label 'x'; it has no labels"),
    (errors.LabelNotFound("m", "x", ("a", "b")), "model 'm' has no label 'x'; its labels are a, b"),
    (errors.ModelNotReady("m", None, "why"), "model 'm' is not ready: why"),
    (errors.ModelNotReady("m", 3, "why"), "version 3 of model 'm' is not ready: why"),
    (errors.VersionRefused("m", 3, "why"), "version 3 of model 'm' is refused: why"),
    (errors.VersionInUse("m", 3, ("a", "b")),
     "version 3 of model 'm' carries the label a, b; move or remove the label first"),
    (errors.ReplayFailed("m", 3, ("slow", "wrong")), "version 3 of model 'm' did not pass the replay: slow; wrong"),
    (errors.StorageFailed("writing", OSError(28, "No space left")), "writing failed: No space left"),
    (errors.StorageFailed("writing", TimeoutError()), "writing failed: TimeoutError"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "sentence"), SENTENCES)
def test_an_error_is_one_sentence(error: errors.MlapiError, sentence: str) -> None:
    assert str(error) == sentence


@pytest.mark.parametrize(("error", "evidence"), [
    (errors.InvalidRequest(["a"] * 25), {"faults": ("a",) * 20, "total": 25}),
    (errors.BodyTooLarge(64), {"limit": 64}),
    (errors.ModelNotFound("m", "n"), {"name": "m", "nearest": "n"}),
    (errors.VersionNotFound("m", "9", (1, 3)), {"name": "m", "version": "9", "known": (1, 3)}),
    (errors.LabelNotFound("m", "x", ("a",)), {"name": "m", "label": "x", "known": ("a",)}),
    (errors.ModelNotReady("m", 3, "why"), {"name": "m", "version": 3, "reason": "why"}),
    (errors.VersionRefused("m", 3, "why"), {"name": "m", "version": 3, "reason": "why"}),
    (errors.VersionInUse("m", 3, ["a"]), {"name": "m", "version": 3, "labels": ("a",)}),
    (errors.ReplayFailed("m", 3, ["a"]), {"name": "m", "version": 3, "faults": ("a",)}),
    (errors.StorageFailed("writing", OSError(28, "full")), {"errno": 28}),
])  # fmt: skip
def test_an_error_carries_its_evidence(error: errors.MlapiError, evidence: dict[str, Any]) -> None:
    assert {name: getattr(error, name) for name in evidence} == evidence


def test_the_tree_at_the_top_of_the_module_draws_every_class() -> None:
    drawn = [line.split("──")[1].split()[0] for line in (errors.__doc__ or "").splitlines() if "──" in line]
    classes = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__}
    assert sorted(["MlapiError", *drawn]) == sorted(classes)


@pytest.mark.parametrize("kind", [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__
])  # fmt: skip
def test_every_error_is_one_of_ours(kind: type) -> None:
    assert issubclass(kind, errors.MlapiError)
