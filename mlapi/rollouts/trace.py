"""How the numbers of a rollout went over time: what the controller saw at its looks, for people to draw.

Nothing is decided by it. It is one small file; once it is full, every second point goes, so that the whole
time stays covered, ever more coarsely.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mlapi.registry import durable

FILE = "trace.json"
MOST_POINTS = 500


@dataclass(frozen=True, slots=True)
class Point:
    """One look: when (RFC 3339 in UTC), the step and share then, units by arm, the evidence by name.

    `effect` is the difference of the metric (candidate minus control) with `lower` and `upper`, and the matured
    `units` behind it, 50/50-equivalent; empty where there is none yet.
    """

    at: str
    step: int
    ppm: int
    units: Mapping[str, int]
    evidence: Mapping[str, float]
    effect: Mapping[str, float] = field(default_factory=dict)


def read(folder: Path) -> tuple[Point, ...]:
    """Return the points of the rollout in `folder`, oldest first; empty where none were written."""
    try:
        rows: list[dict[str, Any]] = json.loads((folder / FILE).read_bytes())
    except (OSError, ValueError):
        return ()
    return tuple(Point(**row) for row in rows)


def add(folder: Path, point: Point) -> None:
    """Add a point to the trace of the rollout in `folder`; who looks twice without news writes once."""
    points = read(folder)
    if points and _same(points[-1], point):
        return
    kept = points[::2] if len(points) >= MOST_POINTS else points
    durable.swap(folder / FILE, json.dumps([asdict(one) for one in (*kept, point)]).encode())


def _same(last: Point, now: Point) -> bool:
    return (last.step, last.ppm, last.units, last.effect) == (now.step, now.ppm, now.units, now.effect)
