"""What the workers of a server count, each in a file of its own; read together they are the server's.

A worker writes its whole file at most twice a second, and before it is asked for, so that what was once read is in a
file and never becomes less. Files of workers that have ended are added up into one, or they would become ever more.
What holds only now, such as a number of connections, counts while its worker writes; its moments are seconds of the
monotonic clock, which all processes of a machine share.
"""

import contextlib
import json
import logging
import math
import operator
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mlapi.registry import durable

FLUSH_SECONDS = 0.5
BEAT_SECONDS = 2.0
FRESH_SECONDS = 10.0
"""A worker that has not written for so long counts no more for what holds now."""

GATHER_SECONDS = 60.0
FILE = "counters-"
ENDED = "ended-counters.json"
LOCK = "ended-counters.lock"
MOST_TRIES = 20

NOTHING: Mapping[str, Any] = {"of": [], "at": -math.inf, "rows": []}

Key = tuple[str | int, ...]
Rows = Iterable[tuple[Key, Sequence[float]]]
Join = Callable[[float, float], float]

log = logging.getLogger("mlapi.counters")


class Source(Protocol):
    """Something that counts."""

    @property
    def changes(self) -> int:
        """A number that is another one after something was counted; what holds only now may change without it."""

    def begin(self) -> None:
        """Begin at zero: this is another process now."""

    def sections(self) -> Mapping[str, Rows]:
        """Return what was counted so far in this process, by section."""


class Section(NamedTuple):
    """How the rows of several workers are joined, number by number; `lasting` ones count when the worker has ended.

    `regroup` gives the keys that rows are joined under, of all that there are, so that these do not become too many.
    """

    join: Join = operator.add
    lasting: bool = True
    regroup: Callable[[Iterable[Key]], Mapping[Key, Key]] = lambda _: {}


@dataclass(frozen=True, slots=True)
class Totals:
    """What all workers counted, by section and key; `workers` is how many of them live."""

    workers: int
    sections: Mapping[str, Mapping[Key, Sequence[float]]]

    def of(self, section: str) -> Mapping[Key, Sequence[float]]:
        """Return the rows of a section; empty where nothing was counted."""
        return self.sections.get(section, {})


Joined = dict[str, dict[Key, list[float]]]


