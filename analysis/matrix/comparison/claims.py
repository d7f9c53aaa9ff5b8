"""What an adaptive study is to decide, and where each of its claims stands after every look.

A claim is a contrast with the cells that serve it, so that a study may leave out what only serves settled ones. Its
datum is one paired difference: of a learned pool a learning run, of a given pool an environment seed. Verdicts come
from tests that may be looked at after every datum (`analysis.statistics.sequential`); the family is all claims that the
study declares, whatever becomes of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis.findings import Verdict
from analysis.matrix.arms.given import CLUSTER, CONTRASTS, by_environment_seed
from analysis.matrix.comparison.rule import Differences, Rule
from analysis.matrix.contrasts import ARMS, UNLEARNED, Contrast, declare, unseen_pools
from analysis.statistics.bootstrap import Array
from analysis.statistics.multiplicity import e_holm
from analysis.statistics.sequential.evidence import Evidence, evidence
from analysis.statistics.sequential.sequential_test import SequentialTest
from analysis.tables.measure import Measure
from analysis.tables.run import Ranges
from analysis.tables.units import seed_means

SKEWED = "the mean lies outside the confidence sequence, so the differences are not symmetric about it"
"""Why a verdict of the symmetric test is withheld: about the mean it would say nothing."""
State = Literal["open", "decided", "equivalent", "futile"]
"""Of a claim after a look; "futile": it will hardly be settled within the study's budget."""


@dataclass(frozen=True)
class Claim:
    """A contrast, and which cells serve it; agent and task are "" where all do."""

    contrast: Contrast
    pool: str = ""
    """Name of the given pool that it is about."""
    agent: str = ""
    task: str = ""

    @property
    def key(self) -> str:
        """As `self-none`, or `given-none:POOL/AGENT/TASK`."""
        return f"{self.contrast.key}:{self.pool}/{self.agent}/{self.task}" if self.pool else self.contrast.key

    @property
    def name(self) -> str:
        against = ARMS[self.contrast.reference]
        return f"{self.pool} − {against} ({self.agent} in {self.task})" if self.pool else self.contrast.name

    @property
    def cluster(self) -> str:
        """What it generalises over."""
        return CLUSTER if self.pool else "learning run"

    @property
    def learned(self) -> bool:
        """Whether anything has to be learned for it."""
        return not self.pool and not set(self.contrast.arms) <= set(UNLEARNED)

    def needs(self, arm: str, agent: str, task: str, pool: str = "") -> bool:
        """Whether a cell serves the claim; `pool` names the given pool of a cell that has one."""
        here = self.agent in ("", agent) and self.task in ("", task)
        return here and arm in self.contrast.arms and (pool == self.pool or (arm == "none" and not pool))


def declared_claims(
    arms: Iterable[str], pools: Mapping[str, Sequence[str]], places: Sequence[tuple[str, str]]
) -> tuple[Claim, ...]:
    """The family: the declared contrasts of the arms, and each given pool against none and against its controls, in
    every (agent, task)."""
    learned = (Claim(contrast) for contrast in declare(arms))
    given = (
        Claim(contrast, pool, agent, task)
        for pool, controls in pools.items()
        for agent, task in places
        for contrast in CONTRASTS
        if contrast.reference in ("none", *controls)
    )
    return (*learned, *given)


def differences(claim: Claim, episodes: Mapping[str, pd.DataFrame], ranges: Ranges) -> Differences:
    """The claim's data. `episodes`: checked tables of the study ("") and of each given pool, by name.

    A learning run counts where every cell that any run has is there: a mean over other cells would be another mean.
    """
    table = episodes.get(claim.pool)
    if table is None or table.empty:
        return Differences(np.zeros(0))
    seeds = seed_means(table)
    if claim.pool:
        seeds = seeds[(seeds["agent"].astype("str") == claim.agent) & (seeds["task"].astype("str") == claim.task)]
        seeds = by_environment_seed(_in_planned_order(seeds, table))
    runs = claim.contrast.differences(seeds, "return")
    if runs.empty:
        return Differences(np.zeros(0))
    tasks = runs["task"].astype("str")
    measure = Measure.of(seeds, "return", math.nan, ranges)
    scale = measure.scale(tasks)
    by_run = runs.groupby("block")
    complete = by_run.size() == by_run.size().max()
    means = runs.groupby(["block", tasks.rename("in")])["difference"].mean().groupby("block").mean()[complete]
    unseen = unseen_pools(claim.contrast, runs, np.array([measure.bounds[task] for task in tasks]))
    bounded = not (unseen.up.met or unseen.down.met) or set(tasks) <= measure.known
    return Differences(
        means.to_numpy(float), scale.low, scale.high, unseen, bounded, int(runs["once"].sum()), bool(claim.pool)
    )


