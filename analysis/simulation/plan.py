"""Design before data: learning runs and episodes that a difference needs, and what a study as written can decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.matrix.contrasts import Contrast
from analysis.simulation.power import Design, PlanError, Power, Variance, powers
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.significance import LEAST_FREEDOM

MOST_RUNS = 64


@dataclass(frozen=True)
class Plan:
    """What a difference needs. `options` is empty when MOST_RUNS do not suffice."""

    detect: float
    power: float
    contrast: Contrast
    family: int
    variance: Variance
    options: tuple[Power, ...]

    @property
    def sentence(self) -> str:
        """The answer in words: the option with the fewest episodes in all."""
        asked = f"a difference of {self.detect:g} ({self.contrast.name}) with {self.power:.0%} power"
        asked += f", {self.family} hypotheses declared"
        if not self.options:
            return (
                f"{MOST_RUNS} learning runs do not detect {asked}: learning runs differ by SD "
                f"{self.variance.between:.3g}, which no number of episodes lessens."
            )
        best = min(self.options, key=lambda option: option.runs * option.episodes)
        effect = self.variance.design_effect(best.episodes)
        return (
            f"To detect {asked}: {best.runs} learning runs × {best.episodes} episodes per cell "
            f"(ICC {self.variance.icc:.2f}, design effect {effect:.1f}: {best.runs * best.episodes} episodes are worth "
            f"{best.runs * best.episodes / effect:.0f} independent ones)."
        )


def plan(
    detect: float,
    variance: Variance,
    design: Design,
    contrast: Contrast,
    by: Resampler,
    *,
    episodes: Sequence[int] = (10, 20, 50, 100),
    power_wanted: float = 0.8,
) -> Plan:
    """The fewest learning runs that give a contrast the wanted power, for each number of episodes.

    Raises PlanError for a difference of zero.
    """
    if detect == 0:
        raise PlanError("A difference of 0 cannot be detected; state the smallest difference that matters.")
    found: list[Power] = []
    for count in episodes:
        low, high = 1, MOST_RUNS
        best: Power | None = None
        while high - low > 0:
            middle = min((low + high) // 2, 2 * low + 2)
            option = powers(detect, variance, (max(middle, 2), count), design, by, [contrast])[contrast.key]
            if option.power >= power_wanted:
                best, high = option, middle
            else:
                low = middle + 1
        if best is None and low == MOST_RUNS:
            last = powers(detect, variance, (MOST_RUNS, count), design, by, [contrast])[contrast.key]
            best = last if last.power >= power_wanted else None
        if best is not None:
            found.append(best)
    return Plan(detect, power_wanted, contrast, design.family, variance, tuple(found))


def floors(
    detect: float, variance: Variance, size: tuple[int, int], design: Design, found: Sequence[Power]
) -> list[str]:
    """What a study of this size cannot decide whatever its data, in sentences: contrasts, then single cells."""
    runs, episodes = size
    barred = [each for each in found if each.freedom < LEAST_FREEDOM - 1e-6]
    sentences: list[str] = []
    if barred:
        named = ", ".join(f"“{each.contrast.name}”" for each in barred)
        most = max(each.freedom for each in barred)
        sentences.append(
            f"With G = {runs} learning runs no verdict can be given on {named}: at most {most:.1f} degrees of freedom, "
            f"{LEAST_FREEDOM:.0f} are needed."
        )
    cells = sum(len(design.cells(arm)) for arm in ("self", "transfer") if any(arm in c.arms for c in design.contrasts))
    if not cells:
        return sentences
    if runs - 1 < LEAST_FREEDOM:
        return [
            *sentences,
            f"With G = {runs} no cell of {cells} can be decided: {LEAST_FREEDOM + 1:.0f} learning runs are needed.",
        ]
    needed = float(stats.t.isf(0.025 / cells, runs - 1))
    shift = detect / (variance.of_run(episodes) / np.sqrt(runs))
    alone = float(stats.nct.sf(needed, runs - 1, shift) + stats.nct.cdf(-needed, runs - 1, shift))
    if alone < 0.5:
        sentences.append(
            f"With G = {runs} hardly a single cell of {cells} can be decided: where one alone differs by {detect:g} it "
            f"is found in {alone:.0%} of studies (Benjamini–Hochberg: t above {needed:.1f}, {runs - 1} degrees of "
            "freedom)."
        )
    return sentences


def caution(detect: float, size: tuple[int, int], power: Power) -> str | None:
    """A sentence when the study, as set, cannot answer its own question; None when it can (80 % power)."""
    if power.freedom < LEAST_FREEDOM - 1e-6:
        return (
            f"This study cannot answer its own question: {size[0]} learning runs leave {power.freedom:.1f} degrees of "
            f"freedom, {LEAST_FREEDOM:.0f} are needed for a verdict."
        )
    if power.power >= 0.8:
        return None
    return (
        f"This study may not answer its own question: {size[0]} learning runs × {size[1]} episodes detect a difference "
        f"of {detect:g} with {power.power:.0%} power."
    )
