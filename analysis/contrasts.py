"""Contrasts: one arm less another on common environment seeds, over the whole matrix and cell by cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.random import Generator

from .estimates import Array, Layout, mean_intervals
from .findings import Finding, finding, judge
from .multiplicity import benjamini_hochberg, holm
from .runs import CELL, aggregate, paired, wide
from .significance import Test, equivalence, mean_test


@dataclass(frozen=True)
class Contrast:
    """Treatment − reference, and the question it answers."""

    treatment: str
    reference: str
    question: str
    sign: int = 1
    """−1 turns the difference round: a regret is reference − treatment, and less is better."""

    @property
    def name(self) -> str:
        """As `transfer − none`."""
        ends = (self.treatment, self.reference)[:: self.sign]
        return f"{ends[0]} − {ends[1]}"

    def differences(self, seeds: pd.DataFrame, outcome: str) -> pd.DataFrame:
        """`paired` with the contrast's own sign."""
        runs = paired(seeds, self.treatment, self.reference, outcome)
        return runs.assign(difference=self.sign * runs["difference"])


DECLARED = (
    Contrast("self", "none", "Does a pool help the agent that learned it?"),
    Contrast("transfer", "none", "Does a pool help where it was not learned?"),
    Contrast("transfer", "self", "Is a transferred pool as good as one's own?"),
    Contrast("self", "seed", "Is the learned pool better than the seed pool it started from?"),
    Contrast("self", "random", "Does choosing a skill beat drawing one at random?"),
    Contrast("transfer", "random", "Does choosing a transferred skill beat drawing one at random?"),
    Contrast("self", "shuffled", "Does the content of the skill matter, or only that there is one?"),
    Contrast("transfer", "shuffled", "Does the content of a transferred skill matter, or only that there is one?"),
)
"""The contrasts of the always-present arms: one declared family, adjusted together. Absent arms are left out."""
CELLWISE = (
    Contrast("self", "none", "gain"),
    Contrast("transfer", "none", "gain"),
    Contrast("transfer", "self", "regret", -1),
)
"""Explored cell by cell; each kind is a family of its own, adjusted by Benjamini–Hochberg."""
LIMITS = {"solved": (-1.0, 1.0)}
"""Range of a difference, where the quantity has one."""


def overall(
    seeds: pd.DataFrame,
    declared: Sequence[Contrast],
    rng: Generator,
    *,
    outcome: str = "return",
    margin: float = math.nan,
    resamples: int = 10_000,
) -> list[Finding]:
    """The declared contrasts averaged over all cells that hold both arms, adjusted together by Holm's method."""
    found: list[Finding] = []
    spread = reference_spread(seeds, outcome)
    for contrast in declared:
        runs = contrast.differences(seeds, outcome)
        if runs.empty:
            continue
        sample = aggregate(runs)
        values = sample.values[None, :]
        limits = LIMITS.get(outcome, (-np.inf, np.inf))
        interval = mean_intervals(values, rng, resamples=resamples, layout=sample.layout, limits=limits)[0]
        test = mean_test(sample.values, sample.layout, rng)
        same = _equivalence(sample.values, sample.layout, margin)
        effect = (interval.estimate / spread, "difference ÷ SD of episodes") if spread > 0 else (math.nan, "")
        found.append(
            finding(
                "contrast",
                outcome,
                contrast.name,
                interval,
                test,
                episodes=sample.episodes,
                effect=effect,
                equivalence=same,
            )
        )
    return adjusted(found, holm, f"declared contrasts in {outcome}", "Holm")


def cellwise(
    seeds: pd.DataFrame,
    contrast: Contrast,
    rng: Generator,
    *,
    outcome: str = "return",
    margin: float = math.nan,
    resamples: int = 10_000,
) -> list[Finding]:
    """One finding per treated cell (rows of `paired`)."""
    runs = contrast.differences(seeds, outcome)
    if runs.empty:
        return []
    table = wide(runs, "difference")
    counts = runs.groupby(CELL, observed=True)["n"].sum()
    values = table.to_numpy(float)
    limits = LIMITS.get(outcome, (-np.inf, np.inf))
    intervals = mean_intervals(values, rng, resamples=resamples, limits=limits)
    spread = reference_spread(seeds, outcome)
    found: list[Finding] = []
    for key, row, interval in zip(table.index, values, intervals, strict=True):
        known = row[~np.isnan(row)]
        layout = Layout.single(len(known))
        found.append(
            finding(
                contrast.question,
                outcome,
                contrast.name,
                interval,
                mean_test(known, layout, rng),
                cell=dict(zip(CELL, (str(part) for part in key), strict=True)),
                episodes=int(counts[key]),
                effect=(interval.estimate / spread, "difference ÷ SD of episodes") if spread > 0 else (math.nan, ""),
                equivalence=_equivalence(known, layout, margin),
                sign=contrast.sign,
            )
        )
    return found


def adjusted(found: list[Finding], rule: Callable[[Array], Array], family: str, name: str) -> list[Finding]:
    """Judge findings as one family."""
    p = rule(np.array([each.p for each in found], float))
    return [judge(each, float(q), family, name) for each, q in zip(found, p, strict=True)]


def explore(seeds: pd.DataFrame, rng: Generator, **options: float) -> list[Finding]:
    """Gain and regret of every cell; each kind of question is one exploratory family."""
    answers: list[Finding] = []
    for kind in dict.fromkeys(contrast.question for contrast in CELLWISE):
        found = [each for c in CELLWISE if c.question == kind for each in cellwise(seeds, c, rng, **options)]  # type: ignore[arg-type]
        answers += adjusted(found, benjamini_hochberg, f"{kind} of each cell", "Benjamini–Hochberg")
    return answers


def reference_spread(seeds: pd.DataFrame, outcome: str) -> float:
    """SD of the outcome over environment seeds within cells of the arm without memory (of all arms if there is none)."""
    base = seeds[seeds["arm"] == "none"]
    base = base if len(base) else seeds
    within = base.groupby([*CELL, "learning_run"], observed=True)[outcome].var()
    return float(np.sqrt(within.mean())) if within.notna().any() else math.nan


def _equivalence(values: Array, layout: Layout, margin: float) -> tuple[float, float]:
    if not np.isfinite(margin) or layout.smallest < 2:
        return math.nan, math.nan
    test: Test = equivalence(values, layout, margin)
    return margin, test.p
