"""The list of faults of one request: all of them counted, the first twenty named."""

from collections.abc import Iterable

from mlapi.errors import InvalidRequest

NAMED = 20
TEXT = 60


class Faults:
    """Collects sentences and raises them together, so that a caller mends a body once."""

    def __init__(self, kind: type[InvalidRequest] = InvalidRequest) -> None:
        self._kind = kind
        self._named: list[str] = []
        self._total = 0

    def __bool__(self) -> bool:
        return self._total > 0

    def add(self, sentence: str) -> None:
        """Note one fault; beyond the twentieth only the count grows."""
        self._total += 1
        if len(self._named) < NAMED:
            self._named.append(sentence)

    def extend(self, sentences: Iterable[str]) -> None:
        """Note several faults."""
        for sentence in sentences:
            self.add(sentence)

    def raise_any(self) -> None:
        """Raise what was collected; return where nothing was."""
        if self._total:
            raise self._kind(self._named, self._total)


def quoted(name: object) -> str:
    """Return a name that a caller sent, safe for a message: printable ASCII, at most 60 characters."""
    text = ascii(str(name))[1:-1]
    return f"'{text[:TEXT]}…'" if len(text) > TEXT else f"'{text}'"
