"""The list of faults of one request: all of them counted, the first twenty named."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from mlapi.errors import MOST_FAULTS, InvalidRequest

TEXT = 60

Thing = TypeVar("Thing")


class Faults:
    """Collects sentences and raises them together, so that a caller mends a body once."""

    def __init__(self, kind: type[InvalidRequest] = InvalidRequest) -> None:
        self._kind = kind
        self._named: list[str] = []
        self._total = 0

    def __bool__(self) -> bool:
        return self._total > 0

    @property
    def full(self) -> bool:
        """Whether a further fault would be counted and not named."""
        return len(self._named) == MOST_FAULTS

    def add(self, sentence: str) -> None:
        """Note one fault; beyond the twentieth only the count grows."""
        self._total += 1
        if not self.full:
            self._named.append(sentence)

    def extend(self, sentences: Iterable[str]) -> None:
        """Note several faults."""
        for sentence in sentences:
            self.add(sentence)

    def each(self, things: Sequence[Thing], sentence: Callable[[Thing], str]) -> None:
        """Note a fault for each of `things`; words are made only for those that will be named."""
        named = things[: MOST_FAULTS - len(self._named)]
        self._named.extend(map(sentence, named))
        self._total += len(things)

    def count(self, faults: int) -> None:
        """Note faults that will not be named."""
        self._total += faults

    def raise_any(self) -> None:
        """Raise what was collected; return where nothing was."""
        if self._total:
            raise self._kind(self._named, self._total)


def quoted(name: object) -> str:
    """Return a name that a caller sent, safe for a message: printable ASCII, at most 60 characters."""
    text = ascii(str(name))[1:-1]
    return f"'{text[:TEXT]}…'" if len(text) > TEXT else f"'{text}'"
