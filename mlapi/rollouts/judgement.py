"""What an answer is judged by: the mean of its predictions, and whether all of its numbers are finite."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mlapi.inference.values import Array, InferenceEvent

PROBABILITIES = "predict_proba"
NUMBERS = frozenset("fiub")
"""Kinds of numpy dtypes: floats, whole numbers of both sorts, truth values."""

FEW = 16
"""Values up to which Python looks at them faster than numpy."""


def judged(event: InferenceEvent) -> Sequence[tuple[float | None, bool]]:
    """Return, for each request, the mean prediction, None where it is no number, and whether a number is not finite."""
    outputs = event.outputs
    if outputs is None:
        return [(None, False)] * event.requests
    chosen, invalid = _looked_at(outputs)
    if event.requests == 1:
        return ((_score(chosen, invalid=invalid), invalid),)
    if event.rows == 1 and not invalid and chosen is not None:
        return [(score, False) for score in chosen.reshape(event.requests, -1)[:, -1].tolist()]
    apart = [_looked_at(event.single(number).outputs or {}) for number in range(event.requests)]
    return [(_score(chosen, invalid=invalid), invalid) for chosen, invalid in apart]


def _looked_at(outputs: Mapping[str, Array]) -> tuple[Array | None, bool]:
    """Return what predictions are judged by, None where nothing is a number, and whether a number is not finite.

    Of probabilities the last class counts, which of two is the one that is asked about.
    """
    chosen, invalid = None, False
    for name, array in outputs.items():
        kind = array.dtype.kind
        if kind not in NUMBERS:
            continue
        invalid = invalid or (kind == "f" and not _is_finite(array))
        if chosen is None or name == PROBABILITIES:
            chosen = array
    return chosen, invalid


def _score(chosen: Array | None, *, invalid: bool) -> float | None:
    if chosen is None or invalid or not chosen.size:
        return None
    return float(chosen.item(-1) if len(chosen) == 1 else chosen[:, -1].mean())


def _is_finite(array: Array) -> bool:
    """Tell whether all numbers are finite."""
    if array.size == 1:
        return math.isfinite(array.item())
    if array.size <= FEW:
        return all(map(math.isfinite, array.ravel().tolist()))
    return bool(np.isfinite(array).all())
