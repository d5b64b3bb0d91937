"""One measurement: wrk on a core of its own, the answers judged before and after, processor time from /proc."""

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from asking import Request
from fleet import HERE, HZ, Server

WORKLOADS = {"c1": (1, 1), "c8": (1, 8), "c64": (1, 64), "b100": (100, 1), "b10k": (10_000, 1)}
"""Rows a request, and connections."""

FIRST_ANSWER_SECONDS = 60.0


class WrongAnswerError(Exception):
    """A server answered something else than the estimator does."""


@dataclass(frozen=True)
class Measured:
    """One run of one workload; times in the unit of their name, `others` in processors that other processes used."""

    requests_per_second: float
    rows_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us_per_request: float
    server_cpu: float
    others: float
    requests: int
    refused: int
    broken: int

    def line(self) -> str:
        """Return the figures for somebody who watches."""
        broken = f"  {self.broken} BROKEN" if self.broken else ""
        return (f"{self.requests_per_second:10,.0f}/s  p50 {self.p50_ms:9.2f} ms  p99 {self.p99_ms:9.2f} ms  "
                f"{self.cpu_us_per_request:9,.0f} us CPU  others {self.others:.2f}{broken}")  # fmt: skip


def judged(server: Server, request: Request, *, patient: bool = False) -> None:
    """Ask once and raise WrongAnswerError unless the answer is right; a server that warms up may be given time."""
    deadline = time.monotonic() + (FIRST_ANSWER_SECONDS if patient else 0)
    while True:
        try:
            status, headers, body = server.ask(request.path, request.body, request.headers)
        except OSError as error:
            status, headers, body = 0, {}, repr(error).encode()
        if status == 200 and request.right(body, headers):  # noqa: PLR2004 (OK)
            return
        if time.monotonic() >= deadline:
            msg = f"{request.path}: {status} {body[:200]!r}"
            raise WrongAnswerError(msg)
        time.sleep(0.2)


def measured(server: Server, request: Request, workload: tuple[int, int], seconds: int, core: str) -> Measured:
    """Return what wrk on `core` counts in `seconds`, after a warm-up of a quarter of them, at least one."""
    rows, connections = workload
    body, headers = server.log.with_suffix(".body"), server.log.with_suffix(".headers")
    body.write_bytes(request.body)
    headers.write_text("".join(f"{name}: {value}\n" for name, value in request.headers.items()))
    command = ["taskset", "-c", core, "wrk", "-t1", f"-c{connections}", "--timeout", "30s",
               "-s", str(HERE / "post.lua")]  # fmt: skip
    command.append(f"http://127.0.0.1:{server.port}{request.path}")
    environ = {**os.environ, "BODY": str(body), "HEADERS": str(headers)}
    judged(server, request)
    subprocess.run([*command, f"-d{max(1, seconds // 4)}s"], env=environ, capture_output=True, check=True)
    cpu, all_cpu, own = server.cpu_seconds(), _busy_seconds(), _children_seconds()
    began = time.perf_counter()
    run = subprocess.run([*command, f"-d{seconds}s"], env=environ, capture_output=True, check=True, text=True)
    took = time.perf_counter() - began
    cpu, all_cpu, own = server.cpu_seconds() - cpu, _busy_seconds() - all_cpu, _children_seconds() - own
    judged(server, request)
    done = json.loads(next(line for line in run.stdout.splitlines() if line.startswith("DONE ")).removeprefix("DONE "))
    if done["refused"] or not done["requests"]:
        msg = f"{request.path}: {done['refused']} of {done['requests']} answers were not 200"
        raise WrongAnswerError(msg)
    rate = done["requests"] / done["microseconds"] * 1e6
    return Measured(
        rate, rate * rows, done["p50"] / 1e3, done["p99"] / 1e3, cpu / done["requests"] * 1e6, cpu / took,
        max(0.0, all_cpu - cpu - own) / took, done["requests"], done["refused"], done["broken"],
    )  # fmt: skip


def _busy_seconds() -> float:
    """Processor time of the whole machine: all but idle and waiting (proc(5), /proc/stat)."""
    times = [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(times) - times[3] - times[4]) / HZ


def _children_seconds() -> float:
    used = os.times()
    return used.children_user + used.children_system
