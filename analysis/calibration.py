"""Proof that the error bars are right: coverage of every interval, error rate of every test, on data of known truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.random import Generator
from scipy import stats

from .bootstrap import Array, Layout, Resampler, bca, hierarchical, percentile, student, studentised
from .chance import random_selector_test
from .estimates import (
    COVERAGE,
    REAL,
    SHARE,
    effective_wilson,
    fieller,
    interquartile_mean,
    mean_intervals,
    stratified_intervals,
    wilson,
)
from .multiplicity import benjamini_hochberg, holm, max_t
from .significance import barnard, equivalence, friedman, mcnemar, mean_test, sign_flip, t_test, wilcoxon
from .simulation import EPISODES, WORLDS, World, normal, skewed, solved

CLUSTERS = (5, 10, 30)
BOUNDS = {"interval": (0.93, 0.97), "test": (0.04, 0.06)}
"""What coverage at 95 % and rejection at .05 must keep to where the report uses a method."""
Intervals = Callable[[Array, Resampler], tuple[Array, Array]]


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
    used: bool
    """Whether the report uses this method at this number of clusters."""

    @property
    def meets(self) -> bool:
        """Whether the rate keeps to the bounds, as far as the simulations can tell."""
        low, high = BOUNDS[self.kind]
        return self.low <= high and self.high >= low


def calibrate(
    rng: Generator, *, simulations: int = 4000, resamples: int = 1999, clusters: tuple[int, ...] = CLUSTERS
) -> list[Row]:
    """All rows. `simulations` of 4,000 tell a rate of 95 % to ±.7 %; 500 (the quick form) to ±1.9 %."""
    by = Resampler(rng, resamples)
    rows = [row for count in clusters for row in _intervals(by, simulations, count)]
    rows += [row for count in clusters for row in _other_intervals(by, simulations, count)]
    return rows + [row for count in clusters for row in _tests(by, simulations, count)]


def frame(rows: list[Row]) -> pd.DataFrame:
    """Rows as a table, with the column `meets`."""
    return pd.DataFrame([vars(row) | {"meets": row.meets} for row in rows])


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
    return f"**{rate}**{'' if row.meets else ' ✗'}" if row.used else rate


def _row(kind: str, method: str, world: str, clusters: int, hits: Array, used: bool = False) -> Row:
    rate, n = float(np.mean(hits)), len(hits)
    low, high = wilson(np.array(rate), np.array(float(n)), 1.96)
    nominal = 0.95 if kind == "interval" else 0.05
    return Row(kind, method, world, clusters, nominal, rate, float(low), float(high), n, used)


def _intervals(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Means: every method in every world, and what the report does."""
    layout = Layout.single(clusters)
    draws = layout.resample(by)
    methods: dict[str, Callable[[Array], tuple[Array, Array]]] = {
        "percentile bootstrap": lambda values: percentile(values, layout, by.level, draws),
        "BCa bootstrap": lambda values: bca(values, layout, by.level, draws),
        "studentised bootstrap": lambda values: studentised(values, layout, by.level, draws),
        "t on run means": lambda values: student(values, layout, by.level),
        "Wilson, effective number": lambda values: effective_wilson(values, layout, by.level),
    }
    for world in WORLDS:
        episodes = world.draw(by.rng, simulations, clusters)
        values = episodes.mean(axis=2)
        share = world.name.startswith(("solved", "coverage"))
        for name, method in methods.items():
            if share or not name.startswith("Wilson"):
                low, high = method(values)
                yield _row("interval", name, world.name, clusters, _covers(low, high, world.truth))
        if world.name.startswith("solved"):
            low, high = wilson(values.mean(axis=1), np.array(float(clusters * EPISODES)), 1.96)
            yield _row(
                "interval", "Wilson, episodes as independent", world.name, clusters, _covers(low, high, world.truth)
            )
        scale = COVERAGE if world.name.startswith("coverage") else SHARE if share else REAL
        found = mean_intervals(values, by, scale)
        ends = np.array([(each.low, each.high) for each in found]).T
        yield _row("interval", "report", world.name, clusters, _covers(ends[0], ends[1], world.truth), used=True)
    few = episodes_of(normal(0.3), by, min(simulations, 500), clusters)
    ends = np.array([hierarchical(list(part), Resampler(by.rng, 499)) for part in few]).T
    yield _row("interval", "hierarchical bootstrap", normal(0.3).name, clusters, _covers(ends[0], ends[1], 0.0))


def episodes_of(world: World, by: Resampler, simulations: int, clusters: int) -> Array:
    """Episodes (simulations, clusters, EPISODES) of a world."""
    return world.draw(by.rng, simulations, clusters)


