"""Charts of a rollout as SVG: what was seen at each look, in the order of the looks; pure functions of numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 84, 16, 12, 24
TICKS = 4


@dataclass(frozen=True, slots=True)
class Line:
    """One value a look, with an interval where there is one; None where there was no value yet."""

    name: str
    values: Sequence[float | None]
    lower: Sequence[float | None] = ()
    upper: Sequence[float | None] = ()


def chart(lines: Sequence[Line], title: str, mark: float | None = None, *, logarithmic: bool = False) -> Markup:
    """Return the chart of `lines`, with a dashed line at `mark`; empty where no look had a value.

    `logarithmic` draws values by their size, such as e-values, all of which must be above 0.
    """
    known = [value for line in lines for part in (line.values, line.lower, line.upper) for value in part
             if value is not None]  # fmt: skip
    if not known:
        return Markup()
    known += [] if mark is None else [mark]
    shape = _Scale.over(known, max(len(line.values) for line in lines), logarithmic)
    parts = [shape.grid()]
    if mark is not None:
        parts.append(_rule("mark", shape.y(mark)))
    for number, line in enumerate(lines):
        parts += [shape.band(line, number), shape.path(line.values, number), _label(line.name, number)]
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, title)
    return Markup().join([head, Markup("<title>{}</title>").format(title), *parts, Markup("</svg>")])


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where values stand on the paper."""

    low: float
    high: float
    looks: int
    logarithmic: bool

    @classmethod
    def over(cls, values: Sequence[float], looks: int, logarithmic: bool) -> "_Scale":  # noqa: FBT001 (of the chart)
        drawn = [math.log10(value) for value in values] if logarithmic else list(values)
        low, high = min(drawn), max(drawn)
        room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
        return cls(low - room, high + room, looks, logarithmic)

    def x(self, look: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (look / max(1, self.looks - 1))

    def y(self, value: float) -> float:
        drawn = math.log10(value) if self.logarithmic else value
        return TOP + (HEIGHT - TOP - BOTTOM) * (self.high - drawn) / (self.high - self.low)

    def grid(self) -> Markup:
        rows = []
        for tick in range(TICKS + 1):
            drawn = self.low + (self.high - self.low) * tick / TICKS
            value = 10**drawn if self.logarithmic else drawn
            at = TOP + (HEIGHT - TOP - BOTTOM) * (1 - tick / TICKS)
            number = Markup('<text x="{}" y="{:.1f}">{:.3g}</text>').format(LEFT - 6, at + 4, value)
            rows += [_rule("grid", at), number]
        return Markup().join(rows)

    def path(self, values: Sequence[float | None], number: int) -> Markup:
        points = [f"{self.x(look):.1f},{self.y(value):.1f}" for look, value in enumerate(values) if value is not None]
        return Markup('<polyline class="line{}" points="{}"/>').format(number, " ".join(points))

    def band(self, line: Line, number: int) -> Markup:
        edges = [(look, low, high) for look, (low, high) in enumerate(zip(line.lower, line.upper, strict=False))
                 if low is not None and high is not None]  # fmt: skip
        if not edges:
            return Markup()
        there = [f"{self.x(look):.1f},{self.y(high):.1f}" for look, _, high in edges]
        back = [f"{self.x(look):.1f},{self.y(low):.1f}" for look, low, _ in reversed(edges)]
        return Markup('<polygon class="band{}" points="{}"/>').format(number, " ".join([*there, *back]))


def _rule(kind: str, at: float) -> Markup:
    line = Markup('<line class="{}" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>')
    return line.format(kind, LEFT, WIDTH - RIGHT, at, at)


def _label(name: str, number: int) -> Markup:
    at = LEFT + 8 + 140 * number
    return Markup('<text class="name line{}" x="{}" y="{}">{}</text>').format(number, at, HEIGHT - 6, name)
