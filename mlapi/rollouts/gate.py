"""The gate of a replay: what a version may do to logged requests and still get traffic."""

from dataclasses import dataclass

from mlapi.rollouts.replay import Replayed

NEGLIGIBLE_MS = 0.1
"""A median that is longer by less than this is not slower, whatever the ratio: calls of microseconds are noise."""

LEAST_TIMED = 30
"""Answers before times are judged: the median of a few is chance."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is still passed: shares of the requests, and how many times as long the median may be; None is any.

    Two versions ought to differ, so that disagreement has no limit unless one is given.
    """

    max_errors: float = 0.0
    max_disagreement: float | None = None
    max_slower: float | None = 2.0


def broken(found: Replayed, limits: Limits) -> tuple[str, ...]:
    """Return a sentence for each limit that a replay is beyond; none where it passed."""
    checks = (_errors(found, limits.max_errors), _disagreement(found, limits.max_disagreement),
              _slower(found, limits.max_slower))  # fmt: skip
    return tuple(fault for fault in checks if fault)


def _errors(found: Replayed, most: float) -> str:
    share = found.failed.share
    if share is None or share <= most:
        return ""
    counts = f"{found.failed.count} of {found.failed.of} requests failed ({share:.2%})"
    return f"{counts}, {found.errors} of them without an answer; at most {most:.2%} may (--max-errors)"


def _disagreement(found: Replayed, most: float | None) -> str:
    if most is None:
        return ""
    share = found.comparison.disagreement.share
    if share is None:
        return "no two answers could be compared, though disagreement has a limit (--max-disagreement)"
    if share <= most:
        return ""
    return f"{share:.2%} of the answers disagree; at most {most:.2%} may (--max-disagreement)"


def _slower(found: Replayed, most: float | None) -> str:
    was, now, ratio = found.times.control_ms[0], found.times.candidate_ms[0], found.times.ratio[0]
    if most is None or found.requests - found.errors < LEAST_TIMED or was is None or now is None or ratio is None:
        return ""
    if ratio <= most or now - was < NEGLIGIBLE_MS:
        return ""
    took = f"the median takes {ratio:.2f} times as long, {now:.3g} ms instead of {was:.3g}"
    return f"{took}; at most {most:g} times may be (--max-slower)"
