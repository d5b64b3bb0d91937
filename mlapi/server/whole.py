"""What a connection needs of the server behind it."""

from typing import TYPE_CHECKING, Protocol

from mlapi.server.heads import Head

if TYPE_CHECKING:  # a connection imports this module
    from mlapi.server.connection import Connection


class Whole(Protocol):
    """Where whole requests go; answered by `Connection.answer`, at once or later."""

    limit: int
    read_seconds: float
    idle_seconds: float
    write_seconds: float
    draining: bool

    def request(self, connection: "Connection", head: Head, body: bytes, raw: bytes | None) -> None:
        """Take a request: its body, or for a chunked one all of its bytes (`raw`)."""

    def reserve(self, size: int) -> bool:
        """Count `size` bytes (negative: fewer) as held for unfinished requests; tell whether so many may be."""

    def refused(self, status: int) -> None:
        """Count an answer that the application was not asked for."""

    def closed(self, connection: "Connection") -> None:
        """Forget a connection."""
