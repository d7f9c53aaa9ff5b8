"""Contrasts: one arm less another on common environment seeds, over the whole matrix and cell by cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.findings import Finding, finding, judge
from analysis.statistics.bootstrap import Array, Layout, Resampler
from analysis.statistics.estimates import REAL, SHARE_DIFFERENCE, mean_intervals, stratified_intervals
from analysis.statistics.multiplicity import benjamini_hochberg, holm, max_t
from analysis.statistics.significance import SIGN_FLIP_FROM, equivalence, mean_test
from analysis.tables.run import CELL
from analysis.tables.units import Sample, aggregate, paired, wide

SCALES = {"solved": SHARE_DIFFERENCE}
ARMS = {
    "none": "no memory",
    "seed": "seed pool",
    "self": "own pool",
    "transfer": "transferred pool",
    "random": "random selector",
    "shuffled": "shuffled skills",
    "rag": "retrieved episodes",
}


@dataclass(frozen=True)
class Contrast:
    """Treatment − reference, and the question it answers."""

    treatment: str
    reference: str
    question: str
    sign: int = 1
    """−1 turns the difference round: a regret is reference − treatment, and less is better."""

    @property
    def arms(self) -> tuple[str, str]:
        return self.treatment, self.reference

    @property
    def key(self) -> str:
        """As `transfer-none`."""
        return "-".join((self.treatment, self.reference)[:: self.sign])

    @property
    def name(self) -> str:
        """As `transferred pool − no memory`."""
        return " − ".join(ARMS.get(arm, arm) for arm in (self.treatment, self.reference)[:: self.sign])

    def differences(self, seeds: pd.DataFrame, outcome: str) -> pd.DataFrame:
        """`runs.paired` with the contrast's own sign."""
        runs = paired(seeds, self.treatment, self.reference, outcome)
        if self.sign > 0:
            return runs
        return runs.assign(difference=-runs["difference"], wins=1 - runs["wins"])


DECLARED = (
    Contrast("self", "none", "Does a pool help the agent that learned it?"),
    Contrast("transfer", "none", "Does a pool help where it was not learned?"),
    Contrast("transfer", "self", "Is a transferred pool as good as one's own?"),
    Contrast("self", "seed", "Is the learned pool better than the seed pool it started from?"),
    Contrast("self", "random", "Does choosing a skill beat drawing one at random?"),
    Contrast("transfer", "random", "Does choosing a transferred skill beat drawing one at random?"),
    Contrast("self", "shuffled", "Does the content of a skill matter, or only that there is one?"),
    Contrast("transfer", "shuffled", "Does the content of a transferred skill matter, or only that there is one?"),
)
"""The contrasts of the always-present arms: one declared family, adjusted together. Absent arms are left out."""


def declare(arms: Iterable[str]) -> tuple[Contrast, ...]:
    """DECLARED, and for every other arm (a baseline, as rag is): does it help, and is the agent's own pool better?

    It looks at the names of arms alone, so the family is settled before any result is seen.
    """
    told = {arm: ARMS.get(arm, arm) for arm in sorted(set(arms) - {part for each in DECLARED for part in each.arms})}
    added = [
        (Contrast(arm, "none", f"Do {name} help?"), Contrast("self", arm, f"Is an own pool better than {name}?"))
        for arm, name in told.items()
    ]
    return (*DECLARED, *(contrast for pair in added for contrast in pair))


CELLWISE = (
    Contrast("self", "none", "gain"),
    Contrast("transfer", "none", "gain"),
    Contrast("transfer", "self", "regret", -1),
)
"""Explored cell by cell; each question is a family of its own, adjusted by Benjamini–Hochberg."""


