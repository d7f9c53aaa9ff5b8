"""Does the gate work where an action is a number? By how finely it is written, with players of known worth and a model.

A ratio of numbers is the product of the ratios of their digits. Where a skill moves the number alone, more digits say
nothing new; where digits have likings of their own, each adds its noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from agents.models.model import Likelihood, Model, Sampling
from agents.skill import Skill
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import REAL, Scale, mean_intervals
from testbed.bench.experiments.gates.calibration import calibrate, collect, rank_correlation
from testbed.bench.experiments.players.setpoint import (
    FineSetpointPlayer,
    PairPlayer,
    SetpointPlayer,
    WholeSetpointPlayer,
)
from transfer.gate.acceptance import Improvement
from transfer.gate.advantage import StepBaseline
from transfer.gate.gate import PPOGate
from transfer.gate.replay import ActingPolicy, replay
from transfer.memory.experience import Trajectory, controlled

CLIP = 0.2
JITTER = 1.0
"""Log-odds (standard deviation) by which a wording favours a digit, in players that have such likings."""
PLAYERS: Mapping[str, SetpointPlayer | PairPlayer] = {
    "whole numbers": WholeSetpointPlayer(),
    "1 decimal": SetpointPlayer(),
    "3 decimals": FineSetpointPlayer(),
    "1 decimal, digits with likings": SetpointPlayer(jitter=JITTER),
    "3 decimals, digits with likings": FineSetpointPlayer(jitter=JITTER),
    "two whole numbers": PairPlayer(),
}
STEPS = (0.2, 0.8, 2.0)
"""Sizes of a candidate's change, of a number from 0 to 10."""
VAGUE = Skill(
    name="Setting", activation="Always.", procedure="Set the heat somewhere near the middle.", termination="Never."
)
REPHRASED = Skill(
    name="Setting", activation="Always.", procedure="Choose a heat that is about in the middle.", termination="Never."
)
RIGHT = Skill(name="Setting", activation="Always.", procedure="The right heat is 7.3. Set 7.3.", termination="Never.")
"""Skills that a model is asked to follow: the first plays, the others are its candidates."""


def gate(model: Model) -> PPOGate:
    return PPOGate((model,), acceptance=Improvement(), voice=ActingPolicy(temperature=1.0), clip=CLIP, repeats=0)


async def by_precision(*, parents: int, seed: int, steps: Sequence[float] = (0.8,)) -> pd.DataFrame:
    """`calibrate` with each of PLAYERS and each size of change, which stand in columns `player` and `step`."""
    parts: list[pd.DataFrame] = []
    for name, form in PLAYERS.items():
        for step in steps:
            changed = replace(form, step=step)
            seeds = np.random.SeedSequence(seed)
            judged = await calibrate(changed, gate, StepBaseline(0.0), parents=parents, seeds=seeds)
            parts.append(judged.assign(player=name, step=step))
    return pd.concat(parts, ignore_index=True)


def agreement(judged: pd.DataFrame, *, draws: int = 500, level: float = 0.95) -> pd.DataFrame:
    """Per player and size of change: rank correlation of ΔJ with the true gain, what passes, and how much is right.

    Columns: player, step, rho, low, high (all together at `level`, over parents), passed, right (share of the passed
    that gain; NaN where none passed), improving (share of all that gain), clipped, n.
    """
    groups = judged.groupby(["player", "step"], sort=False)
    each = 1 - (1 - level) / groups.ngroups
    rows: list[dict[str, Any]] = []
    for (player, step), table in groups:
        rho, low, high = rank_correlation(table, "delta_J", np.random.default_rng(0), draws=draws, level=each)
        passed, gains = table["outcome"] == "accepted", table["true_gain"] > 0
        rows.append(
            {"player": player, "step": step, "rho": rho, "low": low, "high": high, "passed": float(passed.mean()),
             "right": float(gains[passed].mean()), "improving": float(gains.mean()),
             "clipped": float(table["clipped"].mean()), "n": len(table)}
        )  # fmt: skip
    return pd.DataFrame(rows)


