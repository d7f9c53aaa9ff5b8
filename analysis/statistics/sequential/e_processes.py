"""Tests that may be looked at after every datum, however many come: e-processes.

An e-process E₁, E₂, … starts at 1 and, under the null hypothesis, is expected to be at most 1 whenever one stops; so it
ever reaches 1/α with a chance of at most α (Ville 1939), however often it is looked at and whatever the looks decide
(Ramdas, Grünwald, Vovk & Shafer 2023).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.bootstrap import Array

SLOPES = (0.5, 1.0, 2.0, 4.0, 8.0, 1e3)
"""Of the symmetric bet in units of its scale; the last all but counts signs. Any fixed grid is valid."""
SHARES = (0.025, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
"""Shares of the wealth that the bounded bet stakes. Any fixed grid of shares up to 1 is valid."""
SCAN = 257
"""Points at which a confidence sequence is looked for, before it is looked for more finely between two of them."""


@dataclass(frozen=True)
class EProcess(ABC):
    """A family of e-processes; bounds, where given, end the confidence sequence."""

    low: float = -np.inf
    high: float = np.inf

    @property
    def scan(self) -> int:
        """As `SequentialTest.scan`."""
        return SCAN

    @abstractmethod
    def log_wealth(self, values: Array, centre: Array) -> tuple[Array, Array]:
        """Logarithms of two e-processes after each datum: against a centre of at most `centre`, and of at least it.

        `values` (..., n) in the order they came; `centre` broadcasts against (...). Both of shape (..., n).
        """

    def one_sided(self, values: Array, centre: Array) -> tuple[Array, Array]:
        """As `SequentialTest.one_sided`."""
        return self.log_wealth(values, centre)

    def two_sided(self, values: Array, centre: Array) -> Array:
        """Logarithm of the mean of both e-processes, shape (..., n)."""
        up, down = self.log_wealth(values, np.asarray(centre, float))
        return np.logaddexp(up, down) - np.log(2)

    def rejects(self, values: Array, centre: Array, level: float) -> NDArray[Any]:
        """As `SequentialTest.rejects`."""
        return self.two_sided(values, centre).max(axis=-1) >= -np.log(1 - level)


@dataclass(frozen=True)
class SymmetricTest(EProcess):
    """The anytime form of the sign-flip test: each value is symmetric about the centre, given those before it.

    Every factor is 1 ± tanh(slope · d ÷ scale) with d = value − centre, a mean of 1 over the two signs of d
    (self-normalised processes: de la Peña 1999; Ramdas, Ruf, Larsson & Koolen 2020). The scale is the root mean square
    of the d so far, this one included: it depends on |d| alone, so the mean given |d| is still 1. As d ÷ scale grows
    with d, the process against "at most the centre" is a supermartingale for every smaller centre, too. Nothing has to
    be known of units or ranges: bounds, where given, only end the confidence sequence. Values of one sign and like size
    reach 20 at the sixth to seventh.
    """

    def log_wealth(self, values: Array, centre: Array) -> tuple[Array, Array]:
        """As `EProcess.log_wealth`."""
        apart = values - np.asarray(centre)[..., None]
        scale = np.sqrt(np.cumsum(apart**2, axis=-1) / np.arange(1, values.shape[-1] + 1))
        unit = np.divide(apart, scale, out=np.zeros_like(apart), where=scale > 0)
        # 1 ± tanh(x) = 2 ÷ (1 + exp(∓2x))
        x = np.stack([slope * unit for slope in SLOPES])
        up, down = (np.log(2) - np.logaddexp(0, -2 * sign * x) for sign in (1, -1))
        return _mixed(up), _mixed(down)


@dataclass(frozen=True)
class BoundedTest(EProcess):
    """Betting on a bounded mean (Waudby-Smith & Ramdas 2024): the mean of each value given those before is the centre.

    Nothing is assumed but that values keep to the bounds. The diversified Kelly bettor of their section 5 stakes fixed
    shares of its wealth for and against.
    """

    def log_wealth(self, values: Array, centre: Array) -> tuple[Array, Array]:
        """As `EProcess.log_wealth`. Raises ValueError for a value outside the bounds."""
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


def _mixed(bets: list[Array]) -> Array:
    """Log wealth of a purse shared out evenly among bets, given the log factors of each, shape (..., n)."""
    wealth = np.cumsum(np.stack(bets), axis=-1)
    return np.logaddexp.reduce(wealth, axis=0) - np.log(len(bets))
