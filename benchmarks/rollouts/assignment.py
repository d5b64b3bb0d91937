"""What a rollout costs a request: nothing to speak of where there is none.

    python benchmarks/rollouts/assignment.py [--rounds 200000]

Times `Router.route`, `Router.treat` and what the express lane asks, `Router.ready`, in one process, without a
model's work: on a model without a rollout, and on one in the middle of one with and without a key.
"""

import argparse
import tempfile
import timeit
from pathlib import Path

import numpy as np
from sklearn.linear_model import LinearRegression

from mlapi.inference.values import Target
from mlapi.registry.live import LiveRegistry
from mlapi.registry.publishing import publish
from mlapi.registry.store import Store
from mlapi.rollouts import transitions
from mlapi.rollouts.buckets import Hasher, bucket
from mlapi.rollouts.caller import Caller
from mlapi.rollouts.division import Division
from mlapi.rollouts.document import Step
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.router import Router
from mlapi.rollouts.transitions import Reason

ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [6.0, 8.0]])


def main() -> None:
    """Print microseconds a call."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200_000)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        live = _live(Path(folder) / "registry")
        words: dict[str, bytes] = {}
        router, target = Router(live), Target("m")

        def told(what: str, call: object) -> None:
            seconds = min(timeit.repeat(call, number=rounds, repeat=3))  # type: ignore[arg-type]
            print(f"{what:50} {seconds / rounds * 1e6:7.3f} us")

        hasher = Hasher("ro_01J8ZK")
        told("hash and bucket", lambda: bucket(hasher.hash(b"user-1")))
        told("the live registry alone", lambda: live.get(target))
        told("no rollout: route", lambda: router.route(target))
        told("no rollout: treat", lambda: router.treat(target, Caller(words)))
        plan = Plan(steps=(Step(500_000),))
        rollout = transitions.start("m", 1, (1, 2), plan, Reason("benchmark", "", ""))
        router.follow({"m": Division.of(rollout, bytes(32))})
        router.heard({"m"})
        told("rollout, no key: treat", lambda: router.treat(target, Caller(words)))
        words["header:X-User-Id"] = b"user-1"
        told("rollout, key: treat", lambda: router.treat(target, Caller(words)))
        told("rollout, key: ready", lambda: router.ready(target)(Caller(words)))


def _live(path: Path) -> LiveRegistry:
    for factor in (1.0, 2.0):
        publish(LinearRegression().fit(ROWS, factor * ROWS[:, 0]), "m", sample=ROWS, registry=path)
    live = LiveRegistry(Store(path))
    live.refresh()
    return live


if __name__ == "__main__":
    main()
