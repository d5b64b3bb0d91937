"""Keeps the ledgers of the rollouts that have a metric, for the controller that asks how the metric stands."""

import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlapi.errors import MlapiError
from mlapi.rollouts import success
from mlapi.rollouts.document import CANDIDATE, CONTROL, Rollout
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.ledger import Ledger
from mlapi.rollouts.success import Success

REST = 20
"""A look at all units is followed by this many times as long without one, so that it costs at most a twentieth."""

log = logging.getLogger("mlapi.rollouts")


@dataclass(slots=True)
class _Book:
    """The ledger of one rollout, and how it stood at the last look; `due` is monotonic seconds."""

    ledger: Ledger
    last: Success | None = None
    due: float = 0.0


class Bookkeeper:
    """Reads outcomes into ledgers in `folder`, which should be on a disk of this host.

    `wall` gives seconds since the epoch, `monotonic` those of a clock that does not jump.
    """

    def __init__(
        self, generations: Generations, folder: Path, wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._generations, self._folder, self._wall, self._monotonic = generations, folder, wall, monotonic
        self._books: dict[str, _Book] = {}

    def success(self, rollout: Rollout) -> Success | None:
        """Return how the metric of a rollout stands; None where it has none, or its outcomes cannot be read.

        That counts as no decision: the rollout waits.
        """
        if rollout.metric is None or rollout.shadow is not None:
            return None
        try:
            book = self._books.get(rollout.id) or self._opened(rollout)
            if book is None:
                return None
            begun = self._monotonic()
            if book.last is None or begun >= book.due:
                book.ledger.read(rollout)
                settled = book.ledger.settled(rollout, rollout.metric, round(self._wall() * 1000))
                book.last = success.stand(rollout.metric, settled)
                book.due = begun + REST * (self._monotonic() - begun)
        except (OSError, MlapiError, sqlite3.Error) as error:
            log.warning("outcomes cannot be read", extra={"rollout": rollout.id, "error": str(error)})
            return None
        return book.last

    def forget(self, rollout_id: str) -> None:
        """Let go of the ledger of a rollout that another process keeps now, or that has ended."""
        book = self._books.pop(rollout_id, None)
        if book is not None:
            book.ledger.close()

    def _opened(self, rollout: Rollout) -> _Book | None:
        secret = self._generations.secret(rollout)
        if secret is None:
            log.warning("outcomes cannot be verified: the secret cannot be read", extra={"rollout": rollout.id})
            return None
        store = self._generations.store
        arms = {CONTROL: rollout.control, CANDIDATE: rollout.candidate}
        classes = {arm: store.manifest(rollout.model, version).classes or () for arm, version in arms.items()}
        ledger = Ledger(
            self._folder / f"ledger-{rollout.id}.sqlite", self._generations.folder(rollout.model, rollout.id), secret,
            classes,
        )
        return self._books.setdefault(rollout.id, _Book(ledger))
