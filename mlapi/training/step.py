"""The progress of a long piece of work, told to whoever asked for it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """What is being done now (`text`), after `done` of `total` equal pieces of work."""

    text: str
    done: int
    total: int


Report = Callable[[Step], None]


def silent(_step: Step) -> None:
    """Report nothing: the default for callers that show no progress."""
