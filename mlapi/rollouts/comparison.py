"""What a shadow or a replay came to: how often two versions disagree and by how much, from pairs of their answers.

A pair is one request. It disagrees where any row does; its difference is the mean over its rows.
Differences are candidate minus control; values that are no numbers differ by 1 where they are not the same.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlapi.rollouts.document import LABELLED, Metric
from mlapi.rollouts.effects import Boundary, paired, proportion_interval

ALPHA = 0.05
WORST = 20
MOST_SEGMENTS = 20
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
LEAST_PROBABILITY = 1e-15
FIXED_PAIRS = 7.85
"""(z.975 + z.8)^2: pairs that a test at one moment needs to see a mean of one standard deviation."""

Values = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one request; `candidate` is None where it failed with `error`.

    Times are milliseconds of the models; `chances` are the probabilities of the last class, of control and
    candidate, None where unknown; `segments` are the values of the declared inputs.
    """

    prediction_id: str | None
    control: Values
    candidate: Values | None
    control_ms: float
    candidate_ms: float
    error: str | None = None
    segments: Mapping[str, str] | None = None
    chances: tuple[float | None, float | None] = (None, None)
    inputs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, with an interval that covers the true share at all times with probability 1 - alpha."""

    count: int
    of: int
    share: float | None
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Losses:
    """Candidate's loss minus control's on the labelled pairs, less is better: number, mean and its standard error.

    `lower` and `upper` cover the true mean at all times with probability 1 - alpha of the metric; None before a
    hundred pairs.
    """

    metric: str
    number: int
    mean: float | None
    standard_error: float | None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The report on pairs; what cannot be said yet, such as a mean of nothing, is None."""

    pairs: int
    dropped: int
    disagreement: Share
    mean_difference: float | None
    mean_absolute_difference: float | None
    quantiles: Mapping[str, float]
    errors: int
    error_examples: tuple[str, ...]
    invalid: int
    control_ms: tuple[float | None, float | None]
    candidate_ms: tuple[float | None, float | None]
    segments: Mapping[str, Share]
    worst: tuple[tuple[float, Pair], ...]
    losses: Losses | None


def compare(
    pairs: Iterable[Pair], dropped: int, tolerance: float = 0.0, metric: Metric | None = None,
    labels: Mapping[str, Any] | None = None,
) -> Comparison:
    """Return the report on all pairs; numbers that differ by more than `tolerance` disagree.

    `labels` are outcomes by prediction id, from which a `metric` with labels takes the losses.
    """
    known = list(pairs)
    judged = [(pair, gaps) for pair in known if pair.candidate is not None and (gaps := gaps_of(pair)) is not None]
    means = np.array([float(np.mean(gaps)) for _, gaps in judged])
    sizes = np.array([float(np.max(np.abs(gaps))) for _, gaps in judged])
    apart = [size > tolerance for size in sizes.tolist()]
    errors = [pair.error for pair in known if pair.error is not None]
    worst = sorted(range(len(judged)), key=lambda at: -sizes[at])[:WORST]
    return Comparison(
        len(known), dropped, share_of(sum(apart), len(apart)), _mean(means),
        _mean(np.array([float(np.mean(np.abs(gaps))) for _, gaps in judged])), _quantiles(means),
        len(errors), tuple(dict.fromkeys(errors))[:5], len(known) - len(errors) - len(judged),
        _times([pair.control_ms for pair in known]),
        _times([pair.candidate_ms for pair in known if pair.error is None]),
        _by_segment([pair for pair, _ in judged], apart),
        tuple((float(sizes[at]), judged[at][0]) for at in worst if apart[at]), _losses(known, metric, labels or {}),
    )  # fmt: skip


def gaps_of(pair: Pair) -> list[float] | None:
    """Return the difference of each value, row by row; None where shapes differ, or a value is no number."""
    answer = pair.candidate or ()
    if len(answer) != len(pair.control) or not answer or None in answer or None in pair.control:
        return None
    return [_gap(was, now) for was, now in zip(pair.control, answer, strict=True)]


