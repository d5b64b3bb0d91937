"""Errors and samples of the success metric, and of the guardrails beside it, by simulation; a Markdown table.

    nice python benchmarks/rollouts/effects.py [--runs 4000] [--seed 1] [--processes 2]

Each line is a figure of the design: what it is to be at most (or at least), what the design says, and what
came out of the very functions that a rollout calls. A run is looked at 150 times, as far apart as its
sample grows, from the first look that can count. Exit code 1 where a goal is missed.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from multiprocessing import get_context

import numpy as np
import simulate
from paths import LOOKS, NEAR, Path, Random, exponential, ramp, rates, spending, sticky, values
from scipy.stats import norm

from mlapi.rollouts.effects import Boundary, Effect, effect, paired
from mlapi.rollouts.statistics import Counts, p_value, rate_log_e, srm_log_e

ALPHA = 0.05
POWER = 0.8
QUANTILE = partial(np.quantile, q=POWER, method="inverted_cdf")
MODES = {"always_valid": ".018-.028", "bounded": ".043-.051"}

@dataclass(frozen=True)
class Line:
    """One figure: `once` gives a number a run, `sums_up` makes one of them all; it is to be at most `goal`."""

    name: str
    goal: float
    design: str
    once: Callable[[Random], float]
    sums_up: Callable[[np.ndarray], float] = field(default=np.mean)
    at_least: bool = False


def stop(path: Path, test: Boundary, *, binary: bool = True) -> float:
    """Return after how many units in total an effect is found, infinity for never or after a bounded horizon."""
    for total, strata in path:
        found = effect(strata, test, binary=binary)
        if found is None:
            continue
        if test.mode == "bounded" and found.units > test.tuned * 1.0001:
            return math.inf
        if _decides(found):
            return total
    return math.inf


def false_rate(random: Random, share: float, rate: float, mode: str) -> float:
    """Tell whether a 0/1 metric without effect is ever decided, from the burn-in to thirty times it."""
    burn_in = 20 / (rate * min(share, 1 - share))
    totals = np.geomspace(burn_in, 30 * burn_in, LOOKS).astype(int)
    equivalent = 4 * share * (1 - share) * burn_in
    test = Boundary(ALPHA, mode, equivalent * (30 if mode == "bounded" else 10))  # type: ignore[arg-type]
    return float(math.isfinite(stop(rates(random, share, (rate, rate), totals), test)))


def false_mean(random: Random, share: float, draw: Callable[[Random, int], np.ndarray], mode: str) -> float:
    """Tell whether a continuous metric without effect is ever decided, from the burn-in to six times it."""
    burn_in = 1000 / share
    totals = np.geomspace(burn_in, 6 * burn_in, LOOKS).astype(int)
    test = Boundary(ALPHA, mode, 4 * share * (1 - share) * burn_in * (6 if mode == "bounded" else 3))  # type: ignore[arg-type]
    return float(math.isfinite(stop(values(random, share, draw, totals), test, binary=False)))


def needed(random: Random, mode: str, most: float, share: float = 0.5) -> float:
    """Return the sample that finds 11 % where 10 % was, over that of a fixed test."""
    low, high = 0.10, 0.11
    fixed = fixed_sample(low * (1 - low) / (1 - share) + high * (1 - high) / share, high - low)
    totals = np.linspace(fixed / 50, most * fixed, LOOKS).astype(int)
    test = Boundary(ALPHA, mode, 4 * share * (1 - share) * fixed * (most if mode == "bounded" else 1))  # type: ignore[arg-type]
    return stop(rates(random, share, (low, high), totals), test) / fixed


def fixed_sample(variance: float, effect_size: float, alpha: float = ALPHA) -> float:
    """Return the sample of a fixed two-sided test of power .8."""
    return float((norm.ppf(1 - alpha / 2) + norm.ppf(POWER)) ** 2 * variance / effect_size**2)


def mismatch(random: Random) -> float:
    """Return the units until 47 % is seen where 50 % was meant, over those of a single chi-square test; alpha .001."""
    alpha, found = 0.001, 0.47
    fixed = fixed_sample(0.25, 0.5 - found, alpha)
    totals = np.linspace(fixed / 50, 3 * fixed, LOOKS).astype(int)
    seen = np.cumsum(random.binomial(np.diff(totals, prepend=0), found))
    distant = np.abs(seen - totals / 2) >= NEAR * np.sqrt(totals) / 2
    for total, candidates in zip(totals[distant].tolist(), seen[distant].tolist(), strict=True):
        if p_value(srm_log_e([Counts(total - candidates, candidates, 0.5)])) <= alpha:
            return float(total / fixed)
    return math.inf


def outage(random: Random) -> float:
    """Tell whether an outage of half of all requests, in both arms at 5 %, rolls back at margin 0, then or at 25 %."""
    done: list[Counts] = []
    for share, bad, units in ((0.05, 0.5, 5000), (0.25, 0.01, 10_000)):
        arms = np.cumsum(random.random(random.binomial(units, bad)) < share)
        for at in np.flatnonzero(np.diff(arms, prepend=0)):
            now = Counts(int(at + 1 - arms[at]), int(arms[at]), share)
            if rate_log_e([*done, now], 0.0) >= math.log(100):
                return 1.0
        done.append(Counts(int(len(arms) - arms[-1]), int(arms[-1]), share))
    return 0.0


def pairs(differences: np.ndarray, tuned: float) -> float:
    """Return after how many pairs paired losses decide."""
    sums = np.cumsum(np.stack([np.ones_like(differences), differences, differences**2]), axis=1)
    looks = np.geomspace(100, len(differences), LOOKS).astype(int)
    for total in looks[np.abs(sums[1, looks - 1]) >= NEAR * np.sqrt(sums[2, looks - 1])]:
        found = paired(tuple(sums[:, total - 1].tolist()), Boundary(ALPHA, "always_valid", tuned))  # type: ignore[arg-type]
        if found is not None and _decides(found):
            return float(total)
    return math.inf


def false_pairs(random: Random, disagree: float) -> float:
    """Tell whether two equally accurate models that disagree on a share of the inputs are ever told apart."""
    differences = random.choice([-1.0, 0, 1], 20_000, p=[disagree / 2, 1 - disagree, disagree / 2])
    return float(math.isfinite(pairs(differences, 4000)))


def false_skewed_pairs(random: Random) -> float:
    """The same where losses differ by exponential amounts that are zero on average."""
    return float(math.isfinite(pairs(random.exponential(1.0, 20_000) - 1, 4000)))


def saved(random: Random) -> float:
    """Return the labels that pairs need for accuracy .91 against .90, exactly one right on 5 %."""
    return pairs(random.choice([-1.0, 0, 1], 12_000, p=[0.03, 0.95, 0.02]), fixed_sample(0.05, 0.01))


def split(random: Random) -> float:
    """Return the labels that a split needs for the same."""
    fixed = fixed_sample(2 * (0.91 * 0.09 + 0.9 * 0.1), 0.01)
    totals = np.geomspace(fixed / 50, 3 * fixed, LOOKS).astype(int)
    return stop(rates(random, 0.5, (0.1, 0.09), totals), Boundary(ALPHA, "always_valid", fixed))


def lines() -> list[Line]:
    """Return all figures."""
    return [*_false_alarms(), *_units(), *_delays(), *_pairs()]


def measured(number: int, runs: int, seed: int) -> float:
    """Return the figure of a line; each has random numbers of its own."""
    line, random = lines()[number], np.random.default_rng([seed, number])
    return float(line.sums_up(np.array([line.once(random) for _ in range(runs)])))


def main() -> int:
    """Print the table; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    asked, missed = lines(), 0
    print("| figure | goal | design | measured |\n|--|--|--|--|", flush=True)
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        once = partial(measured, runs=options.runs, seed=options.seed)
        for line, figure in zip(asked, pool.map(once, range(len(asked))), strict=True):
            miss = figure < line.goal if line.at_least else figure > line.goal
            missed += miss
            goal = f"at {'least' if line.at_least else 'most'} {line.goal:g}"
            print(f"| {line.name} | {goal} | {line.design} | {figure:.4g}{' (missed)' if miss else ''} |", flush=True)
    return 1 if missed else 0


