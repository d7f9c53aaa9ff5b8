"""Is a pool used more, or less, than a random selector would use it? Exact null distribution, pool by pool."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from analysis.findings import ALPHA, Finding, finding, interval_text, number, p_text
from analysis.matrix.cells import relation
from analysis.matrix.reuse import coverage_runs, occupancy
from analysis.statistics.bootstrap import Array, Resampler
from analysis.statistics.estimates import Scale, stratified_intervals
from analysis.statistics.multiplicity import holm
from analysis.statistics.significance import Test
from analysis.tables.run import Tables
from analysis.tables.units import aggregate

ENOUGH_FOR_NORMAL = 500
"""Evaluations from which the null of their mean is taken as normal, with exact mean and variance."""


def random_selector_test(used: Array, selections: Array, units: Array, by: Resampler) -> Test:
    """Two-sided test that units are selected uniformly at random; arrays (evaluations,), statistic: the mean coverage.

    The null draws every evaluation's number of distinct units from `reuse.occupancy`. Ties count half (mid-p), because
    coverage takes few values.
    """
    chances = [np.array(occupancy(int(n), int(m))) for n, m in zip(selections, units, strict=True)]
    observed = float((used / units).mean())
    name = f"random-selector null, {len(chances)} evaluations"
    if len(chances) >= ENOUGH_FOR_NORMAL:
        shares = [np.arange(len(p)) / (len(p) - 1) for p in chances]
        means = np.array([p @ share for p, share in zip(chances, shares, strict=True)])
        variance = sum(float(p @ share**2) for p, share in zip(chances, shares, strict=True)) - float((means**2).sum())
        if variance <= 0:
            return Test(float("nan"), "no test: a random selector would use every unit")
        z = (observed - means.mean()) * len(chances) / np.sqrt(variance)
        return Test(float(2 * stats.norm.sf(abs(z))), f"{name}, normal")
    draws = np.zeros(by.resamples)
    for p, m in zip(chances, units, strict=True):
        draws += np.searchsorted(np.cumsum(p)[:-1], by.rng.random(by.resamples), side="right") / m
    draws /= len(chances)
    ties = float((np.abs(draws - observed) <= 1e-12).sum()) / 2
    tail = min(float((draws < observed - 1e-12).sum()), float((draws > observed + 1e-12).sum())) + ties
    return Test(min(1.0, 2 * (tail + 0.5) / (by.resamples + 1)), name)


def chance_findings(tables: Tables, by: Resampler) -> list[Finding]:
    """Coverage less that expected from a random selector: in-domain, cross-task, cross-agent, one family (Holm)."""
    runs = coverage_runs(tables)
    runs = runs[runs["arm"].astype("str").isin(["self", "transfer"])]
    runs = runs.assign(relation=relation(runs), excess=runs["coverage"] - runs["expected"])
    found: list[Finding] = []
    for name, part in runs.groupby("relation", sort=True):
        sample = aggregate(part, "excess")
        interval = stratified_intervals(sample.values, sample.layout, by, Scale(-1.0, 1.0, fine=False))[0]
        used, selections, units = (part[name].to_numpy(float) for name in ("used", "selections", "units"))
        test = random_selector_test(used, selections, units, by)
        subject = f"{name} coverage − that of a random selector"
        found.append(finding("reuse", "coverage", subject, interval, test, key=str(name), episodes=sample.episodes))
    family = f"reuse against chance, {len(found)} relations"
    p = holm(np.array([each.p for each in found], float)).tolist()
    relations = runs.groupby("relation", sort=True)[["coverage", "expected"]].mean()
    return [_judged(each, q, family, row) for each, q, (_, row) in zip(found, p, relations.iterrows(), strict=True)]


def _judged(found: Finding, p: float, family: str, means: pd.Series) -> Finding:
    """Better: more of the pool is used than by chance; worse: less (calls concentrate on few skills)."""
    known = np.isfinite(p) and p <= ALPHA and found.estimate != 0
    verdict = "undecided" if not known else ("better" if found.estimate > 0 else "worse")
    words = {"better": "Above chance", "worse": "Below chance", "undecided": "Not told from chance"}[verdict]
    sentence = (
        f"{words}: {found.subject}, {number(means['coverage'])} against {number(means['expected'])} "
        f"({interval_text(found.low, found.high, found.level)} of the difference; {p_text(found.p)}, adjusted "
        f"{p_text(p)} (Holm, {family}); {found.n_episodes} episodes, {found.n_clusters} learning runs)."
    )
    return replace(found, p_adjusted=p, family=family, adjustment="Holm", verdict=verdict, sentence=sentence)
