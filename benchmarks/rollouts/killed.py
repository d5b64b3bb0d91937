"""What a killed worker takes with it: exposures that were answered and never written, and counts.

    python benchmarks/rollouts/killed.py [--kills 20] [--callers 4]

Two real workers serve a rollout; callers ask without a pause and note the prediction ids that they get; one worker
after the other, the one that controls among them, is killed with SIGKILL in the middle of it. Afterwards every id is
sought in the exposures of the registry, and the requests that were answered a second before each kill in the counts.
Prints a Markdown table; exit code 1 where more was lost than a quarter of a second.
"""

import argparse
import base64
import http.client
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LinearRegression

from mlapi.registry.publishing import publish

sys.path.insert(0, str(Path(__file__).parents[1]))
import fleet

ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [6.0, 8.0]])
BODY = b'{"instances": [[1, 2]]}'
ALLOWED_MS = 250.0
WORKERS = 2
AFTER_SECONDS = 1.5
"""Until the next kill: a new worker has come, and all that lives has been written."""


@dataclass
class Caller:
    """Asks on connections of its own until it is told to end; `got` are the ids of the answers."""

    port: int
    got: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask; a connection that breaks is another worker's next."""
        while not self.ended.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                for _ in range(50):  # then another connection, perhaps to the other worker
                    connection.request("POST", "/v1/models/m:predict", BODY)
                    answer = connection.getresponse()
                    answer.read()
                    self.got.append(str(answer.headers["X-Mlapi-Prediction-Id"]))
            except (OSError, http.client.HTTPException):
                continue
            finally:
                connection.close()


def main() -> int:
    """Kill, look, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--callers", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        registry = Path(folder) / "registry"
        for factor in (1.0, 2.0):
            publish(LinearRegression().fit(ROWS, factor * ROWS[:, 0]), "m", sample=ROWS, registry=registry)
        settings = {"MLAPI_REGISTRY": str(registry), "MLAPI_LOG_LEVEL": "error"}
        with fleet.started(fleet.mlapi_command(WORKERS), Path(folder), "mlapi", [], **settings) as server:
            order = {"model": "m", "control": "1", "candidate": "2", "plan": [{"weight": 0.5, "min_duration_s": 3600}]}
            path = f"/v1/rollouts/{_call(server.port, 'POST', '/v1/rollouts', order)['id']}"
            _wait(lambda: _follows(_call(server.port, "GET", path)))
            callers = [Caller(server.port) for _ in range(options.callers)]
            threads = [threading.Thread(target=one.run) for one in callers]
            for thread in threads:
                thread.start()
            kills = [_kill(server, path) for _ in range(options.kills)]
            for one in callers:
                one.ended.set()
            for thread in threads:
                thread.join()
            time.sleep(AFTER_SECONDS)
            counted = sum(arm["requests"] for arm in _call(server.port, "GET", path)["arms"].values())
        files = registry.glob("m/rollouts/ro_*/exposures/*")
        written = {json.loads(line)["p"] for file in files for line in file.read_text().splitlines()}
    return _tell(kills, [name for one in callers for name in one.got], written, counted)


def _tell(kills: list[float], got: list[str], written: set[str], counted: int) -> int:
    lost = [given(name) for name in got if name not in written]
    oldest = max(((min(kill for kill in kills if kill >= at) - at) * 1e3 for at in lost), default=0.0)
    uncounted = max(0, len(got) - counted)
    last_second = sum(any(kill - 1 < given(name) <= kill for kill in kills) for name in got)
    figures = {
        "kills": len(kills), "answers with an id": len(got), "exposures never written": len(lost),
        "age of the oldest of them at its kill, ms": round(oldest), "answers that are in no count": uncounted,
        "answers within a second before a kill": last_second,
    }
    print("| what | figure |\n|--|--:|\n" + "\n".join(f"| {what} | {figure:,} |" for what, figure in figures.items()))
    return int(oldest > ALLOWED_MS or uncounted > last_second)


def given(name: str) -> float:
    """Return when a prediction id was given, in seconds since the epoch: its first six bytes are milliseconds."""
    return int.from_bytes(base64.urlsafe_b64decode(name[:8]), "big") / 1e3


def _kill(server: fleet.Server, path: str) -> float:
    """Kill a worker at a random moment; return when."""
    time.sleep(AFTER_SECONDS + random.uniform(0, 0.5))  # noqa: S311 (no secret)
    names = [one["name"] for one in _call(server.port, "GET", path)["workers"]]
    alive = [pid for pid in server.pids() if pid != server.process.pid and any(f"-{pid}-" in name for name in names)]
    os.kill(random.choice(alive), signal.SIGKILL)  # noqa: S311 (see above)
    return time.time()


def _call(port: int, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 (decoded JSON)
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            return json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException):  # that worker was killed
            time.sleep(0.05)
        finally:
            connection.close()


def _follows(stands: Any) -> bool:  # noqa: ANN401 (decoded JSON)
    return bool(stands["converged"]) and len(stands["workers"]) == WORKERS


def _wait(condition: Any) -> None:  # noqa: ANN401 (a callable)
    while not condition():
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
