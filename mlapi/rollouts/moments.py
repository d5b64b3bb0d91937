"""Moments as rollouts write them down: RFC 3339 in UTC, for people to read. Nothing is decided by them."""

from datetime import UTC, datetime


def moment(seconds: float) -> str:
    """Return the text of a moment, given in seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
