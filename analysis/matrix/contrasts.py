"""Contrasts: one arm less another on common environment seeds, over the whole matrix and cell by cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.findings import Finding, finding, judge
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import Interval, pooled_intervals
from analysis.statistics.multiplicity import benjamini_hochberg, holm
from analysis.statistics.significance import Test, equivalence, mean_test
from analysis.statistics.unseen import Pools, Unseen, lone_run
from analysis.tables.measure import Measure
from analysis.tables.run import CELL, Ranges
from analysis.tables.units import Sample, aggregate, distinct, paired, pools_met

UNLEARNED = ("none", "seed", "given")
"""Arms whose pool is no draw from a learner: none of them can be good unseen."""
SAME_POOL = ("random", "shuffled")
"""References made of the treatment's own pool: a good pool not met would be in both arms."""
ARMS = {
    "none": "no memory",
    "seed": "seed pool",
    "self": "own pool",
    "transfer": "transferred pool",
    "random": "random selector",
    "shuffled": "shuffled skills",
    "rag": "retrieved episodes",
    "matched": "own pool within the budget",
    "given": "given pool",
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
    def learned(self) -> tuple[bool, bool]:
        """Whether the pools of treatment and reference are draws of a learner, of which good ones may be unmet."""
        apart = self.reference not in SAME_POOL
        return apart and self.treatment not in UNLEARNED, apart and self.reference not in UNLEARNED

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
        turned = {name: -runs[name] for name in ("difference", "difference_skewness")}
        return runs.assign(**turned, wins=1 - runs["wins"])


DECLARED = (
    Contrast("self", "none", "Does a pool help the agent that learned it?"),
    Contrast("transfer", "none", "Does a pool help where it was not learned?"),
    Contrast("transfer", "self", "Is a transferred pool as good as one's own?"),
    Contrast("self", "seed", "Is the learned pool better than the seed pool it started from?"),
    Contrast("self", "random", "Does choosing a skill beat drawing one at random?"),
    Contrast("self", "shuffled", "Does the content of a skill matter, or only that there is one?"),
)
"""The contrasts of the always-present arms: one declared family, adjusted together.

The random selector and the shuffled skills are played over own pools, so a transferred pool has no pair among them.
"""


def declare(arms: Iterable[str]) -> tuple[Contrast, ...]:
    """Of DECLARED those whose arms a study has, and for every other arm (a baseline, as rag is): does it help, and is
    the agent's own pool better?

    It looks at the names of arms alone, so the family is settled before any result is seen, and an arm whose episodes
    all failed stays in it.
    """
    arms = set(arms)
    known = {part for each in DECLARED for part in each.arms} | {"matched"}  # whose contrasts are those of memories
    others = {arm: ARMS.get(arm, arm) for arm in sorted(arms - known)}
    added = [
        (Contrast(arm, "none", f"Do {name} help?"), Contrast("self", arm, f"Is an own pool better than {name}?"))
        for arm, name in others.items()
    ]
    every = (*DECLARED, *(contrast for pair in added for contrast in pair))
    return tuple(contrast for contrast in every if set(contrast.arms) <= arms)


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
    outcomes: Sequence[str] = ("return",),
    margin: float = math.nan,
    ranges: Ranges | None = None,
) -> list[Finding]:
    """The declared contrasts averaged over all cells that hold both arms, in every outcome: one family (Holm).

    A contrast without any pair of episodes stays in the family. Outcomes that are equal in every episode count once.
    `margin` is that of the return; `ranges` are those of its tasks.
    """
    measures = [Measure.of(seeds, outcome, margin, ranges or {}) for outcome in outcomes]
    found = [
        difference(contrast, contrast.differences(seeds, measure.outcome), measure, by)
        for measure in measures
        for contrast in declared
    ]
    if not found:
        return []
    distinct = [name for k, name in enumerate(outcomes) if not any(seeds[name].equals(seeds[o]) for o in outcomes[:k])]
    counted = len(distinct) * len(declared)
    p, q = (holm(np.array([getattr(f, name) for f in found[:counted]])) for name in ("p", "p_equivalence"))
    family = f"{counted} declared contrasts in {' and '.join(distinct)}"
    return [judge(f, p[k % counted], family, "Holm", q[k % counted]) for k, f in enumerate(found)]


