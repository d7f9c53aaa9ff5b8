"""Tests that may be looked at after every datum: e-processes, and the confidence sequences that they invert to.

An e-process E₁, E₂, … starts at 1 and, under the null hypothesis, is expected to be at most 1 whenever one stops; so it
ever reaches 1/α with a chance of at most α (Ville 1939), however often it is looked at and whatever the looks decide
(Ramdas, Grünwald, Vovk & Shafer 2023). The values that no look rejected are a confidence sequence: it holds the truth
at all times at once with a chance of 1 − α.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from analysis.statistics.bootstrap import Array

SLOPES = (0.5, 1.0, 2.0, 4.0, 8.0, 1e3)
"""Of the symmetric bet in units of its scale; the last all but counts signs. Any fixed grid is valid."""
SHARES = (0.025, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
"""Shares of the wealth that the bounded bet stakes. Any fixed grid of shares up to 1 is valid."""
SCAN = 257
"""Points at which a confidence sequence is looked for, before it is looked for more finely between two of them."""


class SequentialTest(Protocol):
    """A family of e-processes, one for every value that the centre of the data may have."""

    @property
    def low(self) -> float:
        """Least value that the centre can have; −∞ where that is not known."""
        ...

    @property
    def high(self) -> float: ...

    def log_wealth(self, values: Array, centre: Array) -> tuple[Array, Array]:
        """Logarithms of two e-processes after each datum: against a centre of at most `centre`, and of at least it.

        `values` (..., n) in the order they came; `centre` broadcasts against (...). Both of shape (..., n).
        """
        ...


@dataclass(frozen=True)
class SymmetricTest:
    """The anytime form of the sign-flip test: each value is symmetric about the centre, given those before it.

    Every factor is 1 ± tanh(slope · d ÷ scale) with d = value − centre, a mean of 1 over the two signs of d
    (self-normalised processes: de la Peña 1999; Ramdas, Ruf, Larsson & Koolen 2020). The scale is the root mean square
    of the d so far, this one included: it depends on |d| alone, so the mean given |d| is still 1. As d ÷ scale grows
    with d, the process against "at most the centre" is a supermartingale for every smaller centre, too. Nothing has to
    be known of units or ranges: bounds, where given, only end the confidence sequence. Values of one sign and like size
    reach 20 at the sixth to seventh.
    """

    low: float = -np.inf
    high: float = np.inf

    def log_wealth(self, values: Array, centre: Array) -> tuple[Array, Array]:
        """As `SequentialTest.log_wealth`."""
        apart = values - np.asarray(centre)[..., None]
        scale = np.sqrt(np.cumsum(apart**2, axis=-1) / np.arange(1, values.shape[-1] + 1))
        unit = np.divide(apart, scale, out=np.zeros_like(apart), where=scale > 0)
        # 1 ± tanh(x) = 2 ÷ (1 + exp(∓2x))
        x = np.stack([slope * unit for slope in SLOPES])
        up, down = (np.log(2) - np.logaddexp(0, -2 * sign * x) for sign in (1, -1))
        return _mixed(up), _mixed(down)


@dataclass(frozen=True)
class BoundedTest:
    """Betting on a bounded mean (Waudby-Smith & Ramdas 2024): the mean of each value given those before is the centre.

    Nothing is assumed but that values keep to the bounds. The diversified Kelly bettor of their section 5 stakes fixed
    shares of its wealth for and against.
    """

    low: float
    high: float

    def log_wealth(self, values: Array, centre: Array) -> tuple[Array, Array]:
        """As `SequentialTest.log_wealth`. Raises ValueError for a value outside the bounds."""
        if np.min(values, initial=self.low) < self.low - 1e-9 or np.max(values, initial=self.high) > self.high + 1e-9:
            raise ValueError(f"a value lies outside [{self.low:g}, {self.high:g}]")
        inside = 1e-9 * (self.high - self.low)
        middle = np.clip(np.asarray(centre), self.low + inside, self.high - inside)[..., None]
        gain = np.maximum((values - middle) / (middle - self.low), -1.0)
        loss = np.maximum((middle - values) / (self.high - middle), -1.0)
        with np.errstate(divide="ignore"):
            return _mixed([np.log1p(share * gain) for share in SHARES]), _mixed(
                [np.log1p(share * loss) for share in SHARES]
            )


@dataclass(frozen=True)
class Evidence:
    """What is known after so many values. Nothing is rejected and nothing is bounded before the first."""

    n: int = 0
    mean: float = np.nan
    e_value: float = 1.0
    """Against a centre of zero, either way: the mean of the two beneath."""
    e_greater: float = 1.0
    """Against a centre of at most zero: large where the values are positive."""
    e_less: float = 1.0
    e_peak: float = 1.0
    """The largest `e_value` so far; 1 ÷ it is a p value that may be looked at at any time."""
    lower: float = -np.inf
    """The confidence sequence: what no look so far has rejected. Above 0 exactly when `e_peak` has reached 1 ÷ α."""
    upper: float = np.inf


@dataclass
class SequentialProcess:
    """Values as they come, and after each what they are worth. `level`: coverage of the confidence sequence, 1 − α."""

    test: SequentialTest = SymmetricTest()
    level: float = 0.95
    values: list[float] = field(default_factory=list[float])

    def add(self, value: float) -> Evidence:
        """Take one more value. Raises ValueError for one that is no finite number, or outside the test's bounds."""
        if not np.isfinite(value):
            raise ValueError(f"{value} is no finite number")
        self.values.append(value)
        return evidence(self.test, np.array(self.values), self.level)


