"""Gradient quality isolation: does a semantic gradient name an error that is known to be there, or noise?

A scripted player of Repeat-v0 opens boxes that it has opened before: that is the planted error. Another never does; its
returns differ by luck alone. Their trajectories are mixed, and what critic and aggregation write is searched for it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from agents.models.model import Message
from agents.models.scripted import ScriptedModel, ScriptedPolicy
from agents.skill import Skill
from environments.grammar import Choices, Grammar
from testbed.bench.experiments.gates.calibration import collect
from transfer.memory.experience import Trajectory, controlled
from transfer.nppo.aggregation import Aggregation
from transfer.nppo.evolver import Unusable
from transfer.nppo.gradient import Critic, Gradient

ENVIRONMENT = "Repeat-v0"
NAMED = re.compile(
    r"\b(?:repeat|again\b|twice\b|already\b|previously\b|duplicate|re-?open|same (?:box|number|move|choice)|"
    r"(?:opened|tried|chosen|picked|guessed)\b.{0,20}\bbefore\b|not (?:yet )?(?:been )?opened|"
    r"(?:new|different|another|unopened|untried|unique) (?:box|number|one))",
    re.IGNORECASE | re.DOTALL,
)
"""Ways of saying "do not open a box twice". Crude: clean trajectories tell how often it fires for nothing."""


def names_repetition(text: str) -> bool:
    """Whether a text speaks of opening the same box again."""
    return NAMED.search(text) is not None


def repeater(messages: tuple[Message, ...], grammar: Grammar | None) -> dict[str, float] | None:
    """Opens an earlier box again with chance .75, whenever there is one."""
    return _mixed(messages, grammar, 0.75)


def diligent(messages: tuple[Message, ...], grammar: Grammar | None) -> dict[str, float] | None:
    """Never opens a box twice."""
    return _mixed(messages, grammar, 0.0)


def _mixed(messages: Sequence[Message], grammar: Grammar | None, again: float) -> dict[str, float] | None:
    if not isinstance(grammar, Choices):
        return None
    answers = {message.content for message in messages if message.role == "assistant"}
    old = [option for option in grammar.options if option in answers]
    new = [option for option in grammar.options if option not in answers]
    share = again if old else 0.0
    odds = {option: share / len(old) for option in old}
    return odds | {option: (1 - share) / len(new) for option in new}


def text_of(gradient: Gradient) -> str:
    return "\n".join((gradient.diagnosis, gradient.activation, gradient.procedure, gradient.termination))


async def isolate(
    critic: Critic,
    aggregation: Aggregation,
    skill: Skill,
    *,
    noise: Sequence[int],
    replicates: int,
    batch: int = 6,
    seeds: np.random.SeedSequence,
) -> pd.DataFrame:
    """Batches in which `noise` of `batch` trajectories are free of the planted error.

    One row per text: noise, replicate (cluster), level ("planted", "clean" or "aggregate"), total (of its trajectory),
    named (does it speak of the error; missing where the critic gave nothing usable), text.
    """
    rows: list[tuple[int, int, str, float, bool | None, str]] = []
    for share in noise:
        for replicate, child in enumerate(seeds.spawn(replicates)):
            rng = np.random.default_rng(child)
            played = await _play(repeater, batch - share, skill, rng) + await _play(diligent, share, skill, rng)
            baseline = float(np.mean([trajectory.total for trajectory in played]))
            found = await asyncio.gather(
                *(_criticise(critic, skill, each, baseline, int(rng.integers(2**31))) for each in played)
            )
            texts = [each if isinstance(each, str) else text_of(each) for each in found]
            named = [None if isinstance(each, str) else names_repetition(text_of(each)) for each in found]
            levels = ["planted"] * (batch - share) + ["clean"] * share
            totals = [trajectory.total for trajectory in played]
            gradients = [each for each in found if isinstance(each, Gradient)]
            if gradients:
                direction = await aggregation(skill, gradients, int(rng.integers(2**31)))
                texts.append(direction.lines)
                named.append(names_repetition(direction.lines))
                levels.append("aggregate")
                totals.append(baseline)
            rows += [(share, replicate, *parts) for parts in zip(levels, totals, named, texts, strict=True)]
    return pd.DataFrame(rows, columns=["noise", "replicate", "level", "total", "named", "text"])


async def _criticise(critic: Critic, skill: Skill, played: Trajectory, baseline: float, seed: int) -> Gradient | str:
    try:
        return await critic(skill, controlled(played, skill.id), baseline, seed)
    except Unusable as error:
        return str(error)


async def _play(policy: ScriptedPolicy, count: int, skill: Skill, rng: np.random.Generator) -> list[Trajectory]:
    model = ScriptedModel(policy.__name__, policy)
    env_seeds = [int(seed) for seed in rng.integers(2**31, size=count)]
    return await collect(model, ENVIRONMENT, skill, env_seeds=env_seeds, rng=rng)


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """Share of texts that name the error, by noise (rows) and level: hits, but for "clean" false alarms."""
    usable = table[table["named"].notna()]
    return usable.assign(named=usable["named"].astype(float)).pivot_table(
        index="noise", columns="level", values="named", aggfunc="mean"
    )