@dataclass(frozen=True)
class Standing:
    """Where a claim stands."""

    claim: Claim
    data: Differences
    evidence: Evidence
    e_adjusted: float
    """The largest e-value (or 1 ÷ p) so far against no difference, adjusted for the family (Holm)."""
    e_equivalence: float
    """The same against a difference beyond the margin; NaN without one."""
    verdict: Verdict
    withheld: str = ""
    """Why there is no verdict though the test would give one."""

    @property
    def state(self) -> State:
        """As far as the data go; only a study knows what is futile."""
        if self.verdict == "undecided":
            return "open"
        return "equivalent" if self.verdict == "equivalent" else "decided"


def stand(claims: Sequence[Claim], data: Sequence[Differences], rule: Rule) -> list[Standing]:
    """Where every claim of the family stands, after all looks that its data allow."""
    tests = [rule.test_of(each, len(claims)) for each in data]
    known = [evidence(test, each.values, rule.level) for test, each in zip(tests, data, strict=True)]
    e = e_holm(np.array([each.e_peak for each in known])) if claims else np.zeros(0)
    peaks = [
        max(0.0, float(evidence_within(test, each, each.values, rule.margin).max(initial=0.0)))
        for test, each in zip(tests, data, strict=True)
    ]
    within = e_holm(np.exp(np.minimum(peaks, 700.0))) if claims else np.zeros(0)
    return [_standing(*each, rule) for each in zip(claims, data, known, map(float, e), map(float, within), strict=True)]


def evidence_within(test: SequentialTest, data: Differences, values: Array, margin: float) -> Array:
    """Evidence against a difference outside the margin less what pools not met could add, of values (..., n).

    Each end has a test, and a difference outside lies beyond one of them: the smaller counts. Zeros without a margin.
    """
    low, high = data.unseen.within(margin)
    if not (data.bounded and low < high):
        return np.zeros(values.shape)
    above, _ = test.one_sided(values, np.full(values.shape[:-1], low))
    _, below = test.one_sided(values, np.full(values.shape[:-1], high))
    return np.minimum(above, below)


def _standing(claim: Claim, data: Differences, known: Evidence, e: float, within: float, rule: Rule) -> Standing:
    enough = 1 / (1 - rule.level) - 1e-9
    more, less = known.lower > 0, known.upper < 0
    verdict: Verdict = "undecided"
    withheld = ""
    if within >= enough:
        verdict = "equivalent"
    elif e >= enough and (more or less):
        withheld = data.unseen.reason(known.lower, known.upper) or rule.lone(data)
        verdict = "undecided" if withheld else "better" if more == (claim.contrast.sign > 0) else "worse"
    if verdict != "undecided" and not known.lower - 1e-9 <= known.mean <= known.upper + 1e-9:
        verdict, withheld = "undecided", SKEWED
    return Standing(claim, data, known, e, within if np.isfinite(rule.margin) else math.nan, verdict, withheld)


def _in_planned_order(seeds: pd.DataFrame, episodes: pd.DataFrame) -> pd.DataFrame:
    """Environment seeds replaced by their places in the plan: run by run, episode by episode."""
    place = episodes.groupby("env_seed")[["learning_run", "episode"]].min()
    order = place.sort_values(["learning_run", "episode"], kind="stable").reset_index()["env_seed"]
    return seeds.assign(env_seed=seeds["env_seed"].map({seed: number for number, seed in enumerate(order)}))


@dataclass(frozen=True)
class Adaptive:
    """What an adaptive study declares."""

    rule: Rule
    claims: tuple[Claim, ...]

    def standings(self, episodes: Mapping[str, pd.DataFrame], ranges: Ranges) -> list[Standing]:
        """Where every claim stands, by tables of the study ("") and of each given pool."""
        return stand(self.claims, [differences(claim, episodes, ranges) for claim in self.claims], self.rule)
