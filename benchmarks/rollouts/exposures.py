"""What an exposure costs: in the worker, by itself and of eight that were answered together, and its line on the disk.

python benchmarks/rollouts/exposures.py
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mlapi.inference.values import Assignment, InferenceEvent, Target
from mlapi.registry.store import Store
from mlapi.rollouts import transitions
from mlapi.rollouts.breaker import Breaker
from mlapi.rollouts.counters import Counters
from mlapi.rollouts.document import Rollout, Step
from mlapi.rollouts.exposures import ExposureLog
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.transitions import Reason

EXPOSURES = 20_000
RATE = 10_000
TOGETHER = (1, 8)


def main() -> None:
    """Print microseconds an exposure, and the share of a processor at 10,000 a second."""
    why = Reason("bench", "", "2026-01-01T00:00:00Z")
    rollout = transitions.start("m", 1, (1, 2), Plan(steps=(Step(500_000),)), why)
    for together in TOGETHER:
        print(f"{together} together")
        costs = _costs(rollout, [_event(rollout, first, together) for first in range(0, EXPOSURES, together)])
        for name, cost in (*costs.items(), ("all", sum(costs.values()))):
            print(f"  {name:20} {cost:6.2f} us   {cost * RATE / 1e4:5.1f} % of a core at {RATE:,}/s")


def _costs(rollout: Rollout, events: list[InferenceEvent]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "m" / "rollouts" / rollout.id).mkdir(parents=True)
        log = ExposureLog(Generations(Store(Path(folder))), lambda _: rollout)
        observers = {
            "exposure log": log.observe, "counters": Counters().observe, "breaker": Breaker(lambda *_: None).observe,
        }  # fmt: skip
        costs = {
            name: _microseconds(lambda observe=observe: [observe(one) for one in events])
            for name, observe in observers.items()
        }
        return {**costs, "its line, written": _microseconds(log.write)}


def _event(rollout: Rollout, first: int, together: int) -> InferenceEvent:
    """Return the event of so many requests of one row, each of another user."""
    assignments = [
        Assignment(rollout.id, 1, 0, 500_000, "candidate", "candidate", "key", number * 2**40, "A" * 47)
        for number in range(first, first + together)
    ]
    outputs = {"predict": np.full((together, 1), 1.5)}
    return InferenceEvent(Target("m"), 2, 1, 1, 20_000, 1, outputs, None, 1, assignments, requests=together)


def _microseconds(run: Callable[[], object]) -> float:
    begun = time.process_time()
    run()
    return (time.process_time() - begun) / EXPOSURES * 1e6


if __name__ == "__main__":
    main()
