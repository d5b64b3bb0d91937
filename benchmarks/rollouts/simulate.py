"""False alarms and delays of the rollout statistics, by simulation.

    python benchmarks/rollouts/simulate.py [--runs 1000] [--seed 1] [--json]

Each line is one question: how often a guardrail of alpha .01 goes off where nothing is wrong, or after
how many units it does where something is. Looks are taken after every bad event (guardrails) or at a
grid of a hundred looks (division, shift). Exit code 1 where a false alarm rate is beyond its alpha by
more than three standard errors.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from mlapi.rollouts.statistics import Counts, Moments, mean_shift, p_value, rate_log_e, srm_log_e

ALPHA = 0.01
SRM_ALPHA = 0.001
RAMP = ((0.01, 50_000), (0.05, 40_000), (0.25, 40_000), (0.5, 40_000))
"""Shares of a plan, and the units that each step lasts."""

SHIFT = 0.1
MOST_REQUESTS = 200_000

Random = np.random.Generator


@dataclass(frozen=True)
class Line:
    """One answer: a rate that must not exceed `limit`, or a median delay in units."""

    question: str
    rate: float | None = None
    limit: float | None = None
    median: float | None = None
    runs: int = 0


def guarded(random: Random, rate: Callable[[int], tuple[float, float]], margin: float) -> bool:
    """Tell whether a ramp is rolled back; `rate` gives the bad rates of control and candidate in a step."""
    done: list[Counts] = []
    for step, (share, units) in enumerate(RAMP):
        bad_control, bad_candidate = rate(step)
        control = random.binomial(round(units * (1 - share)), bad_control)
        candidate = random.binomial(round(units * share), bad_candidate)
        arms = random.permutation(np.repeat([0, 1], [control, candidate]))
        seen = np.cumsum(arms)
        for at in _turns(arms):
            if rate_log_e([*done, Counts(int(at + 1 - seen[at]), int(seen[at]), share)], margin) >= math.log(1 / ALPHA):
                return True
        done.append(Counts(int(control), int(candidate), share))
    return False


def _turns(arms: np.ndarray) -> np.ndarray:
    """Only a bad event of the candidate can raise the e-value."""
    return np.flatnonzero(arms == 1)


def heavy_clients(random: Random, *, by_key: bool) -> bool:
    """Tell whether five broken clients out of a thousand, 200 requests each, roll back a candidate at 5 %."""
    share, broken, requests = 0.05, 5, 200
    arms = random.random(broken) < share
    events = random.permutation(np.repeat(np.arange(broken), requests))
    seen: set[int] = set()
    control = candidate = 0
    for client in events:
        if by_key and client in seen:
            continue
        seen.add(int(client))
        candidate, control = candidate + int(arms[client]), control + int(not arms[client])
        if rate_log_e([Counts(control, candidate, share)], 0.25) >= math.log(1 / ALPHA):
            return True
    return False


def delay(random: Random, bad: float, share: float = 0.05, base: float = 0.01, margin: float = 0.25) -> float:
    """Return how many requests the candidate gets before it is rolled back."""
    control = candidate = requests = 0
    weights = np.array([(1 - share) * base, share * bad])
    while requests < MOST_REQUESTS:
        waited = random.geometric(weights.sum())
        requests += int(waited)
        if random.random() < weights[1] / weights.sum():
            candidate += 1
            if rate_log_e([Counts(control, candidate, share)], margin) >= math.log(1 / ALPHA):
                return requests * share
        else:
            control += 1
    return math.inf


def mismatch(random: Random, meant: float, found: float, units: int, alpha: float) -> float:
    """Return after how many units a mismatch is seen, infinity for never; a hundred looks."""
    candidates = np.cumsum(random.random(units) < found)
    for n in np.unique(np.linspace(100, units, 100).astype(int)):
        seen = int(candidates[n - 1])
        if p_value(srm_log_e([Counts(int(n) - seen, seen, meant)])) <= alpha:
            return float(n)
    return math.inf


def missed(random: Random, alpha: float) -> bool:
    """Tell whether the interval of a shift ever misses it in a ramp whose base drifts; values are skewed."""
    done: list[Moments] = []
    for step, (share, units) in enumerate(RAMP):
        control = random.exponential(1.0, round(units * (1 - share))) + step
        candidate = random.exponential(1.0, round(units * share)) + step + SHIFT
        sums = [np.cumsum(np.stack([np.ones_like(arm), arm, arm**2]), axis=1) for arm in (control, candidate)]
        now = None
        for part in np.linspace(0.05, 1.0, 20):
            now = Moments(*(tuple(total[:, int(total.shape[1] * part) - 1].tolist()) for total in sums))  # type: ignore[arg-type]
            interval = mean_shift([*done, now], alpha)
            if interval is not None and not interval.lower <= SHIFT <= interval.upper:
                return True
        if now is not None:
            done.append(now)
    return False


def answers(runs: int, seed: int) -> list[Line]:
    """Return all lines."""
    random = np.random.default_rng(seed)

    def rate(question: str, limit: float, once: Callable[[], bool]) -> Line:
        line = Line(question, sum(once() for _ in range(runs)) / runs, limit, None, runs)
        print(f"{question:70} {line.rate:8.4f} (at most {limit:g})", flush=True)
        return line

    def median(question: str, once: Callable[[], float]) -> Line:
        line = Line(question, median=float(np.median([once() for _ in range(runs)])), runs=runs)
        print(f"{question:70} {line.median:8.0f}", flush=True)
        return line

    drift = (0.002, 0.01, 0.004, 0.02)
    outage = (0.01, 0.5, 0.01, 0.01)
    return [
        rate("rolled back: equal versions, drifting rate, margin 0", ALPHA,
             lambda: guarded(random, lambda step: (drift[step],) * 2, 0.0)),
        rate("rolled back: 25 % worse at margin 25 %, drifting rate", ALPHA,
             lambda: guarded(random, lambda step: (drift[step], 1.25 * drift[step]), 0.25)),
        rate("rolled back: 20 % worse at margin 25 %", ALPHA, lambda: guarded(random, lambda _: (0.01, 0.012), 0.25)),
        rate("rolled back: an outage of both at 5 %, margin 0", ALPHA,
             lambda: guarded(random, lambda step: (outage[step],) * 2, 0.0)),
        rate("rolled back: broken heavy clients, one event a key", ALPHA, lambda: heavy_clients(random, by_key=True)),
        rate("rolled back: broken heavy clients, every request (not what mlapi does)", 1.0,
             lambda: heavy_clients(random, by_key=False)),
        *(median(f"requests to the candidate until rollback: base 1 %, candidate {bad:.0%}",
                 lambda bad=bad: delay(random, bad)) for bad in (0.02, 0.03, 0.05, 0.2)),
        rate("paused: sizes right at 5 %, alpha .01", 0.01,
             lambda: math.isfinite(mismatch(random, 0.05, 0.05, 20_000, 0.01))),
        rate("paused: sizes right at 50 %, alpha .001", SRM_ALPHA,
             lambda: math.isfinite(mismatch(random, 0.5, 0.5, 20_000, SRM_ALPHA))),
        median("units until 47 % is seen where 50 % was meant, alpha .01",
               lambda: mismatch(random, 0.5, 0.47, 20_000, 0.01)),
        rate("the interval of the shift misses it, drifting base, alpha .05", 0.05, lambda: missed(random, 0.05)),
    ]  # fmt: skip


def main() -> int:
    """Run all simulations; 1 where a false alarm rate is too high."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    lines = answers(options.runs, options.seed)
    if options.json:
        print(json.dumps([asdict(line) for line in lines]))
    wrong = [one for one in lines if one.rate is not None and one.limit is not None
             and one.rate > one.limit + 3 * math.sqrt(one.limit * (1 - one.limit) / one.runs)]  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
