"""Non-Parametric PPO: the pool of skills learns, no weight does (paper section 4, Algorithm 1)."""

from __future__ import annotations

import asyncio
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from agents.embedding import Embedder
from agents.skill import Skill
from transfer.gate.advantage import Advantage, ReturnToGo
from transfer.gate.gate import Evidence, Gate
from transfer.gate.race import Decider, Heat, NoRace
from transfer.maintenance.credit import BaselineRule, Credit, RunningMean, StepMean, observe
from transfer.maintenance.failure_signatures import warnings
from transfer.maintenance.rules import Always, Maintenance
from transfer.memory.events.event import Event
from transfer.memory.events.evolution import GradientsAggregated, GradientTaken, Proposed
from transfer.memory.events.line import SkillTexts
from transfer.memory.experience import Recall, Segment, Trajectory, controlled, extremes, recalled
from transfer.memory.learner import Play, unplayable
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState
from transfer.nppo.aggregation import Aggregation
from transfer.nppo.evolution import Evolution, settle
from transfer.nppo.evolver import Unusable
from transfer.nppo.gradient import Critic, Gradient
from transfer.nppo.priority import ByPotential, Priority
from transfer.nppo.proposal import EvolutionRequest, Proposer


@dataclass(frozen=True)
class NPPO:
    """Algorithm 1 with its parts as objects; an ablation is another part."""

    critic: Critic
    aggregation: Aggregation
    proposer: Proposer
    gate: Gate
    embedder: Embedder
    seeds: np.random.SeedSequence
    race: Decider = field(default_factory=NoRace)
    advantage: Advantage = field(default_factory=ReturnToGo)
    maintenance: Maintenance = field(default_factory=Always)
    priority: Priority = field(default_factory=ByPotential)
    credit: Credit = field(default_factory=StepMean)
    baseline: BaselineRule = field(default_factory=RunningMean)
    batch: int = 6
    """Trajectories per evolution: the best and the worst half of a skill's buffer."""
    candidates: int = 3
    """N_c."""
    related: float = 0.5
    """Share of related gradients from which on a skill is refined, not replaced."""
    cooldown: int = 3
    """Iterations for which a skill with an offspring admitted is no parent again."""

    def begin(self, pool: SkillPool) -> LearnerState:
        return LearnerState.begin(pool)

    async def iterate(
        self, state: LearnerState, fresh: Sequence[Trajectory], recall: Recall, play: Play = unplayable
    ) -> tuple[LearnerState, list[Event]]:
        """Score the skills just used, evolve the most promising parents, admit what the gate lets in, prune."""
        born = state.seed_events()
        state, scored = observe(state, fresh, self.credit, self.baseline)
        parents = self.priority.parents(state, self.batch)
        evolutions = await asyncio.gather(*(self._evolve(state, parent, recall) for parent in parents))
        # One after another: whoever races first spends of what all may spend, and that must not depend on haste.
        extra = state.extra
        for evolution in evolutions:
            extra += await self._decide(state, evolution, play)
        state, deaths = settle(
            state, evolutions, self.maintenance, self.embedder, keep=self.batch // 2, cooldown=self.cooldown
        )
        state, alarms = warnings(_with_return(state, fresh), self.embedder)
        said = [event for evolution in evolutions for event in evolution.events]
        update = {"iteration": state.iteration + 1, "extra": extra}
        return state.model_copy(update=update), [*born, *scored, *said, *deaths, *alarms]

    async def _evolve(self, state: LearnerState, parent_id: str, recall: Recall) -> Evolution:
        """Hindsight attribution, aggregation, N_c candidates, the gate's verdicts: for one parent."""
        parent = state.pool.get(parent_id)
        batch = extremes(recalled(state.buffer[parent_id], recall), self.batch)
        evolution = Evolution(parent_id, state.iteration + 1, tuple(trajectory.id for trajectory in batch))
        evolution.task = batch[0].task if batch else ""
        if len(batch) < self.batch:
            return evolution.skip("too few of its trajectories can be recalled")
        spans = [controlled(trajectory, parent_id) for trajectory in batch]
        baselines = [state.baselines[trajectory.task].mean for trajectory in batch]
        rng = self._generator(evolution)

        gradients = await self._attribute(evolution, parent, spans, baselines, rng)
        if not gradients:
            return evolution.skip("none of its trajectories gave a usable gradient")
        related = [each for each in gradients if each.is_related]
        evolution.mode = "REFINE" if len(related) >= self.related * len(gradients) else "DISCOVER"
        used = related if related and evolution.mode == "REFINE" else gradients
        direction = await self.aggregation(parent, used, _seed(rng))
        evolution.note(GradientsAggregated, mode=evolution.mode, related=len(related), **direction.model_dump())

        asked = EvolutionRequest(parent, batch[0].rules, evolution.mode, direction, tuple(used))
        proposals = await self.proposer(asked, [_seed(rng) for _ in range(self.candidates)])
        for why in proposals.problems:
            evolution.skip(why)
        for skill in proposals.skills:
            if skill.id in state.pool or skill.id in state.deaths:
                evolution.skip(f"candidate {skill.id} is in the pool or was pruned from it before")
                continue
            evolution.candidates.append(skill)
            evolution.note(Proposed, skill=skill, mode=evolution.mode, texts=SkillTexts.of(skill))

        flat = [(span, base) for group, base in zip(spans, baselines, strict=True) for span in group]
        controlled_spans = tuple(span for span, _ in flat)
        advantages = self.advantage(controlled_spans, [base for _, base in flat])
        evidence = Evidence(controlled_spans, tuple(advantages))
        evolution.verdicts = await self.gate.judge(parent, evolution.candidates, evidence)
        return evolution

    async def _decide(self, state: LearnerState, evolution: Evolution, play: Play) -> int:
        """The last word on the candidates, and who is admitted; gives the episodes that were played for it."""
        if not evolution.candidates:
            return 0
        heat = Heat(
            state.pool.get(evolution.parent),
            evolution.candidates,
            evolution.verdicts,
            evolution.task,
            state.pool.capacity,
            evolution.iteration,
            self._generator(evolution, "duels"),
        )
        result = await self.race.decide(heat, play)
        evolution.events += result.duels
        evolution.judged(result.verdicts)
        return result.episodes

    async def _attribute(
        self,
        evolution: Evolution,
        parent: Skill,
        spans: Sequence[Sequence[Segment]],
        baselines: Sequence[float],
        rng: np.random.Generator,
    ) -> list[Gradient]:
        """One gradient per trajectory, all asked for at once; an unusable one is noted and left out."""
        asked = [
            self.critic(parent, group, baseline, _seed(rng)) for group, baseline in zip(spans, baselines, strict=True)
        ]
        gradients: list[Gradient] = []
        for found in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(found, Unusable):
                evolution.skip(str(found))
            elif isinstance(found, BaseException):
                raise found
            else:
                gradients.append(found)
                evolution.note(GradientTaken, trajectories=(found.trajectory,), **found.fields)
        return gradients

    def _generator(self, evolution: Evolution, *purpose: str) -> np.random.Generator:
        """Keyed by what is evolved and from which trajectories.

        So a resumed run draws what an uninterrupted one would have drawn, and independent runs draw independently.
        """
        named = " ".join((evolution.parent, str(evolution.iteration), *evolution.trajectories, *purpose))
        key = (*self.seeds.spawn_key, zlib.crc32(named.encode()))
        return np.random.default_rng(np.random.SeedSequence(self.seeds.entropy, spawn_key=key))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _with_return(state: LearnerState, fresh: Sequence[Trajectory]) -> LearnerState:
    totals = [trajectory.total for trajectory in fresh if math.isfinite(trajectory.total)]
    return state.model_copy(update={"returns": (*state.returns, fmean(totals))}) if totals else state
