"""What a label says of an answer: the loss of one prediction, smaller is better but for accuracy."""

import math
from collections.abc import Sequence

LEAST = 1e-15
"""The least probability that a true class is taken to have had; else one loss could be infinite."""

Label = str | float | bool


def loss(
    kind: str, answer: Label, probabilities: Sequence[float] | None, classes: Sequence[Label], label: Label,
) -> float | None:
    """Return the value of one labelled prediction for a metric of `kind`; None where it has none.

    `accuracy`: 1.0 where the answer is the label, else 0.0. `squared_error`: the square of their difference.
    `log_loss`: minus the natural logarithm of the probability that the label's class was given; None without
    probabilities, or for a label that is no class.
    """
    if kind == "accuracy":
        return float(answer == label)
    if kind == "squared_error":
        return None if isinstance(answer, str) or isinstance(label, str) else (float(answer) - float(label)) ** 2
    if probabilities is None or label not in classes or len(classes) != len(probabilities):
        return None
    return -math.log(min(1.0, max(LEAST, probabilities[list(classes).index(label)])))
