"""Gate calibration: does ΔJ predict what a candidate then earns? The verdicts of a gate held against known gains."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from agents.agent import REASONING, Reasoning, SkillAgent
from agents.guide import Guidance, State
from agents.models.model import Model, Sampling
from agents.prompts import skill_text
from agents.skill import Skill
from testbed.bench.experiments.closed_forms import ClosedForm, player, settings_of, skill_of
from testbed.config.plugins import find_environment
from testbed.play.engines.rollout import play
from transfer.gate.advantage import Advantage
from transfer.gate.gate import Evidence, PPOGate
from transfer.memory.experience import Trajectory, controlled, extremes

GateFactory = Callable[[Model], PPOGate]


class Follow:
    """A guide that keeps one skill active from the first step to the last; none where there is no skill."""

    def __init__(self, skill: Skill | None) -> None:
        self._skill = skill
        self._started = False

    async def guide(self, state: State) -> Guidance:
        if self._skill is None:
            return Guidance()
        first, self._started = not self._started, True
        return Guidance(skill_text(self._skill), (self._skill.id,), self._skill.id, started=first)

    def reset(self) -> None:
        self._started = False


async def collect(
    model: Model,
    environment: str,
    skill: Skill | None,
    *,
    env_seeds: Sequence[int],
    rng: np.random.Generator,
    sampling: Sampling = Sampling(temperature=1.0),
    reasoning: Reasoning = REASONING["direct"],
) -> list[Trajectory]:
    """Episodes of a single-seat game played under one skill, all at once."""
    spec = find_environment(environment)

    async def one(env_seed: int, own: np.random.Generator) -> Trajectory:
        agent = SkillAgent("player", model, Follow(skill), own, reasoning=reasoning, sampling=sampling)
        name = f"{environment}/{skill.id if skill else 'none'}/{env_seed}"
        episodes = await play(spec, {"player_0": agent}, env_seed, trial=name, names={"player_0": "player"})
        return episodes["player_0"]

    played = zip(env_seeds, rng.spawn(len(env_seeds)), strict=True)
    return list(await asyncio.gather(*(one(env_seed, own) for env_seed, own in played)))


async def calibrate(
    form: ClosedForm,
    gate: GateFactory,
    advantage: Advantage,
    *,
    parents: int,
    candidates: int = 3,
    buffered: int = 12,
    batch: int = 6,
    seeds: np.random.SeedSequence,
) -> pd.DataFrame:
    """Random parents play, random candidates are judged on the best and worst halves of what was played.

    One row per candidate: parent (cluster), J, J_before, delta_J, stderr, noise, clipped, outcome, true_gain (expected
    return of the candidate less the parent's, in closed form).
    """
    model = player(form)
    judge = gate(model)
    rows: list[dict[str, object]] = []
    for parent_index, child in enumerate(seeds.spawn(parents)):
        rng = np.random.default_rng(child)
        parent = skill_of(form.draw(rng))
        env_seeds = [int(seed) for seed in rng.integers(2**31, size=buffered)]
        played = await collect(model, form.environment, parent, env_seeds=env_seeds, rng=rng)
        evidence = weighed(played, parent, advantage, batch)
        drawn = [skill_of(form.vary(settings_of(parent), rng), parent) for _ in range(candidates)]
        for skill, verdict in zip(drawn, await judge.judge(parent, drawn, evidence), strict=True):
            gain = form.true_return(settings_of(skill)) - form.true_return(settings_of(parent))
            rows.append({"parent": parent_index, **verdict.payload, "true_gain": gain})
    return pd.DataFrame(rows)


async def calibrate_by_play(
    model: Model,
    environment: str,
    skills: Sequence[Skill],
    gate: PPOGate,
    advantage: Advantage,
    *,
    buffered: int = 12,
    batch: int = 6,
    evaluated: int = 24,
    seeds: np.random.SeedSequence,
    sampling: Sampling = Sampling(),
) -> pd.DataFrame:
    """The same with any model: each skill is a parent in turn, all others its candidates; gains are measured by play.

    Every skill plays `evaluated` further episodes on common environment seeds. Rows as in `calibrate`; `true_gain` is
    the mean paired difference of returns, `gain_stderr` its standard error.
    """
    rng = np.random.default_rng(seeds)
    learn, test = rng.integers(2**31, size=buffered).tolist(), rng.integers(2**31, size=evaluated).tolist()
    totals: dict[str, np.ndarray] = {}
    rows: list[dict[str, object]] = []
    for skill in skills:
        episodes = await collect(model, environment, skill, env_seeds=test, rng=rng, sampling=sampling)
        totals[skill.id] = np.array([trajectory.total for trajectory in episodes])
    for parent in skills:
        played = await collect(model, environment, parent, env_seeds=learn, rng=rng, sampling=sampling)
        evidence = weighed(played, parent, advantage, batch)
        others = [skill for skill in skills if skill.id != parent.id]
        for skill, verdict in zip(others, await gate.judge(parent, others, evidence), strict=True):
            paired = totals[skill.id] - totals[parent.id]
            error = float(paired.std(ddof=1) / np.sqrt(len(paired)))
            gain = {"true_gain": float(paired.mean()), "gain_stderr": error}
            rows.append({"parent": parent.id, "skill": skill.id, **verdict.payload, **gain})
    return pd.DataFrame(rows)


def weighed(played: Sequence[Trajectory], parent: Skill, advantage: Advantage, batch: int) -> Evidence:
    """The evidence that a gate is shown of a parent's episodes: their best and worst halves."""
    baseline = float(np.mean([trajectory.total for trajectory in played]))
    spans = [span for each in extremes(played, batch) for span in controlled(each, parent.id)]
    return Evidence(tuple(spans), tuple(advantage(spans, [baseline] * len(spans))))


def curve(table: pd.DataFrame, by: str, bins: int = 5) -> pd.DataFrame:
    """Quantile bins of column `by`: mean of it, mean true gain, share of true gains above 0, pass rate, n."""
    judged = table[table[by].notna()]
    cut = pd.qcut(judged[by].rank(method="first"), bins, labels=False)
    grouped = judged.assign(
        improves=judged["true_gain"] > 0, passed=judged["outcome"] == "accepted"
    ).groupby(cut)  # fmt: skip
    means = grouped[[by, "true_gain", "improves", "passed"]].mean()
    return means.assign(n=grouped.size()).reset_index(drop=True)


def rank_correlation(
    table: pd.DataFrame, column: str, rng: np.random.Generator, *, draws: int = 2000, level: float = 0.95
) -> tuple[float, float, float]:
    """Spearman's ρ between `column` and the true gain, with a percentile interval over resampled parents."""
    judged = table[table[column].notna()]
    by_parent = [group[[column, "true_gain"]].to_numpy() for _, group in judged.groupby("parent")]
    estimates = [
        _spearman(np.concatenate([by_parent[index] for index in rng.integers(len(by_parent), size=len(by_parent))]))
        for _ in range(draws)
    ]
    low, high = np.nanquantile(estimates, [(1 - level) / 2, (1 + level) / 2])
    return _spearman(np.concatenate(by_parent)), float(low), float(high)


def _spearman(points: np.ndarray) -> float:
    ranks = pd.DataFrame(points).rank()
    return float(ranks[0].corr(ranks[1]))
