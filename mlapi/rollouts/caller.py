"""Who asks: what a request says of itself, and the number that is drawn for one that says nothing."""

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlapi.inference.values import Assignment, Target

NOTHING: Mapping[str, bytes] = MappingProxyType({})


class Ticket:
    """What a rollout decided for a request, for whoever may give it up while its model computes.

    Either it is told of when the model is done or when it is given up, never both: whoever takes the ticket tells.
    """

    __slots__ = ("_left", "decided")

    def __init__(self) -> None:
        self.decided: tuple[Target, Assignment, int] | None = None
        """What was asked and what was decided, and when, in ns of the data plane's clock."""
        self._left = [True]

    def take(self) -> bool:
        """Tell whether nobody has taken it before."""
        try:
            return self._left.pop()  # at once, whatever other threads do
        except IndexError:
            return False


class Caller:
    """The caller of one request: `words` is what was sent, by source, such as header:X-User-Id."""

    __slots__ = ("_words", "drawn", "ticket")

    def __init__(
        self, words: Mapping[str, bytes] = NOTHING, drawn: int | None = None, ticket: Ticket | None = None,
    ) -> None:
        self._words, self.ticket = words, ticket
        self.drawn = drawn
        """The number that was drawn already; None as long as nobody needed one."""

    def told(self, source: str) -> bytes | None:
        """Return what was sent under a source, its bytes as they came; None for nothing."""
        return self._words.get(source)

    def draw(self) -> int:
        """Return 64 random bits, the same at every call.

        A request that is tried twice, by the short road and then by the long one, stays in the arm it was drawn
        into: else those that an arm cannot answer would be drawn again, and its failures lost to the other.
        """
        if self.drawn is None:
            self.drawn = random.getrandbits(64)
        return self.drawn
