"""Members of a population for the tests of exchange: skills, states, one exchange, and games already played."""

from __future__ import annotations

import asyncio

import numpy as np

from agents.embedding import LexicalEmbedder
from agents.skill import Skill
from environments.grammar import dump
from environments.registry import ENVIRONMENTS
from transfer.exchange.admission import OnTrust
from transfer.exchange.exchange import Terms
from transfer.exchange.policies import EXCHANGES
from transfer.exchange.population import Population, RoundOutcome
from transfer.maintenance.intake import Intake
from transfer.maintenance.rules import Always, FirstInFirstOut
from transfer.memory.experience import Step, Trajectory
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState, Score

KEEP = Intake(FirstInFirstOut(), LexicalEmbedder())
JUDGE = Intake(Always(), LexicalEmbedder())


def skill(name: str, procedure: str = "do it", parents: tuple[str, ...] = ()) -> Skill:
    return Skill(name=name, activation=f"when {name}", procedure=procedure, termination="never", parents=parents)


def state(
    *skills: Skill, capacity: int = 4, scores: dict[str, float] | None = None, iteration: int = 1
) -> LearnerState:
    pool = SkillPool.of(skills, capacity)
    known = {id: Score(gain=4 * value, n=4) for id, value in (scores or {}).items()}
    return LearnerState(pool=pool, born=dict.fromkeys(pool.ids, 0), scores=known, iteration=1)


def society(**members: LearnerState) -> Population:
    return Population.of(members)


def played(round: int = 1, seed: int = 0, **merits: float) -> RoundOutcome:
    return RoundOutcome(round, merits, np.random.default_rng(seed))


def exchange(name: str, before: Population, round: int = 1, intake: Intake = KEEP, admission=None, base=None, **terms):
    policy = EXCHANGES[name](Terms(**terms), admission or OnTrust(), intake)
    merits = {each: float(place) for place, each in enumerate(before.playing)}
    return asyncio.run(policy.exchange(base or before, before, played(round, **merits)))


def holders(found: Population, id: str) -> list[str]:
    return [name for name, member in found.members.items() if id in member.state.pool]


SIGN, DOOR = "owl", "[green]"


def trajectory(name: str, right: bool) -> Trajectory:
    """One round of Doors, played without a skill."""
    spec = ENVIRONMENTS["Doors-v0"]
    step = Step(
        observation=f"The sign shows: {SIGN}. Which door?",
        action=DOOR if right else "[red]",
        completion=DOOR if right else "[red]",
        reward=float(right),
        grammar=dump(spec.grammar),
    )
    return Trajectory(
        id=f"{name}/player_0", agent=name, task="Doors-v0", env_seed=0, rules="Doors.", steps=(step,), total=step.reward
    )


STORED = {each.id: each for each in (trajectory(f"t{index}", index % 2 == 0) for index in range(6))}
