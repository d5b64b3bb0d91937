"""The rollouts as a process of this server last read them, for one that begins while the registry is gone.

It was forked from a process that may never have heard of them; without them the newest version would get every request.
"""

import contextlib
import json
import logging
from collections.abc import Iterable
from pathlib import Path

from mlapi.registry import durable
from mlapi.rollouts import document
from mlapi.rollouts.document import Rollout

FILE = "rollouts.json"

log = logging.getLogger("mlapi.rollouts")


class Recall:
    """Keeps them in `folder`, which the workers of one server share."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._kept = b""

    def keep(self, head: bytes, rollouts: Iterable[Rollout]) -> None:
        """Keep what was read under this HEAD; a folder that cannot be written is the counters' to report."""
        known = [document.dumps(one).decode() for one in sorted(rollouts, key=lambda one: one.model)]
        data = json.dumps({"head": head.decode("latin-1"), "rollouts": known}).encode()
        if data != self._kept or not self._path.exists():
            with contextlib.suppress(OSError):
                durable.swap(self._path, data)
                self._kept = data

    def read(self) -> tuple[bytes, tuple[Rollout, ...]]:
        """Return the HEAD and the rollouts that were kept last; empty where there are none."""
        try:
            known = json.loads(self._path.read_bytes())
            return known["head"].encode("latin-1"), tuple(document.loads(one.encode()) for one in known["rollouts"])
        except FileNotFoundError:
            return b"", ()
        except Exception:  # a file that somebody else has written
            log.exception("the rollouts in the run folder cannot be read")
            return b"", ()