class WorkerFiles:
    """The files in `folder`, which the workers of one server share; `write` puts bytes in place of a file at once."""

    def __init__(
        self, folder: Path, sections: Mapping[str, Section], write: Callable[[Path, bytes], None] = durable.swap,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._sections, self._write, self._monotonic = folder, sections, write, monotonic
        self._sources: list[Source] = []
        self._writing = threading.Lock()
        self._written: list[int] = []
        self._at = 0.0
        self._ended = threading.Event()
        self._started_in: int | None = None
        self._begin()
        # A forked worker begins at zero, under a name of its own: what its parent counted is in the parent's file.
        again = weakref.WeakMethod(self._begin)
        os.register_at_fork(after_in_child=lambda: (begin := again()) and begin())

    def add(self, source: Source) -> None:
        """Write what `source` counts from now on."""
        self._sources.append(source)

    def start(self) -> None:
        """Write twice a second from now on; once a process, after the fork."""
        if self._started_in == os.getpid():
            return
        self._started_in = os.getpid()
        threading.Thread(target=self._keep_writing, name="mlapi-counters", daemon=True).start()

    def stop(self) -> None:
        """Write no more by itself."""
        self._ended.set()

    def flush(self) -> None:
        """Write what this process has counted, where that has changed or was written a while ago. Raises OSError."""
        with self._writing:
            changes, now = [source.changes for source in self._sources], self._monotonic()
            if changes == self._written and now - self._at < BEAT_SECONDS:
                return
            rows = [row for source in self._sources for row in _plain(source.sections())]
            data = json.dumps({"of": [], "at": now, "rows": rows}).encode()
            try:
                self._write(self._folder / self.name, data)
            except FileNotFoundError:  # somebody tidied up where MLAPI_RUN_FOLDER is
                durable.volatile_folder(self._folder)
                self._write(self._folder / self.name, data)
            self._written, self._at = changes, now

    def totals(self) -> Totals:
        """Return what all workers have counted; of this one what could be written."""
        with contextlib.suppress(OSError):  # the thread says so in the log
            self.flush()
        ended, documents = self._read()
        now = self._monotonic()
        living = [one for path, one in documents.items() if now - one["at"] < FRESH_SECONDS and _lives(path)]
        found: Joined = {}
        for document in (ended, *documents.values()):
            self._join(found, document["rows"], lambda section: section.lasting)
        for document in living:
            self._join(found, document["rows"], lambda section: not section.lasting)
        return Totals(len(living), self._regrouped(found))

    def gather(self) -> None:
        """Add up the files of the processes that have ended, and remove them. Raises OSError.

        Killed in between, the names in the sum tell the next one, and whoever reads, what it has already.
        """
        with durable.claimed(self._folder / LOCK) as is_mine:
            gone = [path for path in self._paths() if not _lives(path)] if is_mine else []
            if not gone:
                return
            ended = _document(self._folder / ENDED)
            added = [_document(path) for path in gone if path.name not in ended["of"]]
            found: Joined = {}
            for document in (ended, *added):
                self._join(found, document["rows"], lambda section: section.lasting)
            rows = _plain({section: rows.items() for section, rows in self._regrouped(found).items()})
            whole = {"of": [path.name for path in gone], "at": -math.inf, "rows": rows}
            self._write(self._folder / ENDED, json.dumps(whole).encode())
            for path in gone:
                durable.discard(path)
            durable.collect(self._folder)

    def _begin(self) -> None:
        self.name = f"{FILE}{os.getpid()}-{secrets.token_hex(4)}.json"  # a pid alone may be given again
        self._written, self._at, self._writing = [], 0.0, threading.Lock()
        for source in self._sources:
            source.begin()

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"{FILE}*.json"))

    def _read(self) -> tuple[dict[str, Any], dict[Path, dict[str, Any]]]:
        """Return the sum of the ended and the files of the others: as they stood while that sum stayed the same."""
        for _ in range(MOST_TRIES):
            before = _stamp(self._folder / ENDED)
            ended = _document(self._folder / ENDED)
            documents = {path: _document(path) for path in self._paths() if path.name not in ended["of"]}
            if _stamp(self._folder / ENDED) == before:
                break
        return ended, documents

    def _join(self, found: Joined, rows: Iterable[Any], is_wanted: Callable[[Section], bool]) -> None:
        for name, key, numbers in rows:
            section = self._sections.get(name)
            if section is not None and is_wanted(section):
                _add(found.setdefault(name, {}), section, tuple(key), numbers)

    def _regrouped(self, found: Joined) -> Joined:
        regrouped: Joined = {}
        for name, rows in found.items():
            section, known = self._sections[name], regrouped.setdefault(name, {})
            keys = section.regroup(rows)
            for key, numbers in rows.items():
                _add(known, section, keys.get(key, key), numbers)
        return regrouped

    def _keep_writing(self) -> None:
        due, fails = 0.0, False
        while True:
            try:
                self.flush()
                if self._monotonic() >= due:
                    due = self._monotonic() + GATHER_SECONDS
                    self.gather()
                fails = False
            except OSError as error:  # a full disk: counted on, and written when there is room again
                if not fails:  # once, not twice a second
                    log.warning("the counters cannot be written", extra={"error": str(error)})
                fails = True
            except Exception:
                log.exception("writing the counters failed")
            if self._ended.wait(FLUSH_SECONDS):
                return


def _add(known: dict[Key, list[float]], section: Section, key: Key, numbers: list[float]) -> None:
    before = known.get(key)
    known[key] = numbers if before is None else list(map(section.join, before, numbers))


def _plain(sections: Mapping[str, Rows]) -> list[list[object]]:
    return [[name, list(key), list(numbers)] for name, rows in sections.items() for key, numbers in rows]


def _document(path: Path) -> dict[str, Any]:
    """Return what stands in a file; nothing where it is not there, or no more, or was damaged by somebody."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        known = json.loads(path.read_bytes())
        if isinstance(known, dict) and known.keys() == NOTHING.keys() and _is_whole(**known):
            return known
    return dict(NOTHING)


def _is_whole(of: Any, at: Any, rows: Any) -> bool:  # noqa: ANN401 (decoded JSON)
    """Tell whether a file is one that a worker wrote, as far as it is read."""
    return isinstance(of, list) and isinstance(at, float | int) and isinstance(rows, list) and all(
        isinstance(row, list) and list(map(type, row)) == [str, list, list] for row in rows
    )


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return what tells one content of a file from the next: it is put in its place by a rename."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _lives(path: Path) -> bool:
    pid = path.name.removeprefix(FILE).partition("-")[0]
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, OverflowError):  # no process has such a number
        return False
    except PermissionError:  # it is another user's
        return True
    return True
