"""The metric of a rollout as text: `conversion,binary,mde=0.01,window=1d`."""

import re
from typing import Any

from mlapi.errors import InvalidRequest
from mlapi.inference.faults import quoted
from mlapi.rollouts.document import GOALS, KINDS, Metric

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SPAN = re.compile(r"(?P<number>[0-9]{1,9}(\.[0-9]{1,9})?)(?P<unit>[smhd])", re.ASCII)
WORDS = {"direction": ("up", "down"), "goal": GOALS, "mode": ("always_valid", "bounded")}
NUMBERS = ("mde", "margin", "alpha", "cap", "max_samples")
EXAMPLE = "conversion,binary,mde=0.01,window=1d"


def metric_of(text: str) -> Metric:
    """Return the metric that `text` describes: a name, a kind, then NAME=VALUE; InvalidRequest with every fault."""
    name, kind, *rest = [part.strip() for part in text.split(",")] + [""] * (text.count(",") == 0)
    faults, given = [], {}
    if not name or kind not in KINDS:
        faults.append(f"--metric: expected a name and one of {', '.join(KINDS)}, such as {EXAMPLE}")
    for part in rest:
        member, _, value = part.partition("=")
        try:
            given.update(_member(member, value))
        except ValueError:
            wanted = ", ".join((*NUMBERS, "window", *WORDS))
            faults.append(f"--metric: {quoted(part)} is no setting of a metric; expected {wanted}, such as mde=0.01")
    if "mde" not in given:
        faults.append("--metric: mde is missing: the least difference that is worth finding, such as mde=0.01")
    if faults:
        raise InvalidRequest(faults)
    return Metric(name, kind, **given)


def _member(name: str, value: str) -> dict[str, Any]:
    if name in NUMBERS:
        return {name: int(value) if name == "max_samples" else float(value)}
    span = SPAN.fullmatch(value)
    if name == "window" and span is not None:
        return {"window_s": float(span["number"]) * UNITS[span["unit"]]}
    if value in WORDS.get(name, ()):
        return {name: value}
    raise ValueError(name)
