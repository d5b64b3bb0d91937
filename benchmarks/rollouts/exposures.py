"""What an exposure costs: in the request, and the line that a thread writes later.

python benchmarks/rollouts/exposures.py
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from mlapi.inference.values import Assignment, InferenceEvent, Target
from mlapi.registry.store import Store
from mlapi.rollouts import transitions
from mlapi.rollouts.breaker import Breaker
from mlapi.rollouts.counters import Counters
from mlapi.rollouts.document import Step
from mlapi.rollouts.exposures import ExposureLog
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.transitions import Reason

EVENTS = 20_000
RATE = 10_000


def main() -> None:
    """Print microseconds an exposure, and the share of a processor at 10,000 a second."""
    why = Reason("bench", "", "2026-01-01T00:00:00Z")
    rollout = transitions.start("m", 1, (1, 2), Plan(steps=(Step(500_000),)), why)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "m").mkdir()
        log = ExposureLog(Generations(Store(Path(folder))), lambda _: rollout)
        outputs = {"predict": np.array([[1.5]])}
        events = [
            InferenceEvent(Target("m"), 2, 1, 1, 20_000, 1, outputs, None, assignments=(Assignment(
                rollout.id, 1, 0, 500_000, "candidate", "candidate", "key", number * 2**40, "A" * 47,
            ),)) for number in range(EVENTS)
        ]  # fmt: skip
        costs = {}
        breaker = Breaker(lambda *_: None)
        observers = {"exposure log": log.observe, "counters": Counters().observe, "breaker": breaker.observe}
        for name, observe in observers.items():
            costs[name] = _microseconds(lambda observe=observe: [observe(one) for one in events])
        costs["its line, written"] = _microseconds(log.write)
    for name, cost in costs.items():
        print(f"{name:20} {cost:6.2f} us   {cost * RATE / 1e4:5.1f} % of a core at {RATE:,}/s")
    total = sum(costs.values())
    print(f"{'all':20} {total:6.2f} us   {total * RATE / 1e4:5.1f} % of a core at {RATE:,}/s")


def _microseconds(run: object) -> float:
    begun = time.process_time()
    run()  # type: ignore[operator]
    return (time.process_time() - begun) / EVENTS * 1e6


if __name__ == "__main__":
    main()
