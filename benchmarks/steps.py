"""What each step of the way brings: the estimator under gunicorn's threads, its plan, mlapi's worker, its express lane.

    python benchmarks/steps.py [--seconds 3] [--repeats 3] [--models M2]

Four servers of one worker each, on one core, over the same registry, take turns at being asked by wrk on another core.
Prints requests a second, medians of the repeats. Needs wrk, taskset and two cores.
"""

import argparse
import contextlib
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from asking import v1
from fleet import mlapi_command, models, publish_all, started
from load import WORKLOADS, judged, measured
from machine import LOAD_CORE, SERVER_CORE, require

PLAIN = [sys.executable, "-m", "gunicorn", "mlapi.app:create_app()", "-k", "gthread", "--threads", "4",
         "--no-control-socket", "--keep-alive", "5", "--bind", "127.0.0.1:{port}"]  # fmt: skip
STEPS = {
    "the estimator, `-k gthread`": (PLAIN, {"MLAPI_PLANS": "off"}),
    "its plan, `-k gthread`": (PLAIN, {}),
    "mlapi's worker, `MLAPI_EXPRESS=off`": (mlapi_command(1), {"MLAPI_EXPRESS": "off"}),
    "its express lane": (mlapi_command(1), {}),
}
ASKED = ("c1", "c8", "c64", "b100")


def main() -> None:
    """Print a table of each model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", default="M2")
    options = parser.parse_args()
    require("wrk", "taskset")
    fitted = models(options.models.split(","))
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        publish_all(fitted, Path(folder) / "registry")
        quiet = {"MLAPI_REGISTRY": f"{folder}/registry", "MLAPI_LOG_LEVEL": "warning"}
        pin = ["taskset", "-c", SERVER_CORE]
        servers = {
            step: stack.enter_context(started(command, Path(folder), f"step-{number}", pin, **quiet, **settings))
            for number, (step, (command, settings)) in enumerate(STEPS.items())
        }
        for name, model in fitted.items():
            rates: dict[tuple[str, str], list[float]] = defaultdict(list)
            for _ in range(options.repeats):
                for asked in ASKED:
                    request = v1(name, model, model.request_rows(WORKLOADS[asked][0]))
                    for step, server in servers.items():
                        judged(server, request, patient=True)
                        found = measured(server, request, WORKLOADS[asked], options.seconds, LOAD_CORE)
                        rates[step, asked].append(found.requests_per_second)
            print(f"\n| {name}, {model.about} | {' | '.join(ASKED)} |\n|--|{'--:|' * len(ASKED)}")
            for step in STEPS:
                print(f"| {step} | {' | '.join(f'{statistics.median(rates[step, asked]):,.0f}' for asked in ASKED)} |")


if __name__ == "__main__":
    main()
