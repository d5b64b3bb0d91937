"""Profiles of a serving process by py-spy: a flame graph, and the functions that take most of the time themselves."""

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

RATE = 250
TOP = 10


def profiled(pid: int, core: str, seconds: int, load: Callable[[], object], file: Path) -> str:
    """Record a process twice while `load` runs: as `file`, an SVG, and as a table beside it, `.md`; return the table.

    Samples are of the thread that holds the interpreter; what a function calls in C counts as its own. Raises OSError
    with what py-spy says where it may not look into the process.
    """
    _record(pid, core, seconds, load, ["--output", str(file)])
    raw = file.with_suffix(".raw")
    _record(pid, core, seconds, load, ["--format", "raw", "--output", str(raw)])
    table = "\n".join(["| function | own time |", "|--|--:|", *(
        f"| `{name}` | {share:.1%} |" for name, share in top(raw.read_text()))])  # fmt: skip
    raw.unlink()
    file.with_suffix(".md").write_text(table + "\n")
    return table


def top(stacks: str, count: int = TOP) -> list[tuple[str, float]]:
    """Return the functions with most samples of their own, and their shares, of `frame;frame;... samples` lines."""
    own: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, samples = line.rpartition(" ")
        own[stack.rpartition(";")[2].rpartition(":")[0] + ")"] += int(samples)
    return [(name, samples / own.total()) for name, samples in own.most_common(count)]


def _record(pid: int, core: str, seconds: int, load: Callable[[], object], options: list[str]) -> None:
    command = ["taskset", "-c", core, "py-spy", "record", "--duration", str(seconds), "--rate", str(RATE), "--gil",
               "--pid", str(pid), *options]  # fmt: skip
    spy = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    load()
    failed = spy.communicate()[1]
    if spy.returncode:
        raise OSError(failed.decode()[-300:])
