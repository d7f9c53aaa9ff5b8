"""What a pool is worth that was learned with each gate.

Critic, aggregation and proposer are left out: a candidate is its parent with other numbers, for better or worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np
import pandas as pd

from agents.skill import Skill
from testbed.bench.experiments.closed_forms import ClosedForm, settings_of, skill_of
from testbed.bench.experiments.gates.comparison import BUFFERED, COMPARED, Apart, Arena, parts
from transfer.gate.advantage import ADVANTAGES
from transfer.maintenance.rules import OverCapacity
from transfer.memory.experience import Segment, Trajectory
from transfer.memory.pool import SkillPool
from transfer.nppo.aggregation import AggregateGradient
from transfer.nppo.algorithm import NPPO
from transfer.nppo.config import NPPOConfig, make_config
from transfer.nppo.gradient import Gradient
from transfer.nppo.proposal import EvolutionRequest, Proposals
from transfer.registry import gate, race


@dataclass(frozen=True)
class Untold:
    """In place of the critic: says nothing."""

    async def __call__(self, skill: Skill | None, spans: Sequence[Segment], baseline: float, seed: int) -> Gradient:
        return Gradient(spans[0].trajectory.id, spans[0].trajectory.total, "", True)


async def nothing_in_common(skill: Skill | None, gradients: Sequence[Gradient], seed: int) -> AggregateGradient:
    """In place of the aggregation."""
    return AggregateGradient(activation="", procedure="", termination="")


@dataclass(frozen=True)
class Vary:
    """In place of the proposer: the parent with other numbers."""

    form: ClosedForm

    async def __call__(self, batch: EvolutionRequest, seeds: Sequence[int]) -> Proposals:
        assert batch.parent is not None
        known = settings_of(batch.parent)
        drawn = [self.form.vary(known, np.random.default_rng(seed)) for seed in seeds]
        return Proposals(skills=tuple(skill_of(each, batch.parent) for each in drawn))


async def learn_all(
    form: ClosedForm,
    compared: Mapping[str, Mapping[str, Any]] = COMPARED,
    *,
    runs: int,
    episodes: int = 240,
    seeds: np.random.SeedSequence,
) -> pd.DataFrame:
    """Learning from one random skill with each gate, at as many tokens as `episodes` games of that skill take.

    One row per gate and learning run: run (cluster, with the same first skill for all gates), gate, first (true return
    of the first skill), best (of the pool's skill with the best online score), mean (of all its skills), admitted.
    """
    rows: list[dict[str, Any]] = []
    for run, child in enumerate(seeds.spawn(runs)):
        for name, changes in compared.items():
            rng = np.random.default_rng(child)
            found = await _learn(form, make_config("paper", changes), rng, child, episodes)
            rows.append({"run": run, "gate": name, **found})
    return pd.DataFrame(rows)


async def _learn(
    form: ClosedForm, choices: NPPOConfig, rng: np.random.Generator, seeds: np.random.SeedSequence, episodes: int
) -> dict[str, float]:
    arena = Arena(form, int(rng.integers(2**31)))
    minds = parts(arena.model)
    learner = NPPO(
        critic=Untold(),
        aggregation=nothing_in_common,
        proposer=Vary(form),
        gate=gate(minds, choices),
        race=race(minds, choices),
        embedder=Apart(),
        seeds=seeds,
        advantage=ADVANTAGES[choices.advantage](choices.gamma),
        maintenance=OverCapacity(),
        batch=choices.batch,
    )
    first = skill_of(form.draw(rng))
    state, archive, admitted = learner.begin(SkillPool.of([first], 4)), dict[str, Trajectory](), 0
    while arena.spent < arena.budget:
        turns = islice(cycle(state.pool.each()), BUFFERED)
        fresh = [await arena.one(skill, int(rng.integers(2**31))) for skill in turns]
        if not state.iteration:
            arena.budget = arena.spent * episodes / BUFFERED
        archive |= {each.id: each for each in fresh}
        state, events = await learner.iterate(state, fresh, archive.__getitem__, arena)
        admitted += sum(event.kind == "admitted" for event in events)
    true = {skill.id: form.true_return(settings_of(skill)) for skill in (first, *state.pool.each())}
    held = list(state.pool.ids)
    best = max(held, key=lambda id: (state.score(id).value if state.score(id).n else -np.inf, id))
    mean = float(np.mean([true[id] for id in held]))
    return {"first": true[first.id], "best": true[best], "mean": mean, "admitted": float(admitted)}
