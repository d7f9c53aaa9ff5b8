"""Verdicts that a study will give, simulated: its own cells, clusters and families, the report's own test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from analysis.matrix.contrasts import SAME_POOL, UNLEARNED, Contrast
from analysis.statistics.bootstrap import Array, Resampler
from analysis.statistics.cell_means import CellValues, Pivot
from analysis.statistics.estimates import wilson
from analysis.statistics.significance import LEAST_FREEDOM
from analysis.statistics.unseen import Pools, Unseen
from analysis.tables.units import CELL, aggregate, reference_keys

SIMULATIONS = 1000
_NUMBERS = 4_000_000
"""Numbers held at once."""


class PlanError(ValueError):
    """A question that cannot be planned for; the message says why and what to give."""


@dataclass(frozen=True)
class Variance:
    """Spread of the paired difference of two arms: `between` learning runs (SD of the true difference of a run) and
    `within` (SD over episodes on common environment seeds)."""

    between: float
    within: float

    @classmethod
    def stated(cls, sd: float, icc: float) -> Variance:
        """From a total SD of the paired difference and its intra-cluster correlation."""
        if sd <= 0 or not 0 <= icc <= 1:
            raise PlanError(f"A plan needs an SD above 0 and an ICC from 0 to 1, not SD {sd:g} and ICC {icc:g}.")
        return cls(sd * np.sqrt(icc), sd * np.sqrt(1 - icc))

    @property
    def icc(self) -> float:
        """Share of the variance that lies between learning runs."""
        return self.between**2 / (self.between**2 + self.within**2)

    def design_effect(self, episodes: int) -> float:
        """1 + (m − 1)·ICC: by how much m episodes of one learning run are worth less than m independent ones."""
        return 1 + (episodes - 1) * self.icc

    def of_run(self, episodes: int) -> float:
        """SD of a learning run's mean difference over so many episodes."""
        return float(np.sqrt(self.between**2 + self.within**2 / episodes))


@dataclass(frozen=True)
class Design:
    """What a study will compare: who plays what, in which arms, under which declared contrasts."""

    agents: tuple[str, ...]
    tasks: tuple[str, ...]
    contrasts: tuple[Contrast, ...]
    outcomes: int = 2
    """Outcomes in which every contrast is tested (return and solved): they share one family."""
    room: float = np.nan
    """How much better than the mean a pool could be at most; where known, the verdict's guard is simulated too."""

    @property
    def family(self) -> int:
        """Declared hypotheses, adjusted together."""
        return len(self.contrasts) * self.outcomes

    def cells(self, arm: str) -> pd.DataFrame:
        """The cells of one arm, columns CELL."""
        rows: list[tuple[str, ...]] = []
        for agent, task in product(self.agents, self.tasks):
            if arm in UNLEARNED:
                rows.append((arm, "", "", agent, task))
            elif arm != "transfer":
                rows.append((arm, agent, task, agent, task))
            else:
                learners = product(self.agents, self.tasks)
                rows += [(arm, *source, agent, task) for source in learners if source != (agent, task)]
        return pd.DataFrame(rows, columns=CELL)

    def compared(self, contrast: Contrast) -> pd.DataFrame:
        """The cells of a contrast's treatment with the task where the reference's pool is learned."""
        cells = self.cells(contrast.treatment)
        if contrast.reference in UNLEARNED:
            return cells.assign(reference_task="")
        own = "source_task" if contrast.reference in SAME_POOL else "task"
        return cells.assign(reference_task=cells[own])


@dataclass(frozen=True)
class Power:
    """How often a contrast is decided as it truly is, with a Monte-Carlo interval (Wilson, 95 %)."""

    contrast: Contrast
    runs: int
    episodes: int
    power: float
    low: float
    high: float
    clusters: int
    freedom: float
    """Degrees of freedom that the design offers."""


