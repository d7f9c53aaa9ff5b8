"""The sign-flip test of a study that declares its largest size: looked at after every datum, exact at every look.

Given |d₁|, …, |dₙ| every choice of signs of the differences is equally likely, where they are independent and symmetric
about the centre. Of all choices those with the largest sums are given up look by look, as many as the spending function
allows by then (Lan & DeMets 1983; of Kim & DeMets' family 1987): a path that is given up stays so, and the chance that
the one observed is among them is at most the level, whatever the |d| are, and whenever one stops for whatever reason.

Looks count a claim's own data, not those of the study: one that sat out a batch has missed no look, and it matters
neither how often anybody looked nor why a batch was left out. What it takes beyond an e-process: differences are
independent, and no more than the declared number is ever taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.bootstrap import Array

FIRST = 5
"""Differences before the first look: fewer can decide nothing at .05."""
STEPS = 8
"""Of a sum, in the root mean square of the first differences: |d| are rounded to that, which leaves flips exact."""
FARTHEST = 6
"""Largest |d| that is told from larger ones, in the same unit."""
EXPONENT = 0.65
"""Of the share of the data by which the level is spent: early enough that seven like differences decide a lone claim
of up to forty."""
SHOWN = tuple(0.5 * 10 ** (-each / 4) for each in range(15))
"""p values that are told apart in a report, beside those that decide."""


@dataclass(frozen=True)
class SignFlips:
    """Levels are spent over `most` data. `alpha` and the number of claims (`family`) say at which levels Holm's
    procedure may ask: α ÷ 1 to α ÷ family (Maurer & Bretz 2013)."""

    most: int
    alpha: float = 0.05
    family: int = 1
    low: float = -np.inf
    high: float = np.inf
    shown: tuple[float, ...] = SHOWN

    @property
    def scan(self) -> int:
        """As `SequentialTest.scan`."""
        return 65

    def one_sided(self, values: Array, centre: Array) -> tuple[Array, Array]:
        """As `SequentialTest.one_sided`: −log of the least level that has rejected at this look; 0 where none has."""
        holm = [self.alpha / k / sides for k in range(1, self.family + 1) for sides in (1, 2)]
        levels = np.unique([*holm, *self.shown])[::-1]
        rejected = self._rejected(values, centre, levels)
        # a level counts where all larger ones reject, too: so that less is never claimed at more
        reached = [np.logical_and.accumulate(each, axis=-2).sum(axis=-2) for each in rejected]
        up, down = (np.append(0.0, -np.log(levels))[each] for each in reached)
        return up, down

    def two_sided(self, values: Array, centre: Array) -> Array:
        """As `SequentialTest.two_sided`: half of a level on each side."""
        return np.maximum(np.maximum(*self.one_sided(values, centre)) - np.log(2), 0.0)

    def rejects(self, values: Array, centre: Array, level: float) -> NDArray[Any]:
        """As `SequentialTest.rejects`."""
        up, down = self._rejected(values, centre, np.array([(1 - level) / 2]))
        return np.asarray((up | down).any(axis=(-2, -1)))

    def _rejected(self, values: Array, centre: Array, levels: Array) -> tuple[NDArray[Any], NDArray[Any]]:
        """Whether the sum, and its opposite, is among those given up at each level and look: (..., levels, n)."""
        apart = values - np.asarray(centre, float)[..., None]
        flat = apart.reshape(-1, apart.shape[-1])
        steps, signs = _rounded(flat), np.sign(flat).astype(int)
        sums = np.cumsum(steps * signs, axis=1)
        middle = int(steps.sum(axis=1).max(initial=0))
        # the chance of every sum whose path was not given up, by centre and level
        chance = np.zeros((len(flat), len(levels), 2 * middle + 1))
        chance[..., middle] = 1.0
        given_up = np.zeros(chance.shape[:2])
        found = np.zeros((2, len(flat), len(levels), flat.shape[1]), bool)
        rows = np.arange(len(flat))
        for look in range(flat.shape[1]):
            chance = _flipped(chance, steps[:, look])
            if look + 1 < FIRST:
                continue
            left = levels * min(1.0, (look + 1) / self.most) ** EXPONENT - given_up
            beyond = np.cumsum(chance[..., ::-1], axis=-1)[..., ::-1]
            allowed = beyond <= left[..., None] + 1e-12
            given_up += np.where(allowed, beyond, 0.0).max(axis=-1)
            chance[allowed] = 0.0
            for side, total in enumerate((sums[:, look], -sums[:, look])):
                found[side, ..., look] = allowed[rows, :, middle + total]
        up, down = found.reshape(2, *apart.shape[:-1], len(levels), apart.shape[-1])
        return up, down


def _rounded(apart: Array) -> NDArray[Any]:
    """|d| in whole steps of a unit that the first of them give, shape (centres, n): the same at every later look."""
    sizes = np.abs(apart)
    n = sizes.shape[1]
    first = np.maximum((sizes > 0).argmax(axis=1), min(FIRST, n) - 1)
    seen = np.arange(n) <= first[:, None]
    unit = np.sqrt((sizes**2 * seen).sum(axis=1) / (first + 1))[:, None]
    relative = np.divide(sizes, unit, out=np.zeros_like(sizes), where=unit > 0)
    return np.rint(STEPS * np.minimum(relative, FARTHEST)).astype(int)


def _flipped(chance: Array, steps: NDArray[Any]) -> Array:
    """The chance of every sum after one more difference of so many steps, up or down alike."""
    moved = np.zeros_like(chance)
    for row, step in enumerate(steps):
        if step:
            moved[row, :, step:] = 0.5 * chance[row, :, :-step]
            moved[row, :, :-step] += 0.5 * chance[row, :, step:]
        else:
            moved[row] = chance[row]
    return moved