def cellwise(
    seeds: pd.DataFrame,
    by: Resampler,
    *,
    outcome: str = "return",
    margin: float = math.nan,
    ranges: Ranges | None = None,
) -> list[Finding]:
    """Gain and regret of every cell; each question is one exploratory family."""
    answers: list[Finding] = []
    measure = Measure.of(seeds, outcome, margin, ranges or {})
    for question in dict.fromkeys(contrast.question for contrast in CELLWISE):
        found: list[Finding] = []
        for contrast in [each for each in CELLWISE if each.question == question]:
            runs = contrast.differences(seeds, outcome)
            found += [difference(contrast, part, measure, by, cell) for cell, part in _cells(runs)]
        p, q = (benjamini_hochberg(np.array([getattr(f, name) for f in found])) for name in ("p", "p_equivalence"))
        family = f"{question} of {len(found)} cells"
        answers += [judge(f, p[k], family, "Benjamini–Hochberg", q[k]) for k, f in enumerate(found)]
    return answers


def unjudged(
    contrast: Contrast,
    seeds: pd.DataFrame,
    by: Resampler,
    *,
    outcome: str = "return",
    margin: float = math.nan,
    ranges: Ranges | None = None,
) -> list[Finding]:
    """One contrast over all its cells, then in each of them: findings whose family is another's to say."""
    measure = Measure.of(seeds, outcome, margin, ranges or {})
    runs = contrast.differences(seeds, outcome)
    each = [difference(contrast, part, measure, by, cell) for cell, part in _cells(runs)]
    return [difference(contrast, runs, measure, by), *each]


def _cells(runs: pd.DataFrame) -> list[tuple[dict[str, str], pd.DataFrame]]:
    if runs.empty:
        return []
    return [
        (dict(zip(CELL, map(str, key), strict=True)), part)
        for key, part in runs.groupby(CELL, observed=True, sort=True)
    ]


def difference(
    contrast: Contrast, runs: pd.DataFrame, measure: Measure, by: Resampler, cell: Mapping[str, str] | None = None
) -> Finding:
    """One contrast over the cells of `runs` (columns as of `paired`, the difference with the contrast's own sign), with
    the guards of its verdict, before its family is known. `cell`: what it is about, where that is no declared contrast;
    its kind is then what the contrast asks."""
    kind, question = ("contrast", contrast.question) if cell is None else (contrast.question, "")
    if runs.empty:
        none = Interval(math.nan, math.nan, math.nan, by.level, "no pair of episodes on common environment seeds", 0)
        return finding(
            *(kind, measure.outcome, contrast.name, none, Test(math.nan, "no test")),
            key=contrast.key,
            question=question,
        )
    sample, tasks = aggregate(runs, "difference"), runs["task"].astype("str")
    interval = pooled_intervals(sample.cells, by, measure.scale(tasks))[0]
    unseen = unseen_pools(contrast, runs, np.array([measure.bounds[task] for task in tasks]))
    ends = (interval.low, interval.high) if np.isfinite(interval.low) else (interval.estimate,) * 2
    return finding(
        *(kind, measure.outcome, contrast.name, interval, mean_test(sample.cells)),
        key=contrast.key,
        question=question,
        cell=dict(cell or {}),
        episodes=sample.episodes,
        effect=measure.effect,
        equivalence=_equivalence(sample, measure, unseen, set(tasks)),
        sign=contrast.sign,
        withheld=unseen.reason(*ends) or lone_run(sample.cells),
        assumes=unseen.assumes(*ends),
    )


def _equivalence(sample: Sample, measure: Measure, unseen: Unseen, tasks: set[str]) -> tuple[float, float]:
    """The margin, and p of a difference beyond it: 1 where pools not met could add nobody knows how much."""
    if not np.isfinite(measure.margin):
        return math.nan, math.nan
    if not tasks <= measure.known and unseen != Unseen():
        return measure.margin, 1.0
    reach = max(measure.bounds[task][1] - measure.bounds[task][0] for task in tasks)
    return measure.margin, equivalence(sample.cells, measure.margin, unseen, sample.cells.clusters, reach).p


def unseen_pools(contrast: Contrast, runs: pd.DataFrame, bounds: np.ndarray) -> Unseen:
    """What pools not met could add to (or take from) the contrast: from the other arm's mean to an end of the task.

    `bounds` are its bottom and top, one row for each of `runs`.
    """
    bottom, top = bounds.T
    up = down = Pools()
    treatment, reference = contrast.learned
    if treatment:
        clusters = distinct(runs, ["task", "block"])
        up = Pools(pools_met(runs) or clusters, *_ends(bottom, top, runs["reference"]))
    if reference:
        own = distinct(runs, ["agent", "task", "block"])
        down = Pools(own, *_ends(bottom, top, runs["treated"]))
    return Unseen(up, down) if contrast.sign > 0 else Unseen(down, up)


def _ends(bottom: np.ndarray, top: np.ndarray, other: pd.Series) -> tuple[float, float]:
    """Difference of a pool at the top of the task from the other arm, and of one at its bottom."""
    return float(np.mean(top - other)), float(np.mean(bottom - other))