def powers(
    detect: float,
    variance: Variance,
    size: tuple[int, int],
    design: Design,
    by: Resampler,
    asked: Sequence[Contrast] | None = None,
) -> dict[str, Power]:
    """Verdict power of the contrasts `asked` (all that are declared), by their keys, where a contrast's own treatment
    alone is `detect` better than all else.

    `size`: learning runs, and episodes per cell and run. Simulated are true differences of learning runs (one per
    learned pool, in all its cells), episodes around them, the pivot, Holm's adjustment and the guards of the verdict.
    """
    found: dict[str, Power] = {}
    wanted = design.contrasts if asked is None else asked
    for arm in dict.fromkeys(contrast.treatment for contrast in wanted):
        truth = dict.fromkeys({name for each in design.contrasts for name in each.arms}, 0.0) | {arm: detect}
        pivots = simulate(truth, variance, size, design, by)
        p = np.stack([np.nan_to_num(pivot.p(), nan=1.0) for pivot, _ in pivots])
        adjusted = _holm(p, design.family)
        for k, contrast in enumerate(design.contrasts):
            if contrast.treatment != arm or contrast not in wanted:
                continue
            pivot, clusters = pivots[k]
            decided = (adjusted[k] <= 1 - by.level) & (pivot.offered >= LEAST_FREEDOM - 1e-6)
            decided &= np.sign(pivot.estimate) == np.sign(detect) * contrast.sign
            decided &= _stands(pivot, contrast, design, size[0], by.level)
            rate = float(decided.mean())
            low, high = wilson(np.array(rate), np.array(float(len(decided))), 1.96)
            offered = float(np.nan_to_num(pivot.offered))
            found[contrast.key] = Power(contrast, *size, rate, float(low), float(high), clusters, offered)
    return found