def _false_alarms() -> Iterator[Line]:
    for mode, design in MODES.items():
        for rate, share in product((0.002, 0.01, 0.1), (0.01, 0.05, 0.5)):
            name = f"type-I, rate {rate:.1%}, candidate {share:.0%}, {mode}"
            yield Line(name, ALPHA, design, partial(false_rate, share=share, rate=rate, mode=mode))
        for draw, share in product((exponential, spending), (0.01, 0.05, 0.5)):
            name = f"type-I, {draw.__name__} values, candidate {share:.0%}, {mode}"
            yield Line(name, ALPHA, design, partial(false_mean, share=share, draw=draw, mode=mode))


def _units() -> Iterator[Line]:
    def ever(path: Callable[[Random], Path], tuned: float) -> Callable[[Random], float]:
        return lambda random: math.isfinite(stop(path(random), Boundary(ALPHA, "always_valid", tuned)))

    yield Line("type-I, ramp with a drifting base rate", ALPHA, ".025", ever(ramp, 20_000))
    yield Line("type-I, sticky users with 30 requests each, a user counted once", ALPHA, "",
               ever(partial(sticky, by_user=True), 2000))  # fmt: skip
    yield Line("the same, requests as units (what mlapi does not do)", 1.0, ".21",
               ever(partial(sticky, by_user=False), 60_000))  # fmt: skip


def _delays() -> Iterator[Line]:
    eighty = "sample for 80 % power over a fixed test's, always valid"
    valid = partial(needed, mode="always_valid", most=2.5)
    yield Line(eighty, 1.70, "1.65", valid, QUANTILE)
    yield Line(f"{eighty}, candidate 5 %", 1.70, "1.65", partial(valid, share=0.05), QUANTILE)
    bounded = partial(needed, mode="bounded", most=1.20)
    yield Line("power of a bounded test of 1.20 x a fixed test's sample", POWER, "at 1.19", bounded,
               lambda stops: float(np.isfinite(stops).mean()), at_least=True)  # fmt: skip
    yield Line("units until 80 % see wrong sizes over those of chi-square", 1.6, "1.46-1.55", mismatch, QUANTILE)
    for margin, design in ((0.25, ""), (0.0, "143")):
        name = f"requests to the candidate until 5 % errors for 1 % roll back, median, margin {margin:g}"
        yield Line(name, 150, design,
                   lambda random, margin=margin: simulate.delay(random, 0.05, margin=margin), np.median)  # fmt: skip
    yield Line("false rollback, outage of both arms, alpha .01", 0.01, ".0045", outage)


def _pairs() -> Iterator[Line]:
    for share in (0.01, 0.05):
        yield Line(f"type-I, paired losses, {share:.0%} disagree", ALPHA, "", partial(false_pairs, disagree=share))
    yield Line("type-I, paired losses, skewed differences", ALPHA, "", false_skewed_pairs)
    yield Line("labels for 80 % power, .91 against .90 right, pairs", 1.7 * 3925, "1.65 x 3925", saved, QUANTILE)
    yield Line("the same, split", 1.7 * 27_000, "1.65 x 27000", split, QUANTILE)


def _decides(found: Effect) -> bool:
    return found.lower > 0 or found.upper < 0


if __name__ == "__main__":
    sys.exit(main())
