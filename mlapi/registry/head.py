"""The HEAD of a registry, as a process remembers it: what tells a disk that is gone from a registry that is empty.

A folder on which nothing is mounted any more has no HEAD; one that had none yet is a registry before its first model.
What a process knew before a fork its children know as well.
"""

from pathlib import Path

from mlapi.errors import RegistryGone

FILE = "HEAD"


class Head:
    """Remembers the last HEAD that was read; `comebacks` counts how often it was gone, or may be another registry's."""

    def __init__(self) -> None:
        self.known, self._before = b"", b""
        self.is_gone = False
        self.comebacks = 0

    def require(self) -> None:
        """Raise RegistryGone where the registry was gone when it was last looked at."""
        if self.is_gone:
            raise RegistryGone

    def read(self, root: Path) -> bytes:
        """Return the HEAD in `root`, empty where there never was one; raises RegistryGone where there was, OSError."""
        try:
            found = (root / FILE).read_bytes()
        except FileNotFoundError as error:
            if self.known:
                self.is_gone = True
                raise RegistryGone from error
            return b""
        if found and (self.is_gone or found != self._before):  # else another thread was faster with the next one
            if self.is_gone or (found != self.known and generation(found) <= generation(self.known)):
                self.comebacks += 1  # of two publishers at once as well: then memory is compared for nothing
            if found != self.known:
                self.known, self._before = found, self.known
        self.is_gone = False
        return found


def generation(head: bytes) -> int:
    """Return how many changes a HEAD stands for; 0 where it does not say."""
    number = head.partition(b" ")[0]
    return int(number) if number.isdigit() else 0