def simulate(
    truth: dict[str, float], variance: Variance, size: tuple[int, int], design: Design, by: Resampler
) -> list[tuple[Pivot, int]]:
    """The pivot of every declared contrast in SIMULATIONS studies, and its clusters. `truth`: mean return by arm."""
    runs, episodes = size
    most = max(len(design.cells(arm)) for arm in truth)
    chunk = max(1, min(SIMULATIONS, _NUMBERS // (most * runs * len(truth))))
    parts: list[list[Pivot]] = []
    # a report stretches by the skewness that it sees, which of so few normal values is not 0 (Cramér 1946)
    n = max(3, runs * episodes)
    spread = np.sqrt(6 * n * (n - 1) / ((n - 2) * (n + 1) * (n + 3)))
    shapes = [_shape(design.compared(contrast), runs) for contrast in design.contrasts]
    for _ in range(-(-SIMULATIONS // chunk)):
        means = _Means(truth, variance, episodes, design, (chunk, runs), by)
        parts.append(
            [
                CellValues(values, shape.weights, shape.related, spread * by.rng.normal(size=values.shape[:2])).pivot
                for values, shape in (
                    (means.differences(contrast), shape)
                    for contrast, shape in zip(design.contrasts, shapes, strict=True)
                )
            ]
        )
    columns = zip(zip(*parts, strict=True), shapes, strict=True)
    return [(_joined(column), shape.clusters) for column, shape in columns]


def _joined(parts: Sequence[Pivot]) -> Pivot:
    names = ("estimate", "error", "freedom", "skewness")
    joined = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return Pivot(*joined, offered=parts[0].offered)


class _Means:
    """Mean returns of every cell and learning run of so many simulated studies, less what all arms share."""

    def __init__(
        self,
        truth: dict[str, float],
        variance: Variance,
        episodes: int,
        design: Design,
        shape: tuple[int, int],
        by: Resampler,
    ) -> None:
        self._design = design
        studies, runs = shape
        learners = len(design.agents) * len(design.tasks)
        # half of a paired difference's variance within a run is each arm's own
        noise = variance.within / np.sqrt(2 * episodes)
        learned = variance.between * by.rng.normal(size=(studies, learners, runs))
        self._of: dict[str, Array] = {}
        for arm, mean in truth.items():
            cells = design.cells(arm)
            values = mean + noise * by.rng.normal(size=(studies, len(cells), runs))
            if arm in ("self", "transfer"):
                values += learned[:, self._learner(cells, "source_agent", "source_task")]
            elif arm not in (*UNLEARNED, *SAME_POOL):
                values += variance.between * by.rng.normal(size=(studies, len(cells), runs))
            self._of[arm] = values

    def differences(self, contrast: Contrast) -> Array:
        """Treatment − reference, shape (studies, treated cells, runs)."""
        cells = self._design.cells(contrast.treatment)
        place = ("source_agent", "source_task") if contrast.reference in SAME_POOL else ("agent", "task")
        reference = self._of[contrast.reference][:, self._learner(cells, *place)]
        return contrast.sign * (self._of[contrast.treatment] - reference)

    def _learner(self, cells: pd.DataFrame, agent: str, task: str) -> list[int]:
        agents, tasks = self._design.agents, self._design.tasks
        pairs = zip(cells[agent], cells[task], strict=True)
        return [agents.index(name) * len(tasks) + tasks.index(place) for name, place in pairs]


def _shape(cells: pd.DataFrame, runs: int) -> CellValues:
    every = cells.merge(pd.DataFrame({"learning_run": range(runs)}), how="cross")
    return aggregate(every.assign(difference=0.0, n=1), "difference").cells


def _holm(p: Array, family: int) -> Array:
    """Holm-adjusted p (contrasts, studies) in a family whose other hypotheses are never rejected."""
    order = np.argsort(p, axis=0)
    scaled = np.take_along_axis(p, order, axis=0) * (family - np.arange(len(p)))[:, None]
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(np.maximum.accumulate(scaled, axis=0), 1.0), axis=0)
    return adjusted


def _stands(pivot: Pivot, contrast: Contrast, design: Design, runs: int, level: float) -> Array:
    """Whether the interval withstands learned pools that were not met (`unseen`)."""
    if not np.isfinite(design.room):
        return np.ones(len(pivot.estimate), bool)
    pools = Pools(runs * len(design.agents) * len(design.tasks), design.room)
    up, down = (pools if learned else Pools() for learned in contrast.learned)
    unseen = Unseen(up, down) if contrast.sign > 0 else Unseen(down, up)
    low, high = pivot.interval(level)
    moved = zip(low.tolist(), high.tolist(), strict=True)
    return np.array([unseen.lowest(left) > 0 or unseen.highest(right) < 0 for left, right in moved])


def pilot_variance(seeds: pd.DataFrame, treatment: str, reference: str, value: str = "return") -> Variance:
    """Variance components of the paired difference in pilot data (`runs.seed_means`), by analysis of variance.

    Raises PlanError without at least two learning runs of two common environment seeds.
    """
    left, right = seeds[seeds["arm"] == treatment], seeds[seeds["arm"] == reference]
    keys = reference_keys(right, reference)
    both = left.merge(right[[*keys, value]], on=keys, suffixes=("", "_reference"))
    both = both.assign(difference=both[value] - both[f"{value}_reference"]).dropna(subset=["difference"])
    groups = both.groupby([*CELL, "learning_run"], observed=True)["difference"].agg(["mean", "var", "size"])
    groups = groups[groups["size"] > 1]
    cells = groups.groupby(CELL, observed=True)["mean"].agg(["var", "size"])
    cells = cells[cells["size"] > 1]
    if cells.empty:
        raise PlanError(
            f"The pilot has no cell with two learning runs of two common seeds for {treatment} against {reference}; "
            "state the variance instead (SD and ICC)."
        )
    within = float(groups["var"].mean())
    episodes = float(1 / (1 / groups["size"]).mean())
    between = max(0.0, float(cells["var"].mean()) - within / episodes)
    return Variance(float(np.sqrt(between)), float(np.sqrt(within)))
