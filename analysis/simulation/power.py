"""Design before data: learning runs and episodes that a difference needs, by simulating the report's own test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import wilson
from analysis.statistics.significance import SIGN_FLIP_FROM, smallest_sign_flip_p
from analysis.tables.units import CELL, reference_keys

MOST_RUNS = 64
SIMULATIONS = 2000


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
class Option:
    """One way to the power: learning runs per task, episodes per cell and run; power with Monte-Carlo interval."""

    runs: int
    episodes: int
    power: float
    low: float
    high: float


@dataclass(frozen=True)
class Plan:
    """What a difference needs. `options` is empty when MOST_RUNS do not suffice."""

    detect: float
    power: float
    alpha: float
    tasks: int
    variance: Variance
    options: tuple[Option, ...]

    @property
    def sentence(self) -> str:
        """The answer in words: the option with the fewest episodes in all."""
        asked = f"a difference of {self.detect:g} with {self.power:.0%} power at {self.alpha:.3g}"
        if not self.options:
            best = self.variance.between / np.sqrt(MOST_RUNS * self.tasks)
            return (
                f"{MOST_RUNS} learning runs do not detect {asked}: they differ by SD {self.variance.between:.3g}, "
                f"and however many episodes are played the standard error stays above {best:.3g}."
            )
        best = min(self.options, key=lambda option: option.runs * option.episodes)
        effect = self.variance.design_effect(best.episodes)
        return (
            f"To detect {asked}: {best.runs} learning runs × {best.episodes} episodes per cell "
            f"(ICC {self.variance.icc:.2f}, design effect {effect:.1f}: {best.runs * best.episodes} episodes are worth "
            f"{best.runs * best.episodes / effect:.0f} independent ones)."
        )


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


def power(
    detect: float, variance: Variance, option: tuple[int, int], by: Resampler, *, tasks: int = 1, alpha: float = 0.05
) -> Option:
    """Simulated power of the report's sign-flip test. `option`: learning runs per task, episodes per cell and run."""
    runs, episodes = option
    clusters = runs * tasks
    if clusters < SIGN_FLIP_FROM or smallest_sign_flip_p(clusters) > alpha:
        return Option(runs, episodes, 0.0, 0.0, 0.0)
    values = by.rng.normal(detect, variance.of_run(episodes), (SIMULATIONS, clusters))
    hits = flip_p(values, by) <= alpha
    rate = float(hits.mean())
    low, high = wilson(np.array(rate), np.array(float(SIMULATIONS)), 1.96)
    return Option(runs, episodes, rate, float(low), float(high))


def flip_p(values: np.ndarray, by: Resampler) -> np.ndarray:
    """Sign-flip p of every row of values (simulations, clusters): exact to 11 clusters, else 1,999 shared flips."""
    clusters = values.shape[1]
    if clusters <= 11:
        signs = 1.0 - 2.0 * ((np.arange(2 ** (clusters - 1))[:, None] >> np.arange(clusters)) & 1)
    else:
        signs = by.rng.choice(np.array([-1.0, 1.0]), size=(1999, clusters))
        signs[0] = 1.0
    observed = np.abs(values.sum(axis=1))
    return (np.abs(values @ signs.T) >= observed[:, None] * (1 - 1e-9)).mean(axis=1)


def plan(
    detect: float,
    variance: Variance,
    by: Resampler,
    *,
    episodes: Sequence[int] = (10, 20, 50, 100),
    tasks: int = 1,
    power_wanted: float = 0.8,
    comparisons: int = 1,
) -> Plan:
    """The fewest learning runs for each number of episodes. `comparisons`: size of the declared family (Bonferroni).

    Raises PlanError for a difference of zero.
    """
    if detect == 0:
        raise PlanError("A difference of 0 cannot be detected; state the smallest difference that matters.")
    alpha = 0.05 / comparisons
    least = next(n for n in range(2, MOST_RUNS) if smallest_sign_flip_p(n) <= alpha)
    found: list[Option] = []
    for count in episodes:
        guess = _normal_runs(detect, variance.of_run(count), alpha, power_wanted) // tasks
        start = max(-(-least // tasks), 2, guess - 3)
        for runs in range(start, MOST_RUNS + 1):
            option = power(detect, variance, (runs, count), by, tasks=tasks, alpha=alpha)
            if option.power >= power_wanted:
                found.append(option)
                break
    return Plan(detect, power_wanted, alpha, tasks, variance, tuple(found))


def caution(
    detect: float, variance: Variance, runs: int, episodes: int, by: Resampler, *, tasks: int = 1
) -> str | None:
    """A sentence when the study, as set, cannot answer its own question; None when it can (80 % power)."""
    clusters = runs * tasks
    if clusters < SIGN_FLIP_FROM:
        return (
            f"This study cannot answer its own question: {clusters} independent learning runs cannot reach p < .05 "
            f"by sign flips (at best {smallest_sign_flip_p(clusters):.3g}); {SIGN_FLIP_FROM} are needed."
        )
    option = power(detect, variance, (runs, episodes), by, tasks=tasks)
    if option.power >= 0.8:
        return None
    return (
        f"This study may not answer its own question: {runs} learning runs × {episodes} episodes detect a difference "
        f"of {detect:g} with {option.power:.0%} power."
    )


def _normal_runs(detect: float, sd: float, alpha: float, wanted: float) -> int:
    quantiles = stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(wanted)
    return min(MOST_RUNS, int((float(quantiles) * sd / detect) ** 2))
