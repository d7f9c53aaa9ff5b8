"""Proof that the error bars are right: coverage of every interval, error rate of every test, on data of known truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import stats

from analysis.matrix.chance import random_selector_test
from analysis.simulation.data import COVERAGES, EPISODES, MEANS, NULLS, SHARES, STRESS, covered, normal, skewed, solved
from analysis.statistics.bootstrap import (
    Array,
    Bounds,
    Layout,
    Resampler,
    bca,
    hierarchical,
    percentile,
    student,
    studentised,
)
from analysis.statistics.estimates import (
    COVERAGE,
    REAL,
    SHARE,
    Interval,
    effective_wilson,
    fieller,
    interquartile_mean,
    mean_intervals,
    stratified_intervals,
    trimmed_mean,
    wilson,
)
from analysis.statistics.multiplicity import benjamini_hochberg, holm, max_t
from analysis.statistics.significance import (
    SIGN_FLIP_FROM,
    Test,
    barnard,
    equivalence,
    friedman,
    mcnemar,
    mean_test,
    sign_flip,
    t_test,
    wilcoxon,
)

CLUSTERS = (5, 10, 30)
BOUNDS = {"interval": (0.93, 0.97), "test": (0.04, 0.06)}
"""What coverage at 95 % and rejection at .05 must keep to where the report uses a method."""


@dataclass(frozen=True)
class Row:
    """One method in one world: the share of simulations in which it covered (interval) or rejected (test)."""

    kind: str
    method: str
    world: str
    clusters: int
    nominal: float
    rate: float
    low: float
    """Monte-Carlo interval of the rate (Wilson, 95 %)."""
    high: float
    simulations: int
    promised: bool
    """Whether the report uses this method here and promises to keep to the bounds."""

    @property
    def meets(self) -> bool:
        """Whether the rate keeps to the bounds, as far as the simulations can tell."""
        low, high = BOUNDS[self.kind]
        return self.low <= high and self.high >= low

    def plain(self) -> dict[str, str | int | float | bool]:
        """As a JSON object, with `meets`."""
        return {**vars(self), "meets": self.meets}


def calibrate(
    rng: Generator, *, simulations: int = 4000, resamples: int = 1999, clusters: tuple[int, ...] = CLUSTERS
) -> list[Row]:
    """All rows. `simulations` of 4,000 tell a rate of 95 % to ±.7 %; 500 (the quick form) to ±1.9 %."""
    by = Resampler(rng, resamples)
    rows = [row for count in clusters for row in _intervals(by, simulations, count)]
    rows += [row for count in clusters for row in _other_intervals(by, simulations, count)]
    return rows + [row for count in clusters for row in _tests(by, simulations, count)]


def markdown(rows: list[Row]) -> str:
    """Two tables (intervals, tests): a line per method and world, a column per number of clusters."""
    parts: list[str] = []
    for kind, title in (
        ("interval", "Coverage of nominal 95 % intervals"),
        ("test", "Rejections at nominal .05 without any effect"),
    ):
        of_kind = [row for row in rows if row.kind == kind]
        counts = sorted({row.clusters for row in of_kind})
        cells = {(row.method, row.world, row.clusters): row for row in of_kind}
        parts += [f"## {title}", "", f"| method | world | {' | '.join(f'{n} clusters' for n in counts)} |"]
        parts.append("|--|--|" + "--|" * len(counts))
        for method, world in dict.fromkeys((row.method, row.world) for row in of_kind):
            found = [cells.get((method, world, count)) for count in counts]
            parts.append(f"| {method} | {world} | {' | '.join(_text(row) for row in found)} |")
        parts.append("")
    return "\n".join(parts)


def _text(row: Row | None) -> str:
    if row is None:
        return ""
    rate = f"{row.rate:.1%} ({row.low:.1%}–{row.high:.1%})"
    return f"**{rate}**{'' if row.meets else ' ✗'}" if row.promised else rate


def _row(kind: str, method: str, world: str, clusters: int, hits: NDArray[Any], *, promised: bool = False) -> Row:
    rate, n = float(np.mean(hits)), len(hits)
    low, high = wilson(np.array(rate), np.array(float(n)), 1.96)
    nominal = 0.95 if kind == "interval" else 0.05
    return Row(kind, method, world, clusters, nominal, rate, float(low), float(high), n, promised)


def _intervals(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Means and shares: every method in every world, and what the report does."""
    layout = Layout.single(clusters)
    draws = layout.resample(by)
    methods: dict[str, Callable[[Array], Bounds]] = {
        "percentile bootstrap": lambda values: percentile(values, layout, by.level, draws),
        "BCa bootstrap": lambda values: bca(values, layout, by.level, draws),
        "studentised bootstrap": lambda values: studentised(values, layout, by.level, draws),
        "t on run means": lambda values: student(values, layout, by.level),
    }
    shares: dict[str, Callable[[Array], Bounds]] = {
        "Wilson, effective number": lambda values: effective_wilson(values, layout, by.level),
        "Wilson, episodes as independent": lambda values: wilson(
            values.mean(axis=1), np.array(float(clusters * EPISODES)), 1.96
        ),
    }
    for world in (*MEANS, *SHARES, *COVERAGES, *STRESS):
        values = world.draw(by.rng, simulations, clusters).mean(axis=2)
        scale = REAL if world.truth == 0 else COVERAGE if world in COVERAGES or world.name.startswith("cov") else SHARE
        for name, method in (methods | (shares if scale.share else {})).items():
            yield _row("interval", name, world.name, clusters, _covers(method(values), world.truth))
        found = _bounds(mean_intervals(values, by, scale))
        yield _row(
            "interval", "report", world.name, clusters, _covers(found, world.truth), promised=world not in STRESS
        )
    world = normal(0.3)
    few = world.draw(by.rng, min(simulations, 500), clusters)
    ends = np.array([hierarchical(list(part), Resampler(by.rng, 499)) for part in few]).T
    yield _row("interval", "hierarchical bootstrap", world.name, clusters, _covers((ends[0], ends[1]), 0.0))


