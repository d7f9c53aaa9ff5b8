"""How often intervals cover: means, rates, unequal cells, matrices, interquartile means, ratios, gates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from analysis.simulation.data import COVERAGES, EPISODES, HEAPS, MEANS, SHARES, STRESS, UNEQUAL, cell_of, normal, skewed
from analysis.simulation.rows import Row, row
from analysis.statistics.bootstrap import Array, Bounds, Resampler, Strata, bca, hierarchical, percentile, studentised
from analysis.statistics.cell_means import CellValues, Related
from analysis.statistics.estimates import (
    NOTABLE_STRETCH,
    REAL,
    SHARE,
    Interval,
    effective_wilson,
    fieller,
    interquartile_mean,
    mean_intervals,
    pooled_intervals,
    trimmed_mean,
    wilson,
)
from analysis.statistics.rates import near_edge, rate_interval

BOOTSTRAPS_FROM = 5
"""Clusters from which the bootstraps are shown for comparison: below, too many resamples repeat one cluster."""


def coverage(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Every row at one number of clusters."""
    yield from _means(by, simulations, clusters)
    yield from _rates(by, simulations, clusters)
    if clusters >= 3:
        yield from _matrices(by, simulations, clusters)
        yield from _others(by, min(simulations, 1000), clusters)


def unequal(by: Resampler, simulations: int) -> Iterator[Row]:
    """Cells with unequal numbers of learning runs, in one task; half of the variance common to a run."""
    for sizes, common in product(UNEQUAL, (0.0, 0.5)):
        values = np.sqrt(common) * by.rng.normal(size=(simulations, 1, max(sizes)))
        values = values + np.sqrt(1 - common) * by.rng.normal(size=(simulations, len(sizes), max(sizes)))
        for cell, size in enumerate(sizes):
            values[:, cell, size:] = np.nan
        cells = CellValues(values, np.full(len(sizes), 1 / len(sizes)), np.ones((len(sizes),) * 2, np.bool_))
        runs = "/".join(map(str, sizes))
        world = f"runs {runs}, " + ("independent" if not common else "half of the variance shared")
        hits = _covers(cells.pivot.interval(by.level), 0.0)
        # several cells of one or two runs are given a wider interval than they need
        promised = len(sizes) == 2
        yield row("interval", "report", world, max(sizes), hits, promised=promised)
        yield row("test", "report", world, max(sizes), cells.pivot.p() <= 0.05, promised=True)


