"""Rows of numbers and texts by name: mlapi beside the data frames of MLflow and KServe.

    python benchmarks/mixed.py [--peer mlflow=VENV] [--peer kserve=VENV] [--model ridge|boosting]
                               [--workloads c8,b100c8] [--repeats 3] [--seconds 5] [--out bench-results]

Fits one pipeline of six numeric and four text columns from a fixed seed, publishes it, and hands the same file to every
peer: a virtual environment that has MLflow or KServe and the same scikit-learn, whose Python runs `peers/NAME_peer.py`.
Without peers mlapi alone is measured. All servers run on one core with one worker, wrk on another, and take turns
within every workload (A B C A B C ...). Every answer is compared with the pipeline's own before and after a load; one
that differs, or is not 200, ends the run with exit code 1. Writes mixed.json and mixed.md.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asking
import fleet
import houses
import joblib
import machine
import report
from load import WrongAnswerError, judged, measured
from machine import LOAD_CORE, SERVER_CORE

from mlapi.registry.publishing import publish

PREDICT, INVOCATIONS = "/v1/models/houses:predict", "/invocations"
SYSTEMS = {
    "mlapi V1 JSON": ("mlapi", PREDICT, "instances"),
    "mlapi dataframe_records": ("mlapi", INVOCATIONS, "dataframe_records"),
    "MLflow dataframe_records": ("mlflow", INVOCATIONS, "dataframe_records"),
    "KServe V1 JSON": ("kserve", PREDICT, "instances"),
}
"""The server that is asked, where, and the member of the body that holds the rows."""
FIRST = "mlapi V1 JSON"
PEERS = ("mlflow", "kserve")
WORKLOADS = {"c8": (1, 8), "b100c8": (100, 8)}
VERSIONS = ("mlapi", "scikit-learn", "pandas", "numpy", "gunicorn")
ASK_VERSIONS = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"


def main() -> None:
    """Measure and write the results."""
    options = chosen()
    machine.require("wrk", "taskset")
    versions = {name: version(name) for name in VERSIONS}
    for name, venv in options.peers.items():
        versions |= peer_versions(name, venv, versions["scikit-learn"])
    document: dict[str, Any] = {
        "started": time.strftime("%Y-%m-%d %H:%M"), "machine": machine.described(), "workers": 1, "versions": versions,
        "repeats": options.repeats, "seconds": options.seconds, "server_core": SERVER_CORE, "load_core": LOAD_CORE,
        "workloads": WORKLOADS, "models": {"houses": f"{houses.MODELS[options.model]}, 6 numbers and 4 texts by name"},
        "runs": [],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        pipeline = houses.fitted(options.model)
        servers = started(stack, Path(scratch), pipeline, options.peers)
        try:
            measure(document, servers, pipeline, options.workloads)
        except WrongAnswerError as error:
            sys.exit(f"a wrong answer, so that nothing is written: {error}")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "mixed.json").write_text(json.dumps(document, indent=1) + "\n")
    (options.out / "mixed.md").write_text(text := report.markdown(document) + ratios(report.summary(document["runs"])))
    print(f"\n{text}\nwritten: {options.out}/mixed.json, mixed.md")


def started(
    stack: contextlib.ExitStack, folder: Path, pipeline: Any, peers: dict[str, Path],  # noqa: ANN401 (an estimator)
) -> dict[str, fleet.Server]:
    """Start mlapi and the peers, each over the same fitted pipeline; they end with the stack."""
    registry, artifact, pin = folder / "registry", folder / "houses.joblib", ["taskset", "-c", SERVER_CORE]
    publish(pipeline, "houses", sample=houses.table(200), registry=registry)
    joblib.dump(pipeline, artifact)
    quiet = {"MLAPI_REGISTRY": str(registry), "MLAPI_LOG_LEVEL": "warning"}
    servers = {"mlapi": stack.enter_context(fleet.started(fleet.mlapi_command(1), folder, "mlapi", pin, **quiet))}
    for name, venv in peers.items():
        print(f"starting {name}", flush=True)
        command = [str(venv / "bin" / "python"), str(peer_script(name)), str(artifact), "{port}"]
        servers[name] = stack.enter_context(fleet.started(command, folder, name, pin))
    return servers


def measure(
    document: dict[str, Any], servers: dict[str, fleet.Server], pipeline: Any, workloads: Sequence[str],  # noqa: ANN401
) -> None:
    """Add the runs to the document, all systems in turns; raises WrongAnswerError."""
    systems = [name for name, (server, *_) in SYSTEMS.items() if server in servers]
    turns = [(repeat, workload, system) for repeat in range(document["repeats"]) for workload in workloads
             for system in systems]  # fmt: skip
    asked = {(workload, system): request(pipeline, WORKLOADS[workload][0], system)
             for workload in workloads for system in systems}  # fmt: skip
    for number, (repeat, workload, system) in enumerate(turns, 1):
        server = servers[SYSTEMS[system][0]]
        judged(server, asked[workload, system], patient=number <= len(systems))
        found = measured(server, asked[workload, system], WORKLOADS[workload], document["seconds"], LOAD_CORE)
        turn = {"repeat": repeat, "model": "houses", "workload": workload, "system": system}
        document["runs"].append({**turn, **asdict(found)})
        print(f"{number}/{len(turns)} {workload:6} {system:26} {found.line()}", flush=True)


def request(pipeline: Any, count: int, system: str) -> asking.Request:  # noqa: ANN401 (an estimator)
    """Return the request of `count` houses that none has seen, judged by the pipeline itself."""
    rows = houses.table(count, (houses.SEED, count))
    _, path, member = SYSTEMS[system]
    return asking.records(path, member, rows.to_dict("records"), pipeline.predict(rows))


def ratios(rows: Sequence[dict[str, Any]]) -> str:
    """Return a sentence a workload and other system: how many times its requests mlapi's V1 answers, of medians."""
    rates = {(row["workload"], row["system"]): row["requests_per_second"] for row in rows}
    return "".join(
        f"\n{workload}: {FIRST} answers {rates[workload, FIRST] / rate:.1f} times the requests of {system}.\n"
        for (workload, system), rate in rates.items() if system != FIRST
    )  # fmt: skip


