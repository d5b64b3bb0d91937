"""What was measured, for people: medians and spread as a Markdown table, and one drawing (SVG, by hand)."""

import math
import statistics
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

WIDTH, ROW, LEFT, RIGHT = 900, 18, 330, 90
COLOURS = ("#4477aa", "#66ccee", "#228833", "#bbbbbb", "#888888", "#ccbb44", "#ee6677", "#aa3377")
"""Paul Tol's bright scheme, which colour-blind readers can tell apart."""

Run = dict[str, Any]


def summary(runs: Sequence[Run]) -> list[Run]:
    """Return one row a model, workload and system: medians over the repeats, least and most of the rate."""
    found = []
    for key in dict.fromkeys((run["model"], run["workload"], run["system"]) for run in runs):
        same = [run for run in runs if (run["model"], run["workload"], run["system"]) == key]
        rates = [run["requests_per_second"] for run in same]
        medians = {
            name: statistics.median(run[name] for run in same)
            for name in ("requests_per_second", "rows_per_second", "p50_ms", "p99_ms", "cpu_us_per_request", "others")
        }
        found.append({
            "model": key[0], "workload": key[1], "system": key[2], "repeats": len(same), "least": min(rates),
            "most": max(rates), "broken": sum(run["broken"] for run in same), **medians,
        })  # fmt: skip
    return found


def markdown(document: dict[str, Any]) -> str:
    """Return the tables, one a model and workload, under a line about the machine."""
    about = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    lines = [
        (f"Measured {document['started']} on {about['cpu']} ({about['cpus']} cores), Linux {about['kernel']}, "
         f"Python {about['python']}; {versions}."),
        (f"{_many(document['workers'], 'worker')}, {_many(document['repeats'], 'repeat')} "
         f"of {document['seconds']:g} s, "
         f"server pinned to core {document['server_core']}, wrk to core {document['load_core']}."),
    ]  # fmt: skip
    rows = summary(document["runs"])
    for model, workload in dict.fromkeys((row["model"], row["workload"]) for row in rows):
        count, connections = document["workloads"][workload]
        asked = f"{_many(count, 'row')} a request, {_many(connections, 'connection')}"
        title = f"{model}, {document['models'][model]}: {asked}"
        lines += [
            "", f"**{title} ({workload})**", "",
            "| system | requests/s | least to most | p50 ms | p99 ms | CPU µs a request | others' CPU |",
            "|--|--:|--:|--:|--:|--:|--:|",
        ]  # fmt: skip
        lines += [
            f"| {row['system']} | {_short(row['requests_per_second'])} "
            f"| {_short(row['least'])} to {_short(row['most'])} "
            f"| {row['p50_ms']:.2f} | {row['p99_ms']:.2f} | {row['cpu_us_per_request']:,.0f} | {row['others']:.2f} |"
            for row in rows if (row["model"], row["workload"]) == (model, workload)
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def drawing(document: dict[str, Any]) -> str:
    """Return an SVG of requests a second on a logarithmic axis: a bar is a median, the line over it its spread."""
    rows = summary(document["runs"])
    systems = list(dict.fromkeys(row["system"] for row in rows))
    low = math.floor(math.log10(min(row["least"] for row in rows)))
    high = max(low + 1, math.ceil(math.log10(max(row["most"] for row in rows))))

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - low) / (high - low)

    parts, y = [_text(LEFT, 16, "requests a second, median; the line is least to most")], 40.0
    top = y - 8
    for model, workload in dict.fromkeys((row["model"], row["workload"]) for row in rows):
        for row in (row for row in rows if (row["model"], row["workload"]) == (model, workload)):
            colour, rate = COLOURS[systems.index(row["system"]) % len(COLOURS)], row["requests_per_second"]
            parts += [
                _text(LEFT - 8, y + 11, f"{model} {workload}  {row['system']}", "end"),
                f'<rect x="{LEFT}" y="{y:.0f}" width="{x(rate) - LEFT:.1f}" height="{ROW - 5}" fill="{colour}"/>',
                _line(x(row["least"]), y + 6.5, x(row["most"]), y + 6.5, "#000"),
                _text(x(row["most"]) + 6, y + 11, _short(rate)),
            ]
            y += ROW
        y += 8
    ticks = [part for power in range(low, high + 1) for part in _tick(x(10.0**power), top, y, f"{10.0**power:,g}")]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 24:.0f}" '
        'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
        f"{''.join([*ticks, *parts])}</svg>\n"
    )


def _tick(x: float, top: float, bottom: float, label: str) -> Iterable[str]:
    return _line(x, top, x, bottom, "#ddd"), _text(x, bottom + 14, label, "middle")


def _line(x: float, y: float, to_x: float, to_y: float, colour: str) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' if count > 1 else ''}"


def _short(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"  # noqa: PLR2004 (digits that mean something)
