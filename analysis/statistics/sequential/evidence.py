"""What values are worth when they are looked at as they come: evidence against zero, and a confidence sequence.

The values that no look rejected are a confidence sequence: it holds the truth at all times at once with a chance of
1 − α.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analysis.statistics.bootstrap import Array
from analysis.statistics.sequential.e_processes import SymmetricTest
from analysis.statistics.sequential.sequential_test import SequentialTest


@dataclass(frozen=True)
class Evidence:
    """What is known after so many values. Nothing is rejected and nothing is bounded before the first."""

    n: int = 0
    mean: float = np.nan
    e_value: float = 1.0
    """Against a centre of zero, either way; of a test that gives p values 1 ÷ p, here and beneath."""
    e_greater: float = 1.0
    """Against a centre of at most zero: large where the values are positive."""
    e_less: float = 1.0
    e_peak: float = 1.0
    """The largest `e_value` so far; 1 ÷ it is a p value that may be looked at at any time."""
    lower: float = -np.inf
    """The confidence sequence: what no look so far has rejected. Of an e-process above 0 exactly when `e_peak` has
    reached 1 ÷ α."""
    upper: float = np.inf


@dataclass
class SequentialProcess:
    """Values as they come, and after each what they are worth. `level`: coverage of the confidence sequence, 1 − α."""

    test: SequentialTest = field(default_factory=SymmetricTest)
    level: float = 0.95
    values: list[float] = field(default_factory=list[float])

    def add(self, value: float) -> Evidence:
        """Take one more value. Raises ValueError for one that is no finite number, or outside the test's bounds."""
        if not np.isfinite(value):
            raise ValueError(f"{value} is no finite number")
        self.values.append(value)
        return evidence(self.test, np.array(self.values), self.level)


def evidence(test: SequentialTest, values: Array, level: float = 0.95) -> Evidence:
    """What `values` (n,) are worth, looked at after each of them."""
    if not len(values):
        return Evidence()
    up, down = test.one_sided(values, np.zeros(()))
    both = test.two_sided(values, np.zeros(()))
    lower, upper = confidence_sequence(test, values, level)
    with np.errstate(over="ignore"):
        either, greater, less, peak = map(float, np.exp([both[-1], up[-1], down[-1], max(0.0, float(both.max()))]))
    return Evidence(len(values), float(values.mean()), either, greater, less, peak, lower, upper)


def confidence_sequence(test: SequentialTest, values: Array, level: float = 0.95) -> tuple[float, float]:
    """The least and the largest centre that no look at `values` (n,) has rejected; the test's bounds where none is.

    Looked for on both sides of the median, out to the bounds or, without any, to where nothing more is gained. Ends lie
    outwards of the true ones by 1/(`scan` − 1)² of that stretch at most.
    """
    middle = float(np.median(values))
    reach = test.high - test.low if np.isfinite(test.high - test.low) else 4 * float(np.ptp(values)) + 1e-9

    def end(sign: int, bound: float) -> float:
        near, far = 0.0, min(abs(bound - middle), reach)
        for _ in range(2):
            steps = np.linspace(near, far, test.scan)
            kept = ~test.rejects(values[None], middle + sign * steps, level)
            last = int(np.flatnonzero(kept)[-1]) if kept.any() else 0
            if last == test.scan - 1:
                return bound
            near, far = float(steps[last]), float(steps[last + 1])
        return middle + sign * far

    return end(-1, test.low), end(1, test.high)
