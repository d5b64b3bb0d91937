"""What a rollout costs those who ask: the same requests to a model without one, in one, and in one without its log.

    python benchmarks/in_rollout.py [--seconds 5] [--repeats 5] [--connections 8] [--pause 0]

Three servers of one worker each, on a core of their own, take turns at being asked by wrk on another core; every
request is of one of 100,000 users, half of whom get the candidate. With `--pause` each connection rests, so many
milliseconds on average, before it asks again: 64 of them with 6 ms ask about 10,000 times a second, which is not the
server's limit. Prints medians. Needs wrk, taskset and two cores.
"""

import argparse
import contextlib
import json
import os
import statistics
import tempfile
from pathlib import Path

from asking import Request, v1
from fleet import Server, mlapi_command, models, publish_all, started
from load import Measured, measured
from machine import LOAD_CORE, SERVER_CORE, require

from mlapi.registry.store import Store
from mlapi.rollouts.document import Step
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.transitions import Reason, start

USERS = 100_000
MODEL = "M2"
STATES = {
    "no rollout": (False, "on"), "rollout, MLAPI_EXPOSURES=off": (True, "off"), "rollout": (True, "on"),
}  # fmt: skip


def main() -> None:
    """Print one line for each state."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--pause", type=int, default=0)
    options = parser.parse_args()
    require("wrk", "taskset")
    os.environ["USERS"] = str(USERS)
    if options.pause:
        os.environ["PAUSE"] = str(options.pause)
    found: dict[str, list[Measured]] = {name: [] for name in STATES}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(_server(Path(folder), *state)) for name, state in STATES.items()}
        for _ in range(options.repeats):
            for name, (server, request) in servers.items():
                one = measured(server, request, (1, options.connections), options.seconds, LOAD_CORE)
                found[name].append(one)
                print(f"{name:30} {one.line()}", flush=True)
    base = statistics.median(one.cpu_us_per_request for one in found["no rollout"])
    print(f"\n{'median':30} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'CPU us':>8} {'more':>6}")
    for name, runs in found.items():
        rate, p50, p99, cpu = (statistics.median(getattr(one, figure) for one in runs) for figure in (
            "requests_per_second", "p50_ms", "p99_ms", "cpu_us_per_request"))  # fmt: skip
        print(f"{name:30} {rate:10,.0f} {p50:8.2f} {p99:8.2f} {cpu:8.1f} {cpu - base:6.1f}")


@contextlib.contextmanager
def _server(folder: Path, divided: bool, exposures: str):  # noqa: ANN202, FBT001 (a generator of the pair)
    registry = folder / f"registry-{divided}-{exposures}"
    fitted = models([MODEL])
    for _ in range(2):
        publish_all(fitted, registry)
    if divided:
        plan = Plan(steps=(Step(500_000, min_duration_s=86400.0),), keys=("header:X-User-Id",))
        why = Reason("bench", "", "2026-01-01T00:00:00Z")
        generations, secret = Generations(Store(registry)), os.urandom(32)
        generations.begin(MODEL, lambda serial: start(MODEL, serial, (1, 2), plan, why), secret)
    request = v1(MODEL, fitted[MODEL], fitted[MODEL].request_rows(1))
    settings = {"MLAPI_REGISTRY": str(registry), "MLAPI_EXPOSURES": exposures, "MLAPI_LOG_LEVEL": "warning"}
    pin = ["taskset", "-c", SERVER_CORE]
    with started(mlapi_command(1), folder, registry.name, pin, **settings) as server:
        if divided:
            _require_rollout(server, request)
        yield server, request


def _require_rollout(server: Server, request: Request) -> None:
    headers = server.ask(request.path, request.body, {**request.headers, "X-User-Id": "u"})[1]
    if "x-mlapi-variant" not in headers:
        raise SystemExit(f"the rollout is not in force: {json.dumps(headers)}")


if __name__ == "__main__":
    main()
