"""How the claims of an adaptive study are judged, and the data that a claim is judged by."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from analysis.statistics.bootstrap import Array
from analysis.statistics.cell_means import CellValues
from analysis.statistics.sequential.e_processes import BoundedTest, SymmetricTest
from analysis.statistics.sequential.sequential_test import SequentialTest
from analysis.statistics.sequential.sign_flips import SignFlips
from analysis.statistics.unseen import Unseen, lone_run


@dataclass(frozen=True)
class Differences:
    """A claim's data in the order they were planned: whatever came first to its end."""

    values: Array
    """Shape (n,)."""
    low: float = -math.inf
    """Least possible difference; −∞ where the reward range is not known."""
    high: float = math.inf
    unseen: Unseen = field(default_factory=Unseen)
    """What learned pools that were not met could change."""
    bounded: bool = False
    """Whether that is known: without a reward range nothing is called equivalent of learned pools."""
    episodes: int = 0
    single: bool = False
    """Whether each is of one environment seed."""


@dataclass(frozen=True)
class Rule:
    """How claims are judged; declared before the data."""

    level: float = 0.95
    """1 − the chance that any claim of the family is ever falsely decided."""
    margin: float = math.nan
    """Differences within ± this are equivalent; NaN where none is declared."""
    test: Literal["symmetric", "bounded", "sign-flips"] = "symmetric"
    """Of learned pools. A given pool's differences of single seeds are mostly zeros and a few large ones: they are
    taken for bounded alone wherever the reward range is known."""
    most: int = 0
    """Learning runs that the study declares at most: sign flips spend their level over as many."""

    def test_of(self, data: Differences, family: int = 1) -> SequentialTest:
        """Its test, with the bounds of these differences, as one of so many claims."""
        if self._bounds(data):
            return BoundedTest(data.low, data.high)
        if self.planned(data):
            return SignFlips(self.most, 1 - self.level, family, data.low, data.high)
        return SymmetricTest(data.low, data.high)

    def planned(self, data: Differences) -> bool:
        """Whether the level is spent over a declared number of data, which single seeds are not counted by."""
        return self.test == "sign-flips" and not data.single

    def named(self, data: Differences) -> str:
        """What its test is called."""
        if self._bounds(data):
            return "bets on a bounded mean"
        return f"sign flips, looked at up to {self.most} times" if self.planned(data) else "symmetric e-process"

    def lone(self, data: Differences) -> str:
        """Why a datum that stands alone against the others leaves no verdict; "" elsewhere, and for the bounded test,
        which counts on no shape of the differences."""
        return "" if self._bounds(data) else lone_run(CellValues.single(data.values))

    def _bounds(self, data: Differences) -> bool:
        return math.isfinite(data.high - data.low) and (data.single or self.test == "bounded")
