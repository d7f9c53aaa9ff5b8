"""What learned pools that a study has not met could change.

The commonest truth of skill learning is that most pools do nothing and some do much. While none of the good ones was
met, the data look like a small sure loss: with 5 % of pools that work and ten learning runs a t test says "worse" in
49 % of studies whose mean effect is zero. No test sees that in the data; a bound on what is unseen does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from scipy import stats

from analysis.statistics.cell_means import CellValues


def unseen_share(pools: int, level: float = 0.95) -> float:
    """Largest share of pools of a kind that none of so many independent ones showed (Clopper–Pearson, one-sided)."""
    return 1 - (1 - level) ** (1 / pools) if pools else 1.0


class Pools(NamedTuple):
    """Learned pools of an arm: how many were met, and by how much one at the top (`most`, 0 or more) or at the bottom
    (`least`, 0 or less) of the task differs from the other arm."""

    met: int = 0
    most: float = 0.0
    least: float = 0.0


NONE = Pools()
"""Of an arm that was not learned."""


@dataclass(frozen=True)
class Unseen:
    """How far pools not met could move a mean difference: a share of them, each as good, or as bad, as the task allows.

    `up` are pools of the treatment, `down` of the reference.
    """

    up: Pools = NONE
    down: Pools = NONE

    def highest(self, mean: float) -> float:
        """The mean, had good treatment pools been missed."""
        return _moved(mean, self.up.met, max(self.up.most, 0.0))

    def lowest(self, mean: float) -> float:
        """The mean, had good reference pools been missed."""
        return _moved(mean, self.down.met, -max(self.down.most, 0.0))

    def within(self, margin: float) -> tuple[float, float]:
        """Bounds that the mean of the pools met must keep to, so that the mean of all keeps to ±`margin`."""
        return -_left(margin, self.down), _left(margin, self.up)

    def reason(self, low: float, high: float) -> str:
        """Why an interval off zero is no verdict, in words; "" where it withstands the unseen."""
        if low > 0 and self.lowest(low) <= 0:
            return _reason(self.down, self.lowest(low), "the reference's")
        if high < 0 and self.highest(high) >= 0:
            return _reason(self.up, self.highest(high), "the treatment's")
        return ""

    def assumes(self, low: float, high: float) -> str:
        """What a verdict for the arm that did better takes for granted of it, in words; "" where so many pools exclude
        what would undo it.

        A share s of ruinous pools leaves a mean of (1 − s)·`low` + s·`least`. A study that met none of them looks like
        one of pools that are all alike: a rule that withholds the verdict of the first withholds that of the second.
        So it is given, and the assumption with it.
        """
        pools, mean = (self.up, low) if low > 0 else (self.down, -high)
        undone = mean / (mean - pools.least) if mean > 0 > pools.least else 1.0
        if not pools.met or undone > unseen_share(pools.met):
            return ""
        return (
            f"assumes that no kind of pool that ruins went unmet: {undone:.0%} of pools at the bottom of the task "
            f"would undo it, and {pools.met} pools met leave room for {unseen_share(pools.met):.0%}"
        )


def lone_run(cells: CellValues) -> str:
    """Why a mean off zero is no verdict where one run that speaks against it holds most of the spread; "" elsewhere.

    Of the kind of pool behind such a run too few were met to say how many there are: where 20 % of pools work and the
    mean is 0, a t test calls twenty runs of which one met such a pool "worse". Most is more than half, and more than
    the farthest of as many normal values holds in all but 5 % (Grubbs 1950): normal values lose 1 % of power at most.
    """
    values, layout = cells.by_cluster()
    squares = layout.centred(values)[0] ** 2
    clusters, total = len(squares) - len(layout.sizes) + 1, float(squares.sum())
    farthest = int(squares.argmax())
    share = float(squares[farthest]) / total if total > 1e-24 * max(1.0, float((values[0] ** 2).sum())) else 0.0
    if values[0, farthest] * cells.pivot.estimate[0] >= 0 or share <= max(0.5, _farthest_of(clusters)):
        return ""
    return (
        f"one of them speaks against it and holds {share:.0%} of the spread, and of its kind too few were met to say "
        "how many there are"
    )


def _farthest_of(normal: int) -> float:
    """Share of the spread that the farthest of normal values exceeds in 5 % (Grubbs 1950); 1 for two or fewer."""
    if normal < 3:
        return 1.0
    root = stats.t.isf(0.05 / (2 * normal), normal - 2) ** 2
    return float((normal - 1) / normal * root / (normal - 2 + root))


def _moved(mean: float, met: int, to: float) -> float:
    """The mean, were the largest share not met at `to`."""
    if not met:
        return mean
    share = unseen_share(met)
    return (1 - share) * mean + share * to


def _left(margin: float, pools: Pools) -> float:
    if not pools.met:
        return margin
    share = unseen_share(pools.met)
    return (margin - share * max(pools.most, 0.0)) / (1 - share)


def _reason(pools: Pools, bound: float, whose: str) -> str:
    return (
        f"{pools.met} learned pools were met, so up to {unseen_share(pools.met):.0%} of {whose} could be of a good "
        f"kind not met; were those as good as the task allows ({pools.most:.2f} more), the mean could be {bound:.2f}"
    )
