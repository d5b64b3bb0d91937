"""The run of a server: the processes that share orders and counters, and that no later run inherits them from.

A run is the process that has forked the workers. Where the application is built before the fork that is the
builder, else it is the builder's parent: the two are told apart by the address of the stack (proc(5), `startstack`),
which a fork keeps and an exec draws anew.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from mlapi.registry import durable

FOLDER = "run-"
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    name: str
    parent: int
    began: str
    stack: str


def folder_of_run(shared: Path | None) -> Path:
    """Return the folder of this run in `shared`, empty at its start; without `shared` a new one that goes with it.

    What ended runs have left in `shared` is removed. Without /proc there is no telling runs apart: `shared` itself.
    """
    if shared is None:
        return durable.volatile_folder()
    durable.volatile_folder(shared)
    name = _name()
    if name is None:
        return shared
    own = shared / f"{FOLDER}{name}"
    durable.hold(own)
    durable.discard_unheld(shared, FOLDER)
    return own


def _name() -> str | None:
    """Name the run, unlike any other on this machine, also in other containers and before a restart of it."""
    own = _process(os.getpid())
    if own is None:
        return None
    parent = _process(own.parent)
    root = parent if parent is not None and _is_fork(own, parent) else own
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        space = (PROC / "self/ns/pid").readlink()
    except OSError:
        return None
    return hashlib.sha256(f"{boot} {space} {root.pid} {root.began}".encode()).hexdigest()[:16]


def _is_fork(own: _Process, parent: _Process) -> bool:
    if parent.stack == "0":  # hidden, since the parent is another user's, such as root's that has dropped its rights
        return own.name == parent.name
    return own.stack == parent.stack


def _process(pid: int) -> _Process | None:
    try:
        head, _, tail = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(") ")
    except OSError:
        return None
    fields = tail.split()
    return _Process(pid, head.partition("(")[2], int(fields[1]), fields[19], fields[25])