def _other_intervals(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Stratified means, interquartile mean and ratio, as the report computes them."""
    layout = Layout(np.repeat(np.arange(2), clusters))
    tasks = [world.draw(by.rng, simulations, clusters).mean(axis=2) for world in (normal(0.3), skewed(0.1))]
    found = _bounds(stratified_intervals(np.hstack(tasks), layout, by))
    yield _row(
        "interval", "report: mean over 2 tasks", "a normal, a skewed task", clusters, _covers(found, 0.0), promised=True
    )
    some, few = min(simulations, 1000), Resampler(by.rng, 499)
    layout, levels = Layout(np.repeat(np.arange(3), clusters)), np.linspace(0.2, 0.7, 3)
    scores = levels.repeat(clusters) + by.rng.normal(0, 0.1, (some, 3 * clusters))
    truth = trimmed_mean(levels.repeat(200_000) + by.rng.normal(0, 0.1, 600_000))
    found = _bounds([interquartile_mean(row[:, None], layout, few) for row in scores])
    yield _row(
        "interval", "report: interquartile mean", "3 normal tasks", clusters, _covers(found, truth), promised=True
    )
    own = 0.5 + by.rng.normal(0, 0.15, (some, clusters))
    gain = 0.3 + 0.5 * (own - 0.5) + by.rng.normal(0, 0.1, (some, clusters))
    ratios = [fieller(top, bottom) for top, bottom in zip(gain, own, strict=True)]
    found = _bounds([each for each in ratios if np.isfinite(each.low)])
    yield _row(
        "interval", "report: transfer ratio (Fieller)", "gain .3 of .5", clusters, _covers(found, 0.6), promised=True
    )


def _tests(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Two arms that are alike; and, as a stress, pools that help and harm so that only their mean effect is zero."""
    layout, some = Layout.single(clusters), min(simulations, 1000)
    tests: dict[str, Callable[[Array], Test]] = {
        "sign flips": lambda row: sign_flip(row, layout, by),
        "t on run means": lambda row: t_test(row, layout),
        "Wilcoxon on run means": wilcoxon,
    }
    for world in (*NULLS, skewed(0.1), skewed(0.3)):
        episodes = world.draw(by.rng, simulations, clusters)
        values = episodes.mean(axis=2)
        naive = np.asarray(stats.ttest_1samp(episodes.reshape(simulations, -1), 0, axis=1).pvalue)
        yield _row("test", "t test, episodes as independent", world.name, clusters, naive <= 0.05)
        for name, test in tests.items():
            yield _row("test", name, world.name, clusters, _rejects([test(row) for row in values[:some]]))
        hits = _rejects([mean_test(row, layout, by) for row in values])
        yield _row("test", "report", world.name, clusters, hits, promised=world in NULLS)
    at_margin = 0.2 + by.rng.normal(0, 0.1, (simulations, clusters))
    hits = _rejects([equivalence(row, layout, 0.2) for row in at_margin])
    yield _row("test", "report: equivalence", "normal, difference at the margin", clusters, hits, promised=True)
    yield from _families(by, some, clusters)
    yield from _counts(by, some, clusters)


def _families(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Eight true nulls that share a reference arm: how often is any rejected?"""
    layout, few = Layout.single(clusters), Resampler(by.rng, 999)
    values = by.rng.normal(size=(simulations, 8, clusters)) + by.rng.normal(size=(simulations, 1, clusters))
    p = np.array([[mean_test(row, layout, by).p for row in family] for family in values])
    smallest = {
        "max-T": np.array([max_t(family / clusters, few).min() for family in values]),
        "Holm": np.array([holm(row).min() for row in p]),
        "Benjamini–Hochberg": np.array([benjamini_hochberg(row).min() for row in p]),
    }
    for name, found in smallest.items():
        promised = name == "max-T" and clusters >= SIGN_FLIP_FROM
        yield _row(
            "test", f"{name}, any of 8 nulls", "normal, shared reference", clusters, found <= 0.05, promised=promised
        )
    hits = _rejects([friedman(block) for block in by.rng.normal(size=(simulations, clusters, 4))])
    yield _row("test", "Friedman, 4 methods", "normal, tasks as data", clusters, hits)


def _counts(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Binary outcomes and selections."""
    for world in (solved(0.3, 0.0), solved(0.3, 0.3)):
        arms = [world.draw(by.rng, simulations, clusters).reshape(simulations, -1) for _ in range(2)]
        pairs = list(
            zip((arms[0] > arms[1]).sum(axis=1).tolist(), (arms[0] < arms[1]).sum(axis=1).tolist(), strict=True)
        )
        yield _row("test", "exact McNemar", world.name, clusters, _rejects([mcnemar(a, b) for a, b in pairs]))
        yield _row("test", "mid-p McNemar", world.name, clusters, _rejects([mcnemar(a, b, mid=True) for a, b in pairs]))
    counts = by.rng.binomial(clusters, 0.3, (min(simulations, 300), 2)).tolist()
    hits = _rejects([barnard(a, clusters, b, clusters) for a, b in counts])
    yield _row("test", "Barnard, one episode a run", "solved 0.3", clusters, hits)
    pools, few = covered(10, 20).draw(by.rng, simulations, clusters)[:, :, 0] * 10, Resampler(by.rng, 999)
    units, selections = np.full(clusters, 10.0), np.full(clusters, 20.0)
    hits = _rejects([random_selector_test(used, selections, units, few) for used in pools])
    yield _row("test", "report: reuse against chance", "10 units, 20 calls", clusters, hits, promised=True)


def _bounds(found: list[Interval]) -> Bounds:
    return np.array([each.low for each in found]), np.array([each.high for each in found])


def _covers(bounds: Bounds, truth: float) -> Array:
    return ((bounds[0] <= truth + 1e-12) & (truth - 1e-12 <= bounds[1])).astype(float)


def _rejects(tests: list[Test]) -> Array:
    return np.array([test.p <= 0.05 for test in tests], float)
