"""Rewards made harder to learn from, with every mean kept: noisy ones, and ones that are seldom paid.

What a skill is truly worth does not change, so a gate's verdicts can be held against the same true gains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from testbed.bench.experiments.closed_forms import ClosedForm
from testbed.bench.experiments.gates.comparison import COMPARED, judge_all
from testbed.bench.experiments.gates.rates import rates
from transfer.memory.experience import Trajectory

JUDGED = ("likelihood: ΔJ > 0", "race, 24 pairs", "race, 96 pairs", "likelihood+race, 96 pairs")
"""Gates that are put to it."""


class Channel(Protocol):
    """What a game pays → what the learner is told it paid."""

    def __call__(self, played: Trajectory, rng: np.random.Generator, /) -> Trajectory: ...


@dataclass(frozen=True)
class Noisy:
    """A normal error of this standard deviation is added at the end."""

    spread: float

    def __call__(self, played: Trajectory, rng: np.random.Generator, /) -> Trajectory:
        return repaid(played, [step.reward for step in played.steps], float(rng.normal(scale=self.spread)))


@dataclass(frozen=True)
class Late:
    """Nothing is paid before the end."""

    def __call__(self, played: Trajectory, rng: np.random.Generator, /) -> Trajectory:
        return repaid(played, [0.0] * len(played.steps), played.total)


@dataclass(frozen=True)
class Seldom:
    """One game in so many is paid, at the end and as many times as much; the others pay nothing."""

    every: int

    def __call__(self, played: Trajectory, rng: np.random.Generator, /) -> Trajectory:
        paid = self.every * played.total if rng.integers(self.every) == 0 else 0.0
        return repaid(played, [0.0] * len(played.steps), paid)


CHANNELS: Mapping[str, Channel] = {
    "as paid": Noisy(0.0),
    "noise of SD 0.25": Noisy(0.25),
    "noise of SD 1": Noisy(1.0),
    "all at the end": Late(),
    "one game in 4 paid": Seldom(4),
    "one game in 16 paid": Seldom(16),
}


def repaid(played: Trajectory, rewards: list[float], more: float) -> Trajectory:
    """The trajectory with these rewards, and so much more in its last step."""
    rewards = [*rewards[:-1], rewards[-1] + more]
    steps = [step.model_copy(update={"reward": reward}) for step, reward in zip(played.steps, rewards, strict=True)]
    return played.model_copy(update={"steps": tuple(steps), "total": float(sum(rewards))})


async def judge_channels(
    form: ClosedForm, *, parents: int, seeds: int, channels: Mapping[str, Channel] = CHANNELS
) -> pd.DataFrame:
    """As `judge_all`, for every channel, in a column of its own; the same parents and candidates in each."""
    compared = {name: COMPARED[name] for name in JUDGED}
    tables: list[pd.DataFrame] = []
    for name, channel in channels.items():
        judged = await judge_all(form, compared, parents=parents, seeds=np.random.SeedSequence(seeds), channel=channel)
        tables.append(judged.assign(channel=name))
    return pd.concat(tables, ignore_index=True)


def channel_rates(judged: pd.DataFrame) -> pd.DataFrame:
    """`rates` of every channel, in a column of its own."""
    parts = [rates(group).assign(channel=name) for name, group in judged.groupby("channel", sort=False)]
    return pd.concat(parts, ignore_index=True)
