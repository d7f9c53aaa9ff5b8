"""How often tests and verdicts err: without an effect, with few pools that work, at the margin of equivalence."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats

from analysis.findings import Finding, finding, judge
from analysis.matrix.reuse.chance import random_selector_test
from analysis.simulation.data import FEW, MARGINS, NULLS, RUINOUS, UNGUARDED, cell_of, covered, shifted, solved
from analysis.simulation.rows import Row, row
from analysis.statistics.bootstrap import Array, Resampler
from analysis.statistics.cell_means import CellValues
from analysis.statistics.estimates import pooled_intervals
from analysis.statistics.multiplicity import benjamini_hochberg
from analysis.statistics.significance import (
    Test,
    equivalence,
    friedman,
    mcnemar,
    mean_test,
    sign_flip,
    wilcoxon,
)
from analysis.statistics.unseen import Pools, Unseen, lone_run

ENUMERATED = 10
"""Clusters up to which permutation tests are shown for comparison: beyond, enumeration takes too long."""


def errors(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Every row at one number of clusters."""
    yield from _nulls(by, simulations, clusters)
    yield from _few(by, min(simulations, 2000), clusters)
    if clusters >= 3:
        yield from _families(by, min(simulations, 1000), clusters)
        yield from _counts(by, min(simulations, 1000), clusters)


def reported(treated: Array, reference: Array, by: Resampler, top: float, margin: float = np.nan) -> Finding:
    """What a report says of one learned arm against none: episodes (runs, episodes) of either, a family of one.

    The bottom of the task, and its top where it is not known, are what was seen of either arm.
    """
    cells, runs = cell_of((treated - reference)[None]), len(treated)
    interval = pooled_intervals(cells, by)[0]
    highest = top if np.isfinite(top) else float(max(treated.max(), reference.max()))
    lowest, other = float(min(treated.min(), reference.min())), float(reference.mean())
    unseen = Unseen(Pools(runs, highest - other, lowest - other))
    test = equivalence(cells, margin, unseen) if np.isfinite(margin) else Test(np.nan, "")
    found = finding(
        *("contrast", "return", "learned − none", interval, mean_test(cells)),
        key="learned-none",
        episodes=treated.size + reference.size,
        equivalence=(margin, test.p),
        withheld=unseen.reason(interval.low, interval.high) or lone_run(cells),
        assumes=unseen.assumes(interval.low, interval.high),
    )
    return judge(found, found.p, "1 contrast", "Holm", test.p)


def _decides(found: Finding) -> bool:
    return found.verdict in ("better", "worse")


def contradicts(found: Finding) -> bool:
    """Whether verdict or words say other than the interval beside them."""
    off = found.low > 0 or found.high < 0
    return (found.verdict in ("better", "worse") and not off) or (off and "compatible with no" in found.sentence)


