"""Numbers that others keep of this process: what they counted, and what holds now."""

from collections.abc import Callable, Mapping

from mlapi.registry.worker_files import Rows, Section

COUNTS, NOW = "process: counts", "process: now"
SECTIONS = {COUNTS: Section(), NOW: Section(lasting=False)}
"""By name."""

Numbers = Mapping[str, Callable[[], int]]


class Process:
    """Asks for the numbers when they are written; `counts` never become less."""

    def __init__(self, counts: Numbers, now: Numbers) -> None:
        self._counts, self._now = counts, now

    def tell(self, now: Numbers) -> None:
        """Tell more of what holds now, such as what only a server knows."""
        self._now = {**self._now, **now}

    @property
    def changes(self) -> int:
        """How often something was counted."""
        return sum(number() for number in self._counts.values())

    def begin(self) -> None:
        """Do nothing: those who count begin anew by themselves."""

    def sections(self) -> Mapping[str, Rows]:
        """Return what is known now; see SECTIONS."""
        return {COUNTS: _rows(self._counts), NOW: _rows(self._now)}


def _rows(numbers: Numbers) -> Rows:
    return [((name,), [number()]) for name, number in numbers.items()]
