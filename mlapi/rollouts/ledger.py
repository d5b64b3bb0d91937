"""The ledger of a rollout: who was exposed to which version, and what came of it, each counted once.

The controller reads the exposure and outcome segments of all workers into SQLite on its own disk, where
keys and prediction ids are unique. Whoever controls next on this host goes on with it; on another host it
is made again from the segments. Nothing else reads it, and no request waits for it.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from mlapi.errors import InvalidRequest
from mlapi.rollouts import prediction_id
from mlapi.rollouts.buckets import BUCKETS, bucket
from mlapi.rollouts.counters import Stratum
from mlapi.rollouts.document import CANDIDATE, CONTROL, LABELLED, Metric, Rollout
from mlapi.rollouts.exposures import EXPOSURES, OUTCOMES
from mlapi.rollouts.losses import loss
from mlapi.rollouts.moments import milliseconds
from mlapi.rollouts.statistics import Counts, Moments

CHUNK = 500
GRACE_MS = 2000
"""What workers and clocks may lag behind: a unit is settled so much after its window, or close to a change of the
shares; an outcome counts that is so much before its exposure, which may be noted after the answer."""

_SIGNED = 2**63
_TABLES = """
CREATE TABLE IF NOT EXISTS segments (name TEXT PRIMARY KEY, read INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS units (
    k INTEGER PRIMARY KEY, step INTEGER, ppm INTEGER, candidate INTEGER, t INTEGER, keyed INTEGER, bucket INTEGER);
CREATE TABLE IF NOT EXISTS predictions (p TEXT PRIMARY KEY, served INTEGER, y BLOB, q BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outcomes (
    p TEXT PRIMARY KEY, k INTEGER, t INTEGER, v REAL, label BLOB, conflicts INTEGER DEFAULT 0) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outcomes_by_unit ON outcomes (k);
"""
_UNIT = """
INSERT INTO units VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (k) DO UPDATE SET
    step = excluded.step, ppm = excluded.ppm, candidate = excluded.candidate, t = excluded.t
WHERE excluded.t < units.t
"""
_OUTCOME = """
INSERT INTO outcomes (p, k, t, v, label) VALUES (?, ?, ?, ?, ?) ON CONFLICT (p) DO UPDATE SET
    conflicts = conflicts + (excluded.label IS NOT outcomes.label OR
        (outcomes.label IS NULL AND excluded.v IS NOT outcomes.v))
"""
_VALUES = {
    "binary": "COALESCE(MAX(o.v), 0)",
    "continuous": "MAX(-:cap, MIN(:cap, COALESCE(SUM(o.v), 0)))",
}
_SETTLED = """
SELECT step, ppm, candidate, COUNT(*), SUM(v), SUM(v * v), SUM(labelled) FROM (
    SELECT u.step, u.ppm, u.candidate, {value} AS v, COUNT(o.p) > 0 AS labelled
    FROM units u LEFT JOIN outcomes o ON o.k = u.k AND o.t - u.t BETWEEN -:grace AND :window
    WHERE u.ppm BETWEEN 1 AND 999999 AND u.t <= :settled {moved}
    GROUP BY u.k
) WHERE v IS NOT NULL GROUP BY step, ppm, candidate
"""
_MOVED = "AND NOT (u.keyed AND u.t < {at} + :grace AND u.t + :window > {at} AND (u.bucket < {ppm}) <> u.candidate)"


@dataclass(frozen=True, slots=True)
class Settled:
    """The units whose window has passed: moments of the metric and counts of those with an outcome, by stratum.

    `conflicts` counts outcomes that were told again with another value; the first one stands.
    """

    moments: Mapping[Stratum, Moments]
    labelled: tuple[Counts, ...]
    conflicts: int

    @property
    def units(self) -> dict[str, int]:
        """Return the number of units in each arm."""
        arms = self.moments.values()
        return {CONTROL: round(sum(one.control[0] for one in arms)),
                CANDIDATE: round(sum(one.candidate[0] for one in arms))}  # fmt: skip


class Ledger:
    """The ledger in `database` of the rollout whose files are in `folder`.

    `secret` is that of the rollout: outcomes whose id it did not sign are left out. `classes` are the classes
    of each arm's version in the order of its probabilities, which the log loss needs.
    """

    def __init__(
        self, database: Path, folder: Path, secret: bytes, classes: Mapping[str, tuple[Any, ...]],
    ) -> None:
        self._folder, self._secret, self._classes = folder, secret, classes
        self._rows = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        self._rows.execute("PRAGMA journal_mode = WAL")
        self._rows.execute("PRAGMA synchronous = OFF")  # what is lost with the machine is read again
        self._rows.executescript(_TABLES)

    def close(self) -> None:
        """Let go of the database."""
        self._rows.close()

    def read(self, rollout: Rollout) -> None:
        """Read what all workers wrote since the last time; raises OSError, sqlite3.Error."""
        labelled = rollout.metric is not None and rollout.metric.kind in LABELLED
        for lines, mark in self._news(EXPOSURES):
            with self._noted(mark):
                self._rows.executemany(_UNIT, (row for line in lines if (row := _unit(line)) is not None))
                if labelled:
                    answers = (row for line in lines if (row := _answer(line)) is not None)
                    self._rows.executemany("INSERT OR IGNORE INTO predictions VALUES (?, ?, ?, ?)", answers)
        for lines, mark in self._news(OUTCOMES):
            with self._noted(mark):
                rows = (row for line in lines if (row := self._outcome(line, rollout)) is not None)
                self._rows.executemany(_OUTCOME, rows)
        if labelled and rollout.metric is not None:
            self._take_losses(rollout.metric)

    def settled(self, rollout: Rollout, metric: Metric, now_ms: int) -> Settled:
        """Return the units whose window had passed at `now_ms`, milliseconds since the epoch.

        Somebody who is followed by a key counts once, where they were first seen; not at all if a change of
        the shares gave them the other version within their window, which depends on their bucket alone.
        """
        value = _VALUES.get(metric.kind, "AVG(o.v)")
        window = round(metric.window_s * 1000)
        moved = "".join(_MOVED.format(at=at, ppm=ppm) for at, ppm in shares(rollout))
        known = {"window": window, "grace": GRACE_MS, "settled": now_ms - window - GRACE_MS, "cap": metric.cap}
        cells: dict[Stratum, dict[str, tuple[float, float, float, int]]] = {}
        for step, ppm, candidate, *sums in self._rows.execute(_SETTLED.format(value=value, moved=moved), known):
            cells.setdefault((step, ppm), {})[CANDIDATE if candidate else CONTROL] = tuple(sums)
        none = (0, 0.0, 0.0, 0)
        pairs = {stratum: (arms.get(CONTROL, none), arms.get(CANDIDATE, none)) for stratum, arms in cells.items()}
        (conflicts,) = self._rows.execute("SELECT COALESCE(SUM(conflicts), 0) FROM outcomes").fetchone()
        moments = {stratum: Moments(one[:3], other[:3]) for stratum, (one, other) in pairs.items()}
        labelled = tuple(Counts(one[3], other[3], ppm / BUCKETS) for (_, ppm), (one, other) in pairs.items())
        return Settled(moments, labelled, conflicts)

    def _news(self, kind: str) -> Iterator[tuple[list[dict[str, Any]], tuple[str, int]]]:
        """Yield the whole lines that were added since, in chunks, each with the mark up to where it goes."""
        for path in sorted((self._folder / kind).glob("[!.]*")):
            name = f"{kind}/{path.name.partition('.')[0]}"
            found = self._rows.execute("SELECT read FROM segments WHERE name = ?", (name,)).fetchone()
            for lines, end in _chunks(path, 0 if found is None else found[0]):
                yield lines, (name, end)

    @contextmanager
    def _noted(self, mark: tuple[str, int]) -> Iterator[None]:
        """Take in lines and move their mark, both or neither."""
        self._rows.execute("BEGIN")
        try:
            yield
            self._rows.execute("INSERT OR REPLACE INTO segments VALUES (?, ?)", mark)
            self._rows.execute("COMMIT")
        except BaseException:
            self._rows.execute("ROLLBACK")
            raise

    def _outcome(self, line: dict[str, Any], rollout: Rollout) -> tuple[Any, ...] | None:
        try:
            said = prediction_id.read(line["p"], rollout.id, self._secret)
        except (KeyError, InvalidRequest):
            return None
        label = line.get("l")
        return line["p"], _signed(said.hashed), line["t"], line.get("v"), None if label is None else orjson.dumps(label)

    def _take_losses(self, metric: Metric) -> None:
        """Put the loss of each labelled prediction where its value stands, as soon as both are known.

        Labels that say nothing of their prediction, such as one that is no class, are forgotten.
        """
        waiting = self._rows.execute(
            "SELECT o.p, n.served, n.y, n.q, o.label FROM outcomes o JOIN predictions n ON n.p = o.p"
            " WHERE o.v IS NULL AND o.label IS NOT NULL",
        ).fetchall()
        found = [(self._loss(metric, *known), name) for name, *known in waiting]
        self._rows.execute("BEGIN")
        self._rows.executemany("UPDATE outcomes SET v = ? WHERE p = ?", [one for one in found if one[0] is not None])
        self._rows.executemany("DELETE FROM outcomes WHERE p = ?", [one[1:] for one in found if one[0] is None])
        self._rows.execute("COMMIT")

    def _loss(self, metric: Metric, served: int, y: bytes, q: bytes | None, label: bytes) -> float | None:
        classes = self._classes.get(CANDIDATE if served else CONTROL, ())
        probabilities = None if q is None else orjson.loads(q)
        return loss(metric.kind, orjson.loads(y), probabilities, classes, orjson.loads(label))


def shares(rollout: Rollout) -> Iterable[tuple[int, int]]:
    """Return when the candidate got which share: milliseconds since the epoch and millionths, by the history."""
    found = []
    for change in rollout.history:
        state, _, step = change.after.partition(":")
        if state == "running" and step.isdecimal() and int(step) < len(rollout.plan):
            found.append((milliseconds(change.at), rollout.plan[int(step)].ppm))
        elif state == "paused" and rollout.on_pause == CONTROL:
            found.append((milliseconds(change.at), 0))
    return found


def _chunks(path: Path, begin: int) -> Iterator[tuple[list[dict[str, Any]], int]]:
    with path.open("rb") as file:
        file.seek(begin)
        lines: list[dict[str, Any]] = []
        for line in file:
            if not line.endswith(b"\n"):  # its writer has not finished, or was killed in it
                break
            begin += len(line)
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:  # torn where a writer was killed and another went on
                row = None
            if isinstance(row, dict):
                lines.append(row)
            if len(lines) >= CHUNK:
                yield lines, begin
                lines = []
        if lines:
            yield lines, begin


def _unit(line: dict[str, Any]) -> tuple[Any, ...] | None:
    if line.get("a") not in {CONTROL, CANDIDATE}:
        return None
    hashed, keyed = int(line["k"], 16), line["u"] == "key"
    return _signed(hashed), line["s"], line["w"], line["a"] == CANDIDATE, line["t"], keyed, bucket(hashed)


def _answer(line: dict[str, Any]) -> tuple[Any, ...] | None:
    if line.get("p") is None or "y" not in line:
        return None
    served, q = line["a"] == CANDIDATE and not line["f"], line.get("q")
    return line["p"], served, orjson.dumps(line["y"]), None if q is None else orjson.dumps(q)


def _signed(hashed: int) -> int:
    """SQLite's integers are signed."""
    return hashed - 2 * _SIGNED if hashed >= _SIGNED else hashed
