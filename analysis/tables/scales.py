"""How far a mean return, and a mean difference of returns, can reach: no interval of one leaves that."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from analysis.statistics.estimates import REAL, Scale
from analysis.tables.run import Ranges


def return_scale(ranges: Ranges, tasks: Iterable[object]) -> Scale:
    """Of the mean over tasks that weigh the same; unlimited where the range of one is not known."""
    names = sorted(set(map(str, tasks)))
    if not names or not set(names) <= set(ranges):
        return REAL
    low, high = np.mean([ranges[name] for name in names], axis=0).tolist()
    return Scale(low, high)


def difference_scale(ranges: Ranges, tasks: Iterable[object], differences: int = 1) -> Scale:
    """Of a difference of two such means, or of so many such differences added up."""
    scale = return_scale(ranges, tasks)
    width = differences * (scale.high - scale.low)
    return Scale(-width, width)


def widest_scale(ranges: Ranges, tasks: Iterable[object]) -> Scale:
    """Of a mean in which tasks weigh as often as they occur: from the least to the most of any of them."""
    ends = [return_scale(ranges, [task]) for task in sorted(set(map(str, tasks)))]
    return Scale(min(each.low for each in ends), max(each.high for each in ends)) if ends else REAL
