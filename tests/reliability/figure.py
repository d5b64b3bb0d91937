"""What a sweep found: a line of counts, and every fault."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """The counts of one sweep; it holds where `faults` is empty."""

    requirement: str
    title: str
    counts: Mapping[str, int | float]
    faults: tuple[str, ...] = ()
    note: str = ""

    def line(self) -> str:
        """Return the counts in one line, such as 'R1 kill -9: 132 injection points, 0 torn'."""
        counts = ", ".join(f"{_number(count)} {what}" for what, count in self.counts.items())
        note = f" ({self.note})" if self.note else ""
        return f"{self.requirement} {self.title}: {counts}{note}"

    def document(self) -> dict[str, Any]:
        """Return the figure as plain JSON values."""
        return {**asdict(self), "holds": not self.faults}


def _number(count: float) -> str:
    return f"{count:,}" if isinstance(count, int) else f"{count:,.1f}"