def overall(
    seeds: pd.DataFrame,
    declared: Sequence[Contrast],
    by: Resampler,
    *,
    outcome: str = "return",
    margin: float = math.nan,
) -> list[Finding]:
    """The declared contrasts averaged over all cells that hold both arms, one family."""
    pairs = [(contrast, contrast.differences(seeds, outcome)) for contrast in declared]
    samples = [(contrast, aggregate(runs, "difference")) for contrast, runs in pairs if len(runs)]
    if not samples:
        return []
    found: list[Finding] = []
    spread, scale = reference_spread(seeds, outcome), SCALES.get(outcome, REAL)
    for contrast, sample in samples:
        interval = stratified_intervals(sample.values, sample.layout, by, scale)[0]
        found.append(
            finding(
                "contrast",
                outcome,
                contrast.name,
                interval,
                mean_test(sample.values[0], sample.layout, by),
                key=contrast.key,
                question=contrast.question,
                episodes=sample.episodes,
                effect=_effect(interval.estimate, spread),
                equivalence=_equivalence(sample.values[0], sample.layout, margin),
                sign=contrast.sign,
            )
        )
    p, adjustment = adjust_together([sample for _, sample in samples], np.array([each.p for each in found]), by)
    family = f"{len(found)} declared contrasts in {outcome}"
    return [judge(each, q, family, adjustment) for each, q in zip(found, p.tolist(), strict=True)]


def adjust_together(samples: Sequence[Sample], p: Array, by: Resampler) -> tuple[Array, str]:
    """Max-T where every contrast rests on the same clusters, enough of them for sign flips; else Holm.

    With unequal clusters the contrasts with few would decide the adjusted p of those with many.
    """
    if len({sample.names for sample in samples}) > 1 or len(samples[0].names) < SIGN_FLIP_FROM:
        return holm(p), "Holm"
    return max_t(np.array([sample.values[0] * sample.layout.weights for sample in samples]), by), "max-T permutation"


def cellwise(seeds: pd.DataFrame, by: Resampler, *, outcome: str = "return", margin: float = math.nan) -> list[Finding]:
    """Gain and regret of every cell; each question is one exploratory family."""
    answers: list[Finding] = []
    for question in dict.fromkeys(contrast.question for contrast in CELLWISE):
        of_kind = [contrast for contrast in CELLWISE if contrast.question == question]
        found = [each for c in of_kind for each in _cells(seeds, c, by, outcome=outcome, margin=margin)]
        p = benjamini_hochberg(np.array([each.p for each in found], float)).tolist()
        family = f"{question} of {len(found)} cells"
        answers += [judge(each, q, family, "Benjamini–Hochberg") for each, q in zip(found, p, strict=True)]
    return answers


def reference_spread(seeds: pd.DataFrame, outcome: str) -> float:
    """SD of the outcome over environment seeds within a cell's learning run, without memory (of all arms if absent)."""
    base = seeds[seeds["arm"] == "none"]
    base = base if len(base) else seeds
    within = base.groupby([*CELL, "learning_run"], observed=True)[outcome].var()
    return float(np.sqrt(within.mean())) if within.notna().any() else math.nan


def _cells(seeds: pd.DataFrame, contrast: Contrast, by: Resampler, *, outcome: str, margin: float) -> list[Finding]:
    runs = contrast.differences(seeds, outcome)
    if runs.empty:
        return []
    table = wide(runs, "difference")
    episodes = runs.groupby(CELL, observed=True)["n"].sum()
    values, spread = table.to_numpy(float), reference_spread(seeds, outcome)
    intervals = mean_intervals(values, by, SCALES.get(outcome, REAL))
    found: list[Finding] = []
    for key, row, interval in zip(table.index.tolist(), values, intervals, strict=True):
        known = row[~np.isnan(row)]
        layout = Layout.single(len(known))
        found.append(
            finding(
                contrast.question,
                outcome,
                contrast.name,
                interval,
                mean_test(known, layout, by),
                key=contrast.key,
                cell=dict(zip(CELL, map(str, key), strict=True)),
                episodes=int(episodes[key]),
                effect=_effect(interval.estimate, spread),
                equivalence=_equivalence(known, layout, margin),
                sign=contrast.sign,
            )
        )
    return found


def _effect(estimate: float, spread: float) -> tuple[float, str]:
    return (estimate / spread, "difference ÷ SD of episodes without memory") if spread > 0 else (math.nan, "")


def _equivalence(values: Array, layout: Layout, margin: float) -> tuple[float, float]:
    if not np.isfinite(margin) or min(layout.sizes) < 2:
        return math.nan, math.nan
    return margin, equivalence(values, layout, margin).p
