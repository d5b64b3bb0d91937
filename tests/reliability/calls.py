"""The system calls by which a process changes files below one folder: seen one by one, and steered.

The functions of `os` that make these calls are replaced inside a `with` block; each call is handed to a
function that may make it, make it differently, make it fail, or end the process before or after it.
"""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = ("open", "write", "fsync", "fchmod", "mkdir", "rename", "link", "chmod", "unlink", "rmdir")
_BY_DESCRIPTOR = {"write", "fsync", "fchmod"}
_OPENED = os.O_CREAT | os.O_DIRECTORY


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its place in the sequence, the function of `os`, its arguments, and the path it changes."""

    index: int
    name: str
    path: Path
    args: tuple[Any, ...]

    @property
    def creates(self) -> bool:
        """Whether it makes a file."""
        return self.name == "open" and bool(self.args[1] & os.O_CREAT)


Around = Callable[[Call, Callable[..., Any]], Any]


@contextlib.contextmanager
def steered(folder: Path, around: Around) -> Iterator[None]:
    """Hand each changing call at or below `folder` to `around(call, make)`; `make(*args)` makes the call.

    Opening a folder, which every sync of one begins with, counts too. Only this process is steered,
    not the ones it forks.
    """
    counter, process = itertools.count(), os.getpid()
    originals = {name: getattr(os, name) for name in NAMES}

    def replacement(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            def make(*other: Any) -> Any:
                return originals[name](*(other or args), **kwargs)

            path = _path(name, args)
            if os.getpid() != process or path is None or not path.is_relative_to(folder):
                return make()
            if name == "write":
                args = (args[0], bytes(args[1]))
            return around(Call(next(counter), name, path, args), make)

        return call

    for name in NAMES:
        setattr(os, name, replacement(name))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(os, name, original)


def _path(name: str, args: tuple[Any, ...]) -> Path | None:
    """Return the path that a call changes; None for an open that neither makes a file nor opens a folder."""
    if name in _BY_DESCRIPTOR:
        return Path(f"/proc/self/fd/{args[0]}").readlink()
    if name == "open" and not args[1] & _OPENED:
        return None
    return Path(os.fsdecode(args[0])).absolute()