async def ratios(
    model: Model, *, decimals: Sequence[int], episodes: int, seed: int, temperature: float = 1.0
) -> pd.DataFrame:
    """A model plays Setpoint under VAGUE; the ratios of its numbers under REPHRASED and RIGHT, by how finely they are
    written.

    One row per step: decimals, candidate, episode (cluster), log_ratio (nats, of the whole number), tokens (of the
    move), reward; and under RIGHT games of its own, in rows whose log_ratio is NaN.
    """
    voice, sampling = ActingPolicy(temperature), Sampling(temperature=temperature)
    rows: list[dict[str, Any]] = []
    for count in decimals:
        name = f"Setpoint-v0:decimals={count}"
        rng = np.random.default_rng([seed, count])
        env_seeds = rng.integers(2**31, size=episodes).tolist()
        played = await collect(model, name, VAGUE, env_seeds=env_seeds, rng=rng, sampling=sampling)
        spans = [span for each in played for span in controlled(each, VAGUE.id)]
        asked = [[each for span in spans for each in replay(span, skill, voice, "direct")]
                 for skill in (VAGUE, REPHRASED, RIGHT)]  # fmt: skip
        scored = await model.score([each for one in asked for each in one])
        parent, *others = (scored[start : start + len(asked[0])] for start in range(0, len(scored), len(asked[0])))
        for candidate, likelihoods in zip(("rephrased", "right"), others, strict=True):
            rows += _rows(_steps(played), parent, likelihoods, {"decimals": count, "candidate": candidate})
        obeyed = await collect(model, name, RIGHT, env_seeds=env_seeds, rng=rng, sampling=sampling)
        rows += [
            {"decimals": count, "candidate": "played right", "episode": episode, "log_ratio": np.nan,
             "tokens": len(step.tokens or ()), "reward": step.reward}
            for episode, each in enumerate(obeyed) for step in each.steps
        ]  # fmt: skip
    return pd.DataFrame(rows)


def _steps(played: Sequence[Trajectory]) -> list[tuple[int, float]]:
    """Episode and reward of every step."""
    return [(episode, step.reward) for episode, each in enumerate(played) for step in each.steps]


def _rows(
    steps: Sequence[tuple[int, float]],
    parent: Sequence[Likelihood],
    candidate: Sequence[Likelihood],
    labels: Mapping[str, Any],
) -> list[dict[str, Any]]:
    return [
        {
            **labels,
            "episode": episode,
            "log_ratio": new.total - old.total,
            "tokens": len(old.logprobs),
            "reward": reward,
        }
        for (episode, reward), old, new in zip(steps, parent, candidate, strict=True)
    ]


def spread(table: pd.DataFrame) -> pd.DataFrame:
    """Per precision and candidate: how far ratios lie from 1.

    Columns: decimals, candidate, size (mean of |log ρ| in nats) with low and high (95 %, over episodes), clipped (share
    of ρ outside 1 ± CLIP), effective (share of the steps that weighted ones are worth: (Σρ)² / (n Σρ²)), tokens, steps,
    episodes.
    """
    rows: list[dict[str, Any]] = []
    for (decimals, candidate), group in table[table["log_ratio"].notna()].groupby(
        ["decimals", "candidate"], sort=False
    ):
        weights = np.exp(group["log_ratio"].to_numpy(float))
        by_episode = group["log_ratio"].abs().groupby(group["episode"]).mean()
        (each,) = mean_intervals(by_episode.to_numpy(float)[None], _plain(), Scale(low=0.0))
        rows.append(
            {"decimals": decimals, "candidate": candidate, "size": each.estimate, "low": each.low, "high": each.high,
             "clipped": float((np.abs(weights - 1) > CLIP).mean()),
             "effective": float(weights.sum() ** 2 / (len(weights) * (weights**2).sum())),
             "tokens": float(group["tokens"].mean()), "steps": len(group), "episodes": each.clusters}
        )  # fmt: skip
    return pd.DataFrame(rows)


def obedience(table: pd.DataFrame) -> pd.DataFrame:
    """Per precision: return under RIGHT less that under VAGUE, on common environment seeds, 95 % over episodes."""
    totals = table.groupby(["decimals", "candidate", "episode"])["reward"].sum().unstack("candidate")
    gains = (totals["played right"] - totals["rephrased"]).unstack("episode")
    found = mean_intervals(gains.to_numpy(float), _plain(), REAL)
    means = totals.groupby("decimals")[["rephrased", "played right"]].mean()
    return pd.DataFrame(
        {"decimals": decimals, "vague": means.loc[decimals, "rephrased"], "right": means.loc[decimals, "played right"],
         "gain": each.estimate, "low": each.low, "high": each.high, "episodes": each.clusters}
        for decimals, each in zip(gains.index, found, strict=True)
    )  # fmt: skip


def _plain() -> Resampler:
    return Resampler(np.random.default_rng(0))
