"""Moments as rollouts write them down: RFC 3339 in UTC, for people to read. Nothing is decided by them."""

from datetime import UTC, datetime

_FORM = "%Y-%m-%dT%H:%M:%SZ"


def moment(seconds: float) -> str:
    """Return the text of a moment, given in seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).strftime(_FORM)


def milliseconds(text: str) -> int:
    """Return the milliseconds since the epoch of a moment that `moment` wrote."""
    return round(datetime.strptime(text, _FORM).replace(tzinfo=UTC).timestamp() * 1000)