def _nulls(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Two arms that are alike; and pools that help and harm so that only their mean effect is zero."""
    tests: dict[str, Callable[[Array], Test]] = {
        "sign flips": lambda values: sign_flip(values, by),
        "Wilcoxon on run means": lambda values: wilcoxon(values, by),
    }
    for world in NULLS:
        episodes = world.draw(by.rng, simulations, clusters)
        values = episodes.mean(axis=2)
        naive = np.asarray(stats.ttest_1samp(episodes.reshape(simulations, -1), 0, axis=1).pvalue)
        yield row("test", "t test, episodes as independent", world.name, clusters, naive <= 0.05)
        for name, test in tests.items() if clusters <= ENUMERATED else ():
            yield row("test", name, world.name, clusters, _rejects([test(each) for each in values[:500]]))
        plain = CellValues.single(values).pivot.p() <= 0.05
        yield row("test", "Student's t, not stretched", world.name, clusters, plain)
        yield row("test", "report", world.name, clusters, cell_of(episodes).pivot.p() <= 0.05, promised=True)


def _few(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Verdicts; the report is asked wherever the bare test would claim something, for it never claims more."""
    for arms in (*FEW, *UNGUARDED):
        treated, reference = arms.draw(by.rng, simulations, clusters)
        claims = CellValues.single((treated - reference).mean(axis=2)).pivot.p() <= 0.05
        yield row("test", "t test, no guard", arms.name, clusters, claims)
        pairs = zip(treated[claims], reference[claims], strict=True)
        found = [reported(*pair, by, arms.top) for pair in pairs]
        wrong = np.zeros(simulations)
        wrong[claims] = [_decides(each) for each in found]
        yield row("verdict", "report", arms.name, clusters, wrong, promised=arms in FEW)
    for arms, margin in MARGINS:
        treated, reference = arms.draw(by.rng, simulations, clusters)
        claims = CellValues.single((treated - reference).mean(axis=2)).pivot.p_outside(-margin, margin) <= 0.05
        yield row("test", "two one-sided t tests, no guard", arms.name, clusters, claims)
        pairs = zip(treated[claims], reference[claims], strict=True)
        found = [reported(*pair, by, arms.top, margin) for pair in pairs]
        wrong = np.zeros(simulations)
        wrong[claims] = [each.verdict == "equivalent" for each in found]
        yield row("verdict", "report: equivalent at the margin", arms.name, clusters, wrong, promised=True)


def ruined(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Verdicts where a few pools ruin: all, and those on no assumption. Of UNGUARDED `errors` has the first."""
    for arms in RUINOUS:
        treated, reference = arms.draw(by.rng, simulations, clusters)
        claims = CellValues.single((treated - reference).mean(axis=2)).pivot.p() <= 0.05
        pairs = zip(treated[claims], reference[claims], strict=True)
        found = [reported(*pair, by, arms.top) for pair in pairs]
        wrong, alone = np.zeros(simulations), np.zeros(simulations)
        wrong[claims] = [_decides(each) for each in found]
        alone[claims] = [_decides(each) and not each.assumes for each in found]
        if arms not in UNGUARDED:
            yield row("test", "t test, no guard", arms.name, clusters, claims)
            yield row("verdict", "report", arms.name, clusters, wrong)
        yield row("verdict", "report: on no assumption", arms.name, clusters, alone, promised=True)


def equivalents(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Eight differences at the margin that share a reference arm: how often is any called equivalent?"""
    values = 1 + by.rng.normal(size=(simulations, 8, clusters)) + by.rng.normal(size=(simulations, 1, clusters))
    least = (
        CellValues.single(values.reshape(-1, clusters)).pivot.p_outside(-1.0, 1.0).reshape(simulations, 8).min(axis=1)
    )
    world = "normal, shared reference, all at the margin"
    # Holm's first step is Bonferroni's
    yield row("verdict", "report: Holm, any of 8 equivalent", world, clusters, 8 * least <= 0.05, promised=True)
    yield row("verdict", "two one-sided t tests, any of 8 equivalent", world, clusters, least <= 0.05)


def contradictions(by: Resampler, simulations: int) -> Row:
    """Reports of arms of every kind and size whose verdict or words contradict the interval beside them: none."""
    worlds = [*FEW, *(arms for arms, _ in MARGINS), *(shifted(effect) for effect in (0.2, 0.5, 1.0))]
    odd: list[bool] = []
    for k in range(simulations):
        arms, clusters = worlds[k % len(worlds)], int(by.rng.integers(2, 13))
        treated, reference = arms.draw(by.rng, 1, clusters)
        found = reported(treated[0], reference[0], by, arms.top, 0.1)
        odd += [contradicts(found), contradicts(judge(found, min(1.0, 3 * found.p), "3 contrasts", "Holm"))]
    return row(
        "verdict", "report: contradicts its interval", "every arm, 2 to 12 runs", 10, np.array(odd), promised=True
    )


def _families(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Eight true nulls that share a reference arm: how often is any rejected?"""
    values = by.rng.normal(size=(simulations, 8, clusters)) + by.rng.normal(size=(simulations, 1, clusters))
    p = CellValues.single(values.reshape(-1, clusters)).pivot.p().reshape(simulations, 8)
    world = "normal, shared reference"
    # Holm's first step is Bonferroni's
    hits = 8 * p.min(axis=1) <= 0.05
    yield row("test", "report: Holm, any of 8 nulls", world, clusters, hits, promised=True)
    hits = np.array([benjamini_hochberg(each).min() <= 0.05 for each in p])
    yield row("test", "Benjamini–Hochberg, any of 8 nulls", world, clusters, hits)
    hits = _rejects([friedman(block) for block in by.rng.normal(size=(simulations, clusters, 4))])
    yield row("test", "Friedman, 4 methods", "normal, tasks as data", clusters, hits)


def _counts(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Binary outcomes and selections."""
    for world in (solved(0.3, 0.0), solved(0.3, 0.3)):
        first, second = (world.draw(by.rng, simulations, clusters).reshape(simulations, -1) for _ in range(2))
        only = zip((first > second).sum(axis=1).tolist(), (first < second).sum(axis=1).tolist(), strict=True)
        pairs = list(only)
        yield row("test", "exact McNemar", world.name, clusters, _rejects([mcnemar(a, b) for a, b in pairs]))
        yield row("test", "mid-p McNemar", world.name, clusters, _rejects([mcnemar(a, b, mid=True) for a, b in pairs]))
    for units, calls in ((10, 20), (10, 110)):
        used = covered(units, calls).draw(by.rng, simulations, clusters)[:, :, 0] * units
        fixed = np.full(clusters, float(units)), np.full(clusters, float(calls))
        hits = _rejects([random_selector_test(each, fixed[1], fixed[0], by) for each in used])
        world = f"{units} units, {calls} calls"
        yield row("test", "report: reuse against chance", world, clusters, hits, promised=True)


def _rejects(tests: list[Test]) -> Array:
    return np.array([test.p <= 0.05 for test in tests], float)
