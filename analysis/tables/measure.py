"""An outcome, and what is known of it before its differences are: spread, bounds by task, margin of equivalence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.statistics.estimates import Scale
from analysis.tables.run import CELL, Ranges
from analysis.tables.scales import difference_scale


@dataclass(frozen=True)
class Measure:
    """An outcome, and what is known of it before its contrasts are."""

    outcome: str
    spread: float
    bounds: Mapping[str, tuple[float, float]]
    """Lowest and highest possible value by task: known, or else as seen in any arm."""
    known: frozenset[str]
    """Tasks whose bounds are known."""
    margin: float
    differences: int = 1
    """Of how many differences added up its contrasts are."""

    @classmethod
    def of(cls, seeds: pd.DataFrame, outcome: str, margin: float, ranges: Ranges) -> Measure:
        seen = seeds.groupby(seeds["task"].astype("str"))[outcome].agg(["min", "max"])
        bounds = {str(task): (float(low), float(high)) for task, low, high in seen.itertuples(name=None)}
        known = dict.fromkeys(bounds, (0.0, 1.0)) if outcome == "solved" else dict(ranges)
        wanted = margin if outcome == "return" else math.nan
        return cls(outcome, reference_spread(seeds, outcome), bounds | known, frozenset(known), wanted)

    @property
    def effect(self) -> tuple[float, str]:
        """What differences are divided by to give an effect size, and its name."""
        return self.spread, "difference ÷ SD of episodes without memory"

    def scale(self, tasks: Iterable[object]) -> Scale:
        """The range of a difference, the mean over tasks; unlimited where one is not known."""
        return difference_scale({task: self.bounds[task] for task in self.known}, tasks, self.differences)


def reference_spread(seeds: pd.DataFrame, outcome: str) -> float:
    """SD of the outcome over environment seeds within a cell's learning run, without memory (of all arms if absent)."""
    base = seeds[seeds["arm"] == "none"]
    base = base if len(base) else seeds
    within = base.groupby([*CELL, "learning_run"], observed=True)[outcome].var()
    return float(np.sqrt(within.mean())) if within.notna().any() else math.nan
