"""The constants of the success metric's tests, by exact recursion rather than simulation.

    python benchmarks/rollouts/boundary.py [--looks 400]

The test statistic is a Brownian motion with drift in information time; its density short of the boundary
is carried from look to look on a grid (Armitage, McPherson & Rowe, JRSS-A 1969; Jennison & Turnbull 2000,
chapter 19). Printed are the level alpha' of a bounded test, by which the chance to cross between a hundredth
of the horizon and the horizon is alpha, and by how much a sequential test's sample exceeds the fixed one's.
"""

import argparse
import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm

from mlapi.rollouts.statistics import spread

FIRST = 0.01
POINTS = 600


def crossings(drift: float, tuned: float, alpha: float, level: float, times: np.ndarray) -> np.ndarray:
    """Return the chance to have crossed by each time; `drift` is the mean of z at time 1, `tuned` is a time."""
    g = tuned / spread(alpha)
    limits = np.sqrt((times + g) * np.log((times + g) / (g * level**2)))
    left = [1.0]
    grid, mass = np.zeros(1), np.ones(1)
    before = 0.0
    for time, limit in zip(times, limits, strict=True):
        edges = np.linspace(-limit, limit, POINTS + 1)
        step = math.sqrt(time - before)
        chances = ndtr((edges[None, :] - grid[:, None] - drift * (time - before)) / step)
        mass = mass @ np.diff(chances, axis=1)
        grid, before = (edges[1:] + edges[:-1]) / 2, time
        left.append(float(mass.sum()))
    return 1 - np.array(left[1:])


def level_of(alpha: float, looks: int) -> float:
    """Return alpha' of a bounded test: time 1 is its horizon, and it is tuned for three of them."""
    times = np.geomspace(FIRST, 1, looks)
    return float(brentq(lambda level: crossings(0, 3, alpha, level, times)[-1] - alpha, alpha, 0.9, xtol=1e-4))


def always_valid(alpha: float, power: float, looks: int) -> tuple[float, float, float]:
    """Return the sample for `power`, the median and the mean stop, in fixed samples; who never stops stops there."""
    drift = norm.ppf(1 - alpha / 2) + norm.ppf(power)
    times = np.geomspace(FIRST, 2.5, looks)
    crossed = crossings(drift, 1, alpha, alpha, times)
    most = float(np.interp(power, crossed, times))
    return most, float(np.interp(0.5, crossed, times)), _mean(times, crossed, most)


def bounded(alpha: float, power: float, level: float, looks: int) -> tuple[float, float, float]:
    """Return the same for a bounded test whose horizon is the first."""
    drift = norm.ppf(1 - alpha / 2) + norm.ppf(power)
    times = np.geomspace(FIRST, 1, looks)

    def crossed(most: float) -> np.ndarray:
        return crossings(drift * math.sqrt(most), 3, alpha, level, times)

    most = float(brentq(lambda most: crossed(most)[-1] - power, 1.0, 1.6, xtol=1e-3))
    return most, most * float(np.interp(0.5, crossed(most), times)), most * _mean(times, crossed(most), 1.0)


def _mean(times: np.ndarray, crossed: np.ndarray, most: float) -> float:
    fine = np.linspace(0, most, 4001)
    return float(np.trapezoid(1 - np.interp(fine, times, crossed, left=0.0), fine))


def main() -> None:
    """Print all constants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--looks", type=int, default=400)
    looks = parser.parse_args().looks
    for alpha in (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2):
        print(f"alpha {alpha:g}: alpha' {level_of(alpha, looks):.4f}", flush=True)
    for alpha in (0.01, 0.05, 0.10):
        level = level_of(alpha, looks)
        for power in (0.8, 0.9, 0.95):
            for name, found in (("always_valid", always_valid(alpha, power, looks)),
                                ("bounded", bounded(alpha, power, level, looks))):  # fmt: skip
                print(f"{name} alpha {alpha:g} power {power:g}: most, median, mean "
                      + ", ".join(f"{one:.3f}" for one in found), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