def _other_intervals(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Stratified means, interquartile mean, ratio, as the report computes them."""
    count = max(2, clusters)
    layout = Layout(np.repeat(np.arange(2), count))
    both = np.hstack(
        [
            normal(0.3).draw(by.rng, simulations, count).mean(axis=2),
            2 + skewed(0.1).draw(by.rng, simulations, count).mean(axis=2),
        ]
    )
    ends = np.array([(each.low, each.high) for each in stratified_intervals(both, layout, by)]).T
    yield _row(
        "interval",
        "report: mean over 2 tasks",
        "normal and skewed task",
        clusters,
        _covers(ends[0], ends[1], 1.0),
        True,
    )
    some = min(simulations, 1000)
    base = np.linspace(0.2, 0.7, 3).repeat(count)
    layout = Layout(np.repeat(np.arange(3), count))
    scores = base + by.rng.normal(0, 0.1, (some, 3 * count))
    big = np.linspace(0.2, 0.7, 3).repeat(200_000) + by.rng.normal(0, 0.1, 600_000)
    truth, few = float(stats.trim_mean(big, 0.25)), Resampler(by.rng, 499)
    found = [interquartile_mean(row[:, None], layout, few) for row in scores]
    hits = np.array([each.low <= truth <= each.high for each in found])
    yield _row("interval", "report: interquartile mean", "3 normal tasks", clusters, hits, True)
    own = 0.5 + by.rng.normal(0, 0.15, (some, clusters))
    gain = 0.3 + 0.5 * (own - 0.5) + by.rng.normal(0, 0.1, (some, clusters))
    ratios = [fieller(top, bottom) for top, bottom in zip(gain, own, strict=True)]
    hits = np.array([each.low <= 0.6 <= each.high for each in ratios if np.isfinite(each.low)])
    yield _row("interval", "report: transfer ratio (Fieller)", "gain .3 of .5", clusters, hits, True)


def _tests(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Under the null: pools differ, but help nobody on average."""
    layout, some = Layout.single(clusters), min(simulations, 1000)
    for world in (normal(0.1), normal(0.3), skewed(0.1)):
        episodes = world.draw(by.rng, simulations, clusters)
        values = episodes.mean(axis=2)
        naive = stats.ttest_1samp(episodes.reshape(simulations, -1), 0, axis=1).pvalue
        yield _row("test", "t test, episodes as independent", world.name, clusters, naive <= 0.05)
        tests: dict[str, Callable[[Array], float]] = {
            "sign flips": lambda row: sign_flip(row, layout, by).p,
            "t on run means": lambda row: t_test(row, layout).p,
            "Wilcoxon on run means": lambda row: wilcoxon(row).p,
        }
        for name, test in tests.items():
            yield _row("test", name, world.name, clusters, _rejects(test, values[:some]))
        yield _row(
            "test",
            "report",
            world.name,
            clusters,
            _rejects(lambda row: mean_test(row, layout, by).p, values),
            used=True,
        )
    at_margin = 0.2 + by.rng.normal(0, 0.1, (simulations, clusters))
    p = [equivalence(row, layout, 0.2).p for row in at_margin]
    yield _row("test", "report: equivalence, difference at the margin", "normal", clusters, np.array(p) <= 0.05, True)
    yield from _families(by, some, clusters)
    yield from _counts(by, some, clusters)


def _families(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Eight true nulls that share a reference arm: how often is any rejected?"""
    layout = Layout.single(clusters)
    hits: dict[str, list[bool]] = {"max-T": [], "Holm": [], "Benjamini–Hochberg": []}
    for _ in range(simulations):
        values = by.rng.normal(size=(8, clusters)) + by.rng.normal(size=clusters)
        p = np.array([mean_test(row, layout, by).p for row in values])
        hits["Holm"].append(bool((holm(p) <= 0.05).any()))
        hits["Benjamini–Hochberg"].append(bool((benjamini_hochberg(p) <= 0.05).any()))
        hits["max-T"].append(bool((max_t(values / clusters, Resampler(by.rng, 999)) <= 0.05).any()))
    used = "max-T" if clusters >= 6 else "Holm"
    for name, found in hits.items():
        yield _row(
            "test",
            f"{name}, any of 8 nulls",
            "normal, shared reference",
            clusters,
            np.array(found),
            used == name and name == "max-T",
        )
    blocks = by.rng.normal(size=(simulations, clusters, 4))
    yield _row(
        "test",
        "Friedman, 4 methods",
        "normal, tasks as data",
        clusters,
        np.array([friedman(b).p <= 0.05 for b in blocks]),
    )


def _counts(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Binary outcomes and selections."""
    for icc in (0.0, 0.3):
        world = solved(0.3, icc)
        first, second = (world.draw(by.rng, simulations, clusters).reshape(simulations, -1) for _ in range(2))
        gained, lost = ((first > second).sum(axis=1), (first < second).sum(axis=1))
        pairs = list(zip(gained.tolist(), lost.tolist(), strict=True))
        yield _row("test", "exact McNemar", world.name, clusters, np.array([mcnemar(a, b).p <= 0.05 for a, b in pairs]))
        yield _row(
            "test",
            "mid-p McNemar",
            world.name,
            clusters,
            np.array([mcnemar(a, b, mid=True).p <= 0.05 for a, b in pairs]),
        )
    few, n = min(simulations, 300), clusters
    counts = by.rng.binomial(n, 0.3, (few, 2)).tolist()
    hits = np.array([barnard(a, n, b, n).p <= 0.05 for a, b in counts])
    yield _row("test", "Barnard, one episode a run", "solved 0.3", clusters, hits)
    units, selections = np.full(clusters, 8.0), np.full(clusters, 20.0)
    picks = by.rng.integers(0, 8, (simulations, clusters, 20))
    used = np.zeros((simulations, clusters, 8))
    np.put_along_axis(used, picks, 1.0, axis=2)
    few_draws = Resampler(by.rng, 999)
    p = [random_selector_test(row, selections, units, few_draws).p for row in used.sum(axis=2)]
    yield _row("test", "report: reuse against chance", "8 units, 20 calls", clusters, np.array(p) <= 0.05, True)


def _covers(low: Array, high: Array, truth: float) -> Array:
    return ((low <= truth + 1e-12) & (truth - 1e-12 <= high)).astype(float)


def _rejects(test: Callable[[Array], float], values: Array) -> Array:
    return np.array([test(row) <= 0.05 for row in values], float)
