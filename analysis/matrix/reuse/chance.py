"""Is a pool used more, or less, than a random selector would use it? Exact null distribution, pool by pool."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.findings import ALPHA, Finding, finding, interval_text, number, p_text
from analysis.matrix.reuse.coverage import coverage_runs, occupancy
from analysis.statistics.bootstrap import Array, Resampler
from analysis.statistics.estimates import Scale, pooled_intervals
from analysis.statistics.multiplicity import holm
from analysis.statistics.significance import Test
from analysis.tables.run import Tables
from analysis.tables.units import aggregate, relation


def random_selector_test(used: Array, selections: Array, units: Array, by: Resampler) -> Test:
    """Two-sided test that units are selected uniformly at random; arrays (evaluations,), statistic: the mean coverage.

    The null draws every evaluation's number of distinct units from `reuse.occupancy`; sums over pools of one size are
    exact (`_total`), sums over several sizes are drawn from those. Ties count half (mid-p), because coverage takes few
    values.
    """
    observed = float((used / units).sum())
    name = f"random-selector null, {len(used)} evaluations"
    sizes = np.unique(units).astype(int).tolist()
    if all(bool((selections[units == size] == 0).all()) for size in sizes):
        return Test(float("nan"), "no test: nothing was selected")
    totals = {size: _total(selections[units == size], size) for size in sizes}
    if max(float(chance.max()) for chance in totals.values()) >= 1 - 1e-12 and len(sizes) == 1:
        return Test(float("nan"), "no test: a random selector would use every unit")
    if len(sizes) == 1:
        sums, weights = np.arange(len(totals[sizes[0]])) / sizes[0], totals[sizes[0]]
        return Test(_mid_p(sums, weights, observed), f"{name}, exact")
    draws = np.zeros(by.resamples)
    for size, chance in totals.items():
        draws += np.searchsorted(np.cumsum(chance)[:-1], by.rng.random(by.resamples), side="right") / size
    p = _mid_p(draws, np.full(len(draws), 1 / len(draws)), observed)
    return Test(max(p, 1 / (by.resamples + 1)), f"{name}, {by.resamples} draws")


def _total(selections: Array, units: int) -> Array:
    """Distribution of the number of distinct units used in all evaluations together: a product of transforms."""
    length = len(selections) * units + 1
    product = np.ones(length // 2 + 1, complex)
    for count, times in zip(*np.unique(selections.astype(int), return_counts=True), strict=True):
        product *= np.fft.rfft(np.array(occupancy(int(count), units)), length) ** int(times)
    chance = np.maximum(np.fft.irfft(product, length), 0.0)
    return chance / chance.sum()


def _mid_p(values: Array, weights: Array, observed: float) -> float:
    close = 1e-9 * max(1.0, observed)
    ties = float(weights[np.abs(values - observed) <= close].sum()) / 2
    below, above = (float(weights[side].sum()) for side in (values < observed - close, values > observed + close))
    return min(1.0, 2 * (min(below, above) + ties))


def chance_findings(tables: Tables, by: Resampler) -> list[Finding]:
    """Coverage less that expected from a random selector: in-domain, cross-task, cross-agent, one family (Holm)."""
    runs = coverage_runs(tables)
    runs = runs[runs["arm"].astype("str").isin(["self", "transfer"])]
    runs = runs.assign(relation=relation(runs), excess=runs["coverage"] - runs["expected"])
    found: list[Finding] = []
    for name, part in runs.groupby("relation", sort=True):
        sample = aggregate(part, "excess")
        interval = pooled_intervals(sample.cells, by, Scale(-1.0, 1.0))[0]
        used, selections, units = (part[name].to_numpy(float) for name in ("used", "selections", "units"))
        test = random_selector_test(used, selections, units, by)
        subject = f"{name} coverage − that of a random selector"
        room = 1 - float(part["expected"].mean())
        found.append(
            finding(
                *("reuse", "coverage", subject, interval, test),
                key=str(name),
                episodes=sample.episodes,
                effect=(room, "excess ÷ what chance leaves unused"),
            )
        )
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
