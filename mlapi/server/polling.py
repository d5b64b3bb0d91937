"""Looking for the next request for a moment before the loop sleeps.

A loop that sleeps between two requests of one busy caller pays for it twice: the kernel wakes it, tens of
microseconds later, and what it needs is no longer in the processor's caches. While single requests come one close after
the other, the loop therefore looks again for a moment before it sleeps. Where they do not, or where several come at
once, so that there is load that other processes share, it never does.
"""

POLL_NS = 200_000
"""How long the loop looks, and how soon a request must follow an answer to count as close."""

STEADY = 8
"""Requests in a row that must have been close before the loop looks at all."""


class Polling:
    """Decides from the times of requests and answers whether looking is worth it; times are in ns."""

    def __init__(self) -> None:
        self._answered = 0
        self._close = 0

    def came(self, now: int) -> None:
        """Note that a request came while none was in work."""
        self._close = min(self._close + 1, STEADY) if now - self._answered <= POLL_NS else 0

    def answered(self, now: int, together: int) -> bool:
        """Note that the last request in work was answered, with others; tell whether to look for the next."""
        self._answered = now
        if together > 1:
            self._close = 0
        return self._close >= STEADY

    def goes_on(self, now: int) -> bool:
        """Tell whether to look once more; where not, requests must be close again before the loop looks."""
        if now - self._answered <= POLL_NS:
            return True
        self._close = 0
        return False