def share_of(count: int, of: int, alpha: float = ALPHA) -> Share:
    """Return a part of a whole with its interval."""
    lower, upper = proportion_interval(count, of, alpha)
    return Share(count, of, count / of if of else None, lower, upper)


def _gap(was: object, now: object) -> float:
    if isinstance(was, int | float) and isinstance(now, int | float):
        return float(now) - float(was)
    return float(was != now)


def _by_segment(pairs: Sequence[Pair], apart: Sequence[bool]) -> dict[str, Share]:
    """Return the disagreement by segment value, the most frequent ones, their intervals valid together."""
    counts: dict[str, list[int]] = {}
    for pair, is_apart in zip(pairs, apart, strict=True):
        for name, value in (pair.segments or {}).items():
            count = counts.setdefault(f"{name}={value}", [0, 0])
            count[0] += is_apart
            count[1] += 1
    kept = sorted(counts.items(), key=lambda item: (-item[1][1], item[0]))[:MOST_SEGMENTS]
    return {name: share_of(bad, of, ALPHA / MOST_SEGMENTS) for name, (bad, of) in kept}


def _losses(pairs: Sequence[Pair], metric: Metric | None, labels: Mapping[str, Any]) -> Losses | None:
    """Return the paired losses: a label does not depend on which model answered, so both losses are known."""
    if metric is None or metric.kind not in LABELLED:
        return None
    kind, found = metric.kind, []
    for pair in pairs:
        if pair.prediction_id is not None and pair.prediction_id in labels:
            label = labels[pair.prediction_id]
            was, now = _loss(kind, pair.control, pair.chances[0], label), _loss(
                kind, pair.candidate or (), pair.chances[1], label)  # fmt: skip
            if was is not None and now is not None:
                found.append(now - was)
    error = float(np.std(found, ddof=1) / math.sqrt(len(found))) if len(found) > 1 else None
    return Losses(kind, len(found), _mean(np.array(found)), error, *_limits(np.array(found), metric))


def _limits(found: "np.ndarray[Any, Any]", metric: Metric) -> tuple[float | None, float | None]:
    """Return the interval of the mean, tuned for the least difference worth finding; None where it is not bounded."""
    squares = float((found**2).sum())
    tuned = max(1.0, FIXED_PAIRS * squares / max(1, len(found)) / metric.mde**2)
    moments = (float(len(found)), float(found.sum()), squares)
    effect = paired(moments, Boundary(metric.alpha, "always_valid", tuned))
    if effect is None or not math.isfinite(effect.lower + effect.upper):
        return None, None
    return effect.lower, effect.upper


def _loss(kind: str, answer: Values, chance: float | None, label: Any) -> float | None:  # noqa: ANN401 (a class or a number)
    """Return the loss of an answer of one row; None where it has none. Log loss: labels 0 and 1, 1 the last class."""
    if kind == "log_loss":
        if chance is None or label not in (0, 1):
            return None
        return -math.log(max(chance if label else 1 - chance, LEAST_PROBABILITY))
    if len(answer) != 1 or answer[0] is None:
        return None
    if kind == "accuracy":
        return float(answer[0] != label)
    is_number = isinstance(answer[0], int | float) and isinstance(label, int | float)
    return (answer[0] - label) ** 2 if is_number else None


def _mean(values: "np.ndarray[Any, Any]") -> float | None:
    return float(values.mean()) if len(values) else None


def _quantiles(values: "np.ndarray[Any, Any]") -> dict[str, float]:
    return {f"{at:g}": float(np.quantile(values, at)) for at in QUANTILES} if len(values) else {}


def _times(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return p50 and p95."""
    return (float(np.quantile(values, 0.5)), float(np.quantile(values, 0.95))) if values else (None, None)
