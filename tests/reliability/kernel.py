"""R1, R2: the operations as the kernel sees them: strace lists the system calls of a child, and interrupts them."""

import errno
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.reliability import child
from tests.reliability.child import Outcome
from tests.reliability.figure import Figure
from tests.reliability.operations import OPERATIONS
from tests.reliability.recovery import troubles
from tests.reliability.state import breaches
from tests.reliability.workshop import Bench, copy, set_up

CHANGING = (
    "open,openat,creat,write,pwrite64,writev,pwritev,fsync,fdatasync,fchmod,chmod,fchmodat,mkdir,mkdirat,rename,"
    "renameat,renameat2,unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat,truncate,ftruncate,fallocate,"
    "copy_file_range,sendfile,fchown,chown,utimensat,setxattr,fsetxattr,sync_file_range"
)
ALIASES = {"openat": "open", "fchmodat": "chmod", "mkdirat": "mkdir", "renameat": "rename", "renameat2": "rename",
           "unlinkat": "unlink"}  # fmt: skip
KINDS = ("interrupted calls", "torn", "acknowledged lost", "badly reported", "later publishes failed", "left behind")
_CALL = re.compile(r"(\w+)\((.*)")


@dataclass(frozen=True, slots=True)
class SystemCall:
    """One system call: its name, which of that name it is (from 1), and what strace wrote of it."""

    name: str
    ordinal: int
    text: str

    def changes(self, folder: Path) -> bool:
        """Tell whether it changes, or opens in order to sync, something in the folder."""
        if str(folder) not in self.text:
            return False
        listing = "O_DIRECTORY" in self.text and "O_NONBLOCK" in self.text  # opendir
        return self.name != "openat" or "O_CREAT" in self.text or ("O_DIRECTORY" in self.text and not listing)


def completeness(folder: Path, *, quick: bool) -> Figure:  # noqa: ARG001 (all sweeps are called alike)
    """Compare, for each operation, the system calls that strace lists with the calls that the injector steers."""
    counts = Counter({"operations": 0, "system calls": 0, "seen by the injector": 0})
    faults = []
    for operation in OPERATIONS:
        bench = set_up(operation, folder / operation.name.replace(" ", "-"))
        registry = copy(bench.prepared, folder / "traced")
        traced = _traced(bench, registry, folder / "calls.log")
        if isinstance(traced, str):
            return Figure("R1", "completeness", dict(counts), note=f"skipped: {traced}")
        names = [ALIASES.get(call.name, call.name) for call in traced[1] if call.changes(registry.parent)]
        counts += Counter({"operations": 1, "system calls": len(names), "seen by the injector": len(bench.calls)})
        steered = [call.name for call in bench.calls]
        if names != steered:
            faults.append(f"{operation.name}: strace: {' '.join(names)}; injector: {' '.join(steered)}")
    return Figure("R1", "completeness", dict(counts), tuple(faults))


def interruption(folder: Path, *, quick: bool) -> Figure:
    """Let the kernel answer EINTR to each changing call, once: the work is done, or refused in words."""
    counts = Counter(dict.fromkeys(KINDS, 0))
    faults = []
    for operation in OPERATIONS[1:2] if quick else OPERATIONS:
        bench = set_up(operation, folder / operation.name.replace(" ", "-"))
        registry = copy(bench.prepared, folder / "traced")
        traced = _traced(bench, registry, folder / "calls.log")
        if isinstance(traced, str):
            return Figure("R2", "EINTR by the kernel", dict(counts), note=f"skipped: {traced}")
        for call in [call for call in traced[1] if call.changes(registry.parent)][:: 3 if quick else 1]:
            counts["interrupted calls"] += 1
            for kind, fault in _interrupted(bench, folder, call):
                counts[kind] += 1
                faults.append(f"{operation.name}, EINTR at {call.name} {call.ordinal}: {fault}")
    return Figure("R2", "EINTR by the kernel", {kind: counts[kind] for kind in KINDS}, tuple(faults))


def _interrupted(bench: Bench, folder: Path, call: SystemCall) -> Iterator[tuple[str, str]]:
    registry = copy(bench.prepared, folder / "traced")
    inject = f"inject={call.name}:error=EINTR:when={call.ordinal}"
    traced = _traced(bench, registry, folder / "calls.log", ["-e", inject])
    if isinstance(traced, str):
        yield "badly reported", traced
        return
    outcome, calls = traced
    hit = [call for call in calls if "(INJECTED)" in call.text]
    if len(hit) != 1 or not hit[0].changes(registry.parent):
        yield "badly reported", "the injection missed"
    if not outcome.finished and (outcome.raised != "StorageFailed" or os.strerror(errno.EINTR) not in outcome.sentence):
        yield "badly reported", f"{outcome.raised}: {outcome.sentence}"
    for fault in breaches(registry, bench.kept if outcome.finished else bench.pending):
        yield "acknowledged lost" if fault.startswith("lost") else "torn", fault
    yield from troubles(registry, bench.before.taken)


def _traced(
    bench: Bench, registry: Path, log: Path, options: Sequence[str] = (),
) -> tuple[Outcome, list[SystemCall]] | str:
    """Do the operation in a child under strace; return its outcome and calls, or why strace cannot be used."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed"
    reader, writer = os.pipe()
    working = child.start(lambda: _when_told(reader, bench, registry))
    command = [strace, "-y", "-s", "0", "-e", f"trace={CHANGING}", *options, "-o", str(log), "-p", str(working.process)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        os.write(writer, b"!")
        outcome = working.outcome()
    os.close(reader)
    os.close(writer)
    return (outcome, _calls(log)) if "attached" in said else said.strip()


def _when_told(reader: int, bench: Bench, registry: Path) -> object:
    os.read(reader, 1)
    return bench.operation.act(registry)


def _calls(log: Path) -> list[SystemCall]:
    seen: Counter[str] = Counter()
    calls = []
    for line in log.read_text(errors="replace").splitlines():
        if found := _CALL.match(line):
            seen[found[1]] += 1
            calls.append(SystemCall(found[1], seen[found[1]], line))
    return calls