def log_e(test: SequentialTest, values: Array, centre: Array | float = 0.0) -> Array:
    """Logarithm of the two-sided e-process against a centre after each datum, shape (..., n)."""
    up, down = test.log_wealth(values, np.asarray(centre, float))
    return np.logaddexp(up, down) - np.log(2)


def evidence(test: SequentialTest, values: Array, level: float = 0.95) -> Evidence:
    """What `values` (n,) are worth, looked at after each of them."""
    if not len(values):
        return Evidence()
    up, down = test.log_wealth(values, np.zeros(()))
    both = np.logaddexp(up, down) - np.log(2)
    lower, upper = confidence_sequence(test, values, level)
    with np.errstate(over="ignore"):
        either, greater, less, peak = map(float, np.exp([both[-1], up[-1], down[-1], max(0.0, float(both.max()))]))
    return Evidence(len(values), float(values.mean()), either, greater, less, peak, lower, upper)


def confidence_sequence(test: SequentialTest, values: Array, level: float = 0.95) -> tuple[float, float]:
    """The least and the largest centre that no look at `values` (n,) has rejected; the test's bounds where none is.

    Looked for on both sides of the median, out to the bounds or, without any, to where nothing more is gained. Ends lie
    outwards of the true ones by 1/65,536 of that stretch at most.
    """
    threshold = -np.log(1 - level)
    middle = float(np.median(values))
    reach = test.high - test.low if np.isfinite(test.high - test.low) else 4 * float(np.ptp(values)) + 1e-9

    def end(sign: int, bound: float) -> float:
        near, far = 0.0, min(abs(bound - middle), reach)
        for _ in range(2):
            steps = np.linspace(near, far, SCAN)
            kept = log_e(test, values[None], middle + sign * steps).max(axis=-1) < threshold
            last = int(np.flatnonzero(kept)[-1]) if kept.any() else 0
            if last == SCAN - 1:
                return bound
            near, far = float(steps[last]), float(steps[last + 1])
        return middle + sign * far

    return end(-1, test.low), end(1, test.high)


def _mixed(bets: list[Array]) -> Array:
    """Log wealth of a purse shared out evenly among bets, given the log factors of each, shape (..., n)."""
    wealth = np.cumsum(np.stack(bets), axis=-1)
    return np.logaddexp.reduce(wealth, axis=0) - np.log(len(bets))