def _means(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    layout = Strata.single(clusters)
    draws = layout.resample(by)
    methods: dict[str, Callable[[Array], Bounds]] = {
        "percentile bootstrap": lambda values: percentile(values, layout, by.level, draws),
        "BCa bootstrap": lambda values: bca(values, layout, by.level, draws),
        "studentised bootstrap": lambda values: studentised(values, layout, by.level, draws),
    }
    for world in (*MEANS, *STRESS, *COVERAGES):
        episodes = world.draw(by.rng, simulations, clusters)
        values, cells = episodes.mean(axis=2), cell_of(episodes)
        for name, method in methods.items() if clusters >= BOOTSTRAPS_FROM else ():
            yield row("interval", name, world.name, clusters, _covers(method(values), world.truth))
        share = world.name.startswith("coverage")
        found = _bounds(pooled_intervals(cells, by, SHARE if share else REAL))
        kind = "rate" if share else "interval"
        yield row(kind, "report", world.name, clusters, _covers(found, world.truth), promised=world not in STRESS)
        if not share:
            plain = _covers(CellValues.single(values).pivot.interval(by.level), world.truth)
            yield row(kind, "Student's t, not stretched", world.name, clusters, plain)
            farther = np.maximum(*cells.pivot.stretch) >= NOTABLE_STRETCH
            yield row(kind, f"report: an end {NOTABLE_STRETCH:g} times as far", world.name, clusters, farther)
    few = normal(0.3).draw(by.rng, min(simulations, 500), clusters)
    ends = np.array([hierarchical(list(part), Resampler(by.rng, 499)) for part in few]).T
    yield row("interval", "hierarchical bootstrap", normal(0.3).name, clusters, _covers((ends[0], ends[1]), 0.0))


def _rates(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    for world in (*SHARES, *HEAPS):
        episodes = world.draw(by.rng, simulations, clusters)
        values = episodes.mean(axis=2)
        trials = np.full(values.shape, float(EPISODES))
        cells = CellValues.single(values)
        shown = {
            "t on run means": cells.pivot.interval(by.level),
            "Wilson, effective number": effective_wilson(cells.pivot, clusters, by.level),
            "Wilson, episodes as independent": wilson(values.mean(axis=1), trials.sum(axis=1), 1.96),
        }
        for name, bounds in shown.items():
            yield row("rate", name, world.name, clusters, _covers(bounds, world.truth))
        if world in SHARES:
            found = _bounds(mean_intervals(values, by, SHARE, trials))
            hits = _covers(found, world.truth)
            yield row("rate", "report, no learned pools", world.name, clusters, hits, promised=True)
        else:
            plain = _covers(rate_interval(values * trials, trials, by.level), world.truth)
            yield row("rate", "beta-binomial alone", world.name, clusters, plain)
        found = _bounds(mean_intervals(values, by, SHARE, trials, learned=True))
        hits = _covers(found, world.truth)
        yield row("rate", "report, learned pools", world.name, clusters, hits, promised=True)
        yield row("rate", "report: widened for pools not met", world.name, clusters, near_edge(values))
        yield row("rate", "report: width above .97", world.name, clusters, found[1] - found[0] > 0.97)
        single = _covers(rate_interval(episodes[:, :, 0], np.ones(values.shape), by.level), world.truth)
        yield row("rate", "report, one episode a run", world.name, clusters, single, promised=True)


def _matrices(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Every learned pool with every other agent and task: cells share pools, and environment seeds."""
    for agents, tasks in ((1, 2), (2, 2), (2, 3)):
        for name, pools, seeds in (("pools differ", 1.0, 0.3), ("seeds differ", 0.3, 1.0), ("noise alone", 0.0, 0.0)):
            cells = _matrix(by, min(simulations, 2000), clusters, (agents, tasks), (pools, seeds))
            hits = _covers(cells.pivot.interval(by.level), 0.0)
            world = f"{agents} × {agents} agents, {tasks} tasks, {name}"
            yield row("interval", "report: transfer − none", world, clusters, hits, promised=clusters >= 4)
    tasks = [cell_of(world.draw(by.rng, simulations, clusters)) for world in (normal(0.3), skewed(0.1))]
    values, skewed_by = (np.concatenate([getattr(each, name) for each in tasks], axis=1) for name in _OF_CELLS)
    apart = CellValues(values, np.full(2, 0.5), np.eye(2, dtype=np.bool_), skewed_by)
    hits = _covers(apart.pivot.interval(by.level), 0.0)
    yield row("interval", "report: mean over 2 tasks", "a normal, a skewed task", clusters, hits, promised=True)


_OF_CELLS = ("values", "skewness")


def _matrix(
    by: Resampler, simulations: int, runs: int, size: tuple[int, int], spread: tuple[float, float]
) -> CellValues:
    learners = list(product(range(size[0]), range(size[1])))
    cells = [(source, target) for source in learners for target in learners if source != target]
    pool = spread[0] * by.rng.normal(size=(simulations, len(learners), runs))
    seed = spread[1] * by.rng.normal(size=(simulations, size[1], runs))
    values = by.rng.normal(size=(simulations, len(cells), runs))
    values += pool[:, [learners.index(source) for source, _ in cells]] + seed[:, [task for _, (_, task) in cells]]
    return CellValues(values, np.full(len(cells), 1 / len(cells)), _share(cells))


def _share(cells: list[tuple[tuple[int, int], tuple[int, int]]]) -> Related:
    source, target = (np.array([pair[end][1] for pair in cells]) for end in (0, 1))
    return (source[:, None] == source) | (target[:, None] == target)


def _others(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Interquartile mean and ratio, as the report computes them."""
    few = Resampler(by.rng, 499)
    layout, levels = Strata(np.repeat(np.arange(3), clusters)), np.linspace(0.2, 0.7, 3)
    scores = levels.repeat(clusters) + by.rng.normal(0, 0.1, (simulations, 3 * clusters))
    truth = trimmed_mean(levels.repeat(200_000) + by.rng.normal(0, 0.1, 600_000))
    found = _bounds([interquartile_mean(each[:, None], layout, few) for each in scores])
    promised = clusters >= BOOTSTRAPS_FROM
    yield row(
        *("interval", "report: interquartile mean", "3 normal tasks", clusters),
        _covers(found, truth),
        promised=promised,
    )
    own = 0.5 + by.rng.normal(0, 0.15, (simulations, clusters))
    gain = 0.3 + 0.5 * (own - 0.5) + by.rng.normal(0, 0.1, (simulations, clusters))
    ratios = [fieller(top, bottom, by.level) for top, bottom in zip(gain, own, strict=True)]
    found = _bounds([each for each in ratios if np.isfinite(each.low)])
    yield row(
        *("interval", "report: transfer ratio (Fieller)", "gain .3 of .5", clusters),
        _covers(found, 0.6),
        promised=promised,
    )


def _bounds(found: list[Interval]) -> Bounds:
    return np.array([each.low for each in found]), np.array([each.high for each in found])


def _covers(bounds: Bounds, truth: float) -> Array:
    return ((bounds[0] <= truth + 1e-12) & (truth - 1e-12 <= bounds[1])).astype(float)
