"""What learned pools that a study has not met could change.

The commonest truth of skill learning is that most pools do nothing and some do much. While none of the good ones was
met, the data look like a small sure loss: with 5 % of pools that work and ten learning runs a t test says "worse" in
49 % of studies whose mean effect is zero. No test sees that in the data; a bound on what is unseen does.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from analysis.statistics.cell_means import CellValues


def unseen_share(pools: int, level: float = 0.95) -> float:
    """Largest share of pools of a kind that none of so many independent ones showed (Clopper–Pearson, one-sided)."""
    return 1 - (1 - level) ** (1 / pools) if pools else 1.0


@dataclass(frozen=True)
class Unseen:
    """How far pools not met could move a mean difference: a share of them, each as good as the task allows.

    `up` (pools of the treatment) and `down` (of the reference) are pairs (number of pools met, largest move that one
    could make); zero pools where an arm was not learned: it has none unseen.
    """

    up: tuple[int, float] = (0, 0.0)
    down: tuple[int, float] = (0, 0.0)
    ruin: float = 0.0
    """Difference of a treatment pool that ends at the bottom of the task."""

    def highest(self, mean: float) -> float:
        """The mean, had good treatment pools been missed."""
        return _moved(mean, *self.up, 1)

    def lowest(self, mean: float) -> float:
        """The mean, had good reference pools been missed."""
        return _moved(mean, *self.down, -1)

    def within(self, margin: float) -> tuple[float, float]:
        """Bounds that the mean of the pools met must keep to, so that the mean of all keeps to ±`margin`."""
        return -_left(margin, *self.down), _left(margin, *self.up)

    def reason(self, low: float, high: float) -> str:
        """Why an interval off zero is no verdict, in words; "" where it withstands the unseen."""
        if low > 0 and self.lowest(low) <= 0:
            return _reason(*self.down, self.lowest(low), "the reference's")
        if high < 0 and self.highest(high) >= 0:
            return _reason(*self.up, self.highest(high), "the treatment's")
        return ""

    def assumes(self, mean: float) -> str:
        """What "better" takes for granted, in words; "" where so many pools exclude what would undo it.

        A share s of ruinous pools leaves a mean of (1 − s)·`mean` + s·`ruin`. To withhold the verdict for it would
        withhold nearly every one below thirty learning runs, so it is said.
        """
        pools, undone = self.up[0], mean / (mean - self.ruin) if mean > 0 > self.ruin else 1.0
        if not pools or undone > unseen_share(pools):
            return ""
        return (
            f"assumes that no kind of pool that ruins went unmet: {undone:.0%} of pools at the bottom of the task "
            f"would undo it, and {pools} pools met leave room for {unseen_share(pools):.0%}"
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


def _moved(mean: float, pools: int, most: float, sign: int) -> float:
    if not pools:
        return mean
    share = unseen_share(pools)
    return (1 - share) * mean + sign * share * max(most, 0.0)


def _left(margin: float, pools: int, most: float) -> float:
    if not pools:
        return margin
    share = unseen_share(pools)
    return (margin - share * max(most, 0.0)) / (1 - share)


def _reason(pools: int, most: float, bound: float, whose: str) -> str:
    return (
        f"{pools} learned pools were met, so up to {unseen_share(pools):.0%} of {whose} could be of a good kind not "
        f"met; were those as good as the task allows ({most:.2f} more), the mean could be {bound:.2f}"
    )
