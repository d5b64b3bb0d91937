"""mlapi under load, beside the bare limits: `make bench`.

    python benchmarks/serving.py [--quick] [--models M1,M2] [--workloads c1,c8,c64,b100,b10k] [--repeats 3]
                                 [--seconds 3] [--systems ...] [--profile] [--out bench-results]

Trains five models from fixed seeds, publishes them, starts mlapi through gunicorn with the project's settings on one
core, and two servers that answer a constant: gunicorn's threads, and an event loop. wrk loads them from another core.
All servers are up all the time and take turns within every workload (A B C A B C ...), so that a slow minute of the
machine hits each of them. Every answer is compared with the estimator's before and after a load; one that differs, or
is not 200, ends the run with exit code 1. Writes serving.json, serving.md and serving.svg.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asking
import flame
import fleet
import machine
import report
from load import WORKLOADS, WrongAnswerError, judged, measured
from machine import LOAD_CORE, SERVER_CORE

SYSTEMS = {
    "mlapi V1 JSON": ("mlapi", asking.v1),
    "mlapi V2 JSON": ("mlapi", asking.v2),
    "mlapi V2 binary": ("mlapi", asking.binary),
    "limit: gunicorn gthread, constant": ("gthread", asking.constant),
    "limit: uvloop and httptools, constant": ("loop", asking.constant),
}
MODELS = ("M1", "M2", "M3", "M4", "M5")
VERSIONS = ("mlapi", "scikit-learn", "numpy", "flask", "gunicorn")
PROFILE_SECONDS = 6


def main() -> None:
    """Measure and write the results."""
    options = _options()
    machine.require("wrk", "taskset", *(["py-spy"] if options.profile else []))
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    names = {key: _picked(getattr(options, key), known, key)
             for key, known in (("models", MODELS), ("workloads", WORKLOADS), ("systems", SYSTEMS))}  # fmt: skip
    print(f"training {', '.join(names['models'])}", flush=True)
    fitted = fleet.models(names["models"])
    document: dict[str, Any] = {
        "started": time.strftime("%Y-%m-%d %H:%M"), "machine": machine.described(), "workers": options.workers,
        "versions": {name: version(name) for name in VERSIONS}, "repeats": options.repeats,
        "seconds": options.seconds, "server_core": SERVER_CORE, "load_core": LOAD_CORE, "workloads": WORKLOADS,
        "models": {name: model.about for name, model in fitted.items()}, "runs": [],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        servers = _servers(stack, Path(scratch), fitted, options.workers)
        try:
            _measure(document, servers, fitted, names)
        except WrongAnswerError as error:
            sys.exit(f"a wrong answer, so that nothing is written: {error}")
        if options.profile:
            _profile(servers["mlapi"], fitted, names, out)
    (out / "serving.json").write_text(json.dumps(document, indent=1) + "\n")
    (out / "serving.md").write_text(report.markdown(document))
    (out / "serving.svg").write_text(report.drawing(document))
    print(f"\n{report.markdown(document)}\nwritten: {out}/serving.json, serving.md, serving.svg")


def _servers(
    stack: contextlib.ExitStack, folder: Path, fitted: dict[str, fleet.Model], workers: int,
) -> dict[str, fleet.Server]:
    registry, pin = folder / "registry", ["taskset", "-c", SERVER_CORE]
    fleet.publish_all(fitted, registry)
    quiet = {"MLAPI_REGISTRY": str(registry), "MLAPI_LOG_LEVEL": "warning"}
    mlapi = stack.enter_context(fleet.started(fleet.mlapi_command(workers), folder, "mlapi", pin, **quiet))
    gthread = stack.enter_context(fleet.started(fleet.gthread_command(workers), folder, "gthread", pin))
    loop = stack.enter_context(fleet.started(fleet.loop_command(), folder, "loop", pin))
    return {"mlapi": mlapi, "gthread": gthread, "loop": loop}


def _measure(
    document: dict[str, Any], servers: dict[str, fleet.Server], fitted: dict[str, fleet.Model],
    names: dict[str, list[str]],
) -> None:
    turns = [(repeat, model, workload, system) for repeat in range(document["repeats"]) for model in names["models"]
             for workload in names["workloads"] for system in names["systems"]]  # fmt: skip
    for number, (repeat, model, workload, system) in enumerate(turns, 1):
        server, ask = SYSTEMS[system]
        request = ask(model, fitted[model], fitted[model].request_rows(WORKLOADS[workload][0]))
        judged(servers[server], request, patient=number <= len(names["systems"]))
        found = measured(servers[server], request, WORKLOADS[workload], document["seconds"], LOAD_CORE)
        turn = {"repeat": repeat, "model": model, "workload": workload, "system": system}
        document["runs"].append({**turn, **asdict(found)})
        print(f"{number}/{len(turns)} {model} {workload:5} {system:38} {found.line()}", flush=True)


def _profile(
    server: fleet.Server, fitted: dict[str, fleet.Model], names: dict[str, list[str]], out: Path,
) -> None:
    """Write a flame graph and its top ten for every protocol, of single rows on 8 connections."""
    model = "M2" if "M2" in fitted else names["models"][0]
    for system in (name for name in names["systems"] if SYSTEMS[name][0] == "mlapi"):
        request = SYSTEMS[system][1](model, fitted[model], fitted[model].request_rows(1))
        measured(server, request, WORKLOADS["c8"], 1, LOAD_CORE)
        file = out / f"profile-{system.removeprefix('mlapi ').replace(' ', '-').lower()}.svg"
        load = partial(measured, server, request, WORKLOADS["c8"], PROFILE_SECONDS, LOAD_CORE)
        try:
            table = flame.profiled(server.pids()[0], LOAD_CORE, PROFILE_SECONDS, load, file)
            print(f"{system}: {file}\n{table}", flush=True)
        except OSError as error:
            print(f"py-spy made no profile: {error}", flush=True)


def _picked(given: str, known: Any, what: str) -> list[str]:  # noqa: ANN401 (names, or a table by name)
    picked = [name.strip() for name in given.split(",")] if given else list(known)
    unknown = [name for name in picked if name not in known]
    if unknown:
        sys.exit(f"unknown {what}: {', '.join(unknown)}; there are {', '.join(known)}")
    return picked


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("models", "workloads", "systems"):
        parser.add_argument(f"--{name}", default="", help="comma-separated; default: all")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of every load; warm-ups are apart")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="M2 with c1, c8 and b100, once, for a second each")
    parser.add_argument("--profile", action="store_true", help="flame graphs and their top ten, by py-spy")
    parser.add_argument("--out", default="bench-results", help="the folder for the results")
    options = parser.parse_args()
    if options.quick:
        options.models, options.workloads = options.models or "M2", options.workloads or "c1,c8,b100"
        options.repeats, options.seconds = 1, 1
    return options


if __name__ == "__main__":
    main()