def peer_versions(name: str, venv: Path, scikit_learn: str) -> dict[str, str]:
    """Return what a peer's environment has; end the benchmark where it is none, or has another scikit-learn."""
    ask = [str(venv / "bin" / "python"), "-c", ASK_VERSIONS, name, "scikit-learn", "pandas"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        told = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        sys.exit(f"{venv} is no environment with {name}, scikit-learn and pandas: {told}")
    own, learn, pandas = answer.split()
    if learn != scikit_learn:
        sys.exit(f"{venv} has scikit-learn {learn}; the same pipeline needs {scikit_learn}, as here")
    return {name: own, f"{name}'s pandas": pandas}


def peer_script(name: str) -> Path:
    """Return the server that a peer's Python runs."""
    return fleet.HERE / "peers" / f"{name}_peer.py"


def chosen() -> argparse.Namespace:
    """Return the options of the command line, `peers` as a table of environments by name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=VENV", help="may be repeated")
    parser.add_argument("--model", choices=houses.MODELS, default="ridge")
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="comma-separated; default: all")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of every load; warm-ups are apart")
    parser.add_argument("--out", type=Path, default=Path("bench-results"), help="the folder for the results")
    options = parser.parse_args()
    options.peers = dict(_peer(parser, given) for given in options.peer)
    options.workloads = options.workloads.split(",")
    unknown = [name for name in options.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"unknown workloads: {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    return options


def _peer(parser: argparse.ArgumentParser, given: str) -> tuple[str, Path]:
    name, _, venv = given.partition("=")
    if name not in PEERS or not venv:
        parser.error(f"--peer {given}: expected NAME=VENV with a NAME of {', '.join(PEERS)}")
    return name, Path(venv).absolute()


if __name__ == "__main__":
    main()
