"""`LEARNERS`: every learner of a pool by name, each a factory from models and named choices to an object; and memories
read back from what they wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar, cast

import numpy as np
from pydantic import ValidationError

from agents.embedding import Embedder
from agents.models.model import Model
from agents.skill import AS_WRITTEN
from transfer.gate.acceptance import ACCEPTANCES
from transfer.gate.advantage import ADVANTAGES
from transfer.gate.gate import GATES, Gate, PPOGate
from transfer.gate.objective import LIKELIHOODS, REDUCTIONS
from transfer.gate.race import ENTRIES, Decider, NoRace, Race, TestOf
from transfer.gate.replay import SCORING_POLICIES
from transfer.maintenance.credit import BASELINES, CREDITS
from transfer.maintenance.rules import MAINTENANCE, Maintenance
from transfer.memories.kinds import MEMORIES
from transfer.memories.lessons import Means, MemoryKind
from transfer.memories.pools.best_answer import BestAnswer
from transfer.memories.pools.fixed import Fixed
from transfer.memories.pools.keep_best import KeepBest
from transfer.memories.pools.notes import CueNotes
from transfer.memory.learner import AnyLearner, PoolLearner
from transfer.memory.memory import FORMAT, VERSION, Memory
from transfer.memory.pool import FORMAT as POOL_FORMAT
from transfer.memory.pool import PoolError, SkillPool, parse_document
from transfer.nppo.aggregation import AGGREGATIONS
from transfer.nppo.algorithm import NPPO
from transfer.nppo.config import PAPER, ChoiceError, NPPOConfig
from transfer.nppo.gradient import CRITICS
from transfer.nppo.priority import PRIORITIES
from transfer.nppo.proposal import Evolve

T = TypeVar("T")

PARTS: Mapping[str, Mapping[str, Any]] = {
    "critic": CRITICS,
    "aggregation": AGGREGATIONS,
    "gate": GATES,
    "advantage": ADVANTAGES,
    "acceptance": ACCEPTANCES,
    "whose": SCORING_POLICIES,
    "maintenance": MAINTENANCE,
    "priority": PRIORITIES,
    "credit": CREDITS,
    "baseline": BASELINES,
}
"""The parts of the learner that a study names, by choice: name → factory."""


class Resolve(Protocol):
    """What a name means: looked up among ours, or wherever else names are found."""

    def __call__(self, known: Mapping[str, T], name: str, *, group: str) -> T: ...


def ours(known: Mapping[str, T], name: str, *, group: str) -> T:
    """One of our own parts. Raises ChoiceError."""
    if name not in known:
        raise ChoiceError(f"{group}: no such choice as {name!r}; there are: {', '.join(known)}")
    return known[name]


def check_parts(choices: NPPOConfig, resolve: Resolve = ours) -> None:
    """Whether every named part can be found. Raises as `resolve` does."""
    for choice, known in PARTS.items():
        resolve(known, getattr(choices, choice), group=f"learning.choices.{choice}")


@dataclass(frozen=True)
class LearnerModels:
    """The models a learner may ask: who acted (and how warmly), who proposes, who else judges; and the embedder."""

    actor: Model
    evolver: Model
    embedder: Embedder
    panel: tuple[Model, ...] = ()
    """Further models for the `receiver` (the first) and `panel` scorers."""
    temperature: float = 0.6
    """At which the actor's moves were drawn."""
    resolve: Resolve = ours
    """How the names of parts are found."""
    duel_tests: Mapping[str, TestOf] = field(default_factory=dict[str, TestOf])
    """The tests by which duels are decided, by name."""


class LearnerFactory(Protocol):
    def __call__(
        self, minds: LearnerModels, seeds: np.random.SeedSequence, choices: NPPOConfig = PAPER
    ) -> PoolLearner: ...


def nppo(minds: LearnerModels, seeds: np.random.SeedSequence, choices: NPPOConfig = PAPER) -> PoolLearner:
    """Algorithm 1 with these choices. Raises ChoiceError when a scorer is asked for whom nobody named."""
    find = minds.resolve
    return NPPO(
        critic=find(CRITICS, choices.critic, group="learning.choices.critic")(minds.evolver),
        aggregation=find(AGGREGATIONS, choices.aggregation, group="learning.choices.aggregation")(minds.evolver),
        proposer=Evolve(minds.evolver),
        gate=gate(minds, choices),
        race=race(minds, choices),
        embedder=minds.embedder,
        seeds=seeds,
        advantage=find(ADVANTAGES, choices.advantage, group="learning.choices.advantage")(choices.gamma),
        maintenance=maintenance(choices, find),
        priority=find(PRIORITIES, choices.priority, group="learning.choices.priority")(choices.parents),
        batch=choices.batch,
        candidates=choices.candidates,
        related=choices.related,
        cooldown=choices.cooldown,
        **bookkeeping(choices, find),
    )


def gate(minds: LearnerModels, choices: NPPOConfig) -> Gate:
    """The gate of these choices. Raises ChoiceError when a scorer is asked for whom nobody named."""
    make = minds.resolve(GATES, choices.gate, group="learning.choices.gate")
    return make(partial(_own_gate, minds, choices))


def race(minds: LearnerModels, choices: NPPOConfig) -> Decider:
    """What follows the gate of these choices. Raises ChoiceError where nobody gave the test that a race needs."""
    if choices.gate not in ENTRIES:
        return NoRace()
    if choices.duel_test not in minds.duel_tests:
        raise ChoiceError(f'gate = "{choices.gate}" needs a test of its duels, and there is none here')
    return Race(
        minds.duel_tests[choices.duel_test],
        ENTRIES[choices.gate],
        level=choices.duel_level,
        margin=choices.duel_margin,
        pairs=choices.duel_pairs,
        look=choices.duel_look,
        screen=choices.screen,
        against_parent=choices.duel_opponent == "parent",
    )


def _own_gate(minds: LearnerModels, choices: NPPOConfig) -> PPOGate:
    if choices.scorer in ("receiver", "panel") and not minds.panel:
        raise ChoiceError(f'scorer = "{choices.scorer}" needs another agent to score; take "actor" or "evolver"')
    scorers: dict[str, tuple[Model, ...]] = {
        "actor": (minds.actor,),
        "evolver": (minds.evolver,),
        "receiver": minds.panel[:1],
        "panel": (minds.actor, *minds.panel),
    }
    return ppo_gate(scorers[choices.scorer], minds.temperature, choices, minds.resolve)


def ppo_gate(scorers: tuple[Model, ...], temperature: float, choices: NPPOConfig, resolve: Resolve = ours) -> PPOGate:
    """The gate whose ratios these models compute of moves that were drawn at this temperature."""
    voice = resolve(SCORING_POLICIES, choices.whose, group="learning.choices.whose")
    acceptance = resolve(ACCEPTANCES, choices.acceptance, group="learning.choices.acceptance")
    return PPOGate(
        scorers,
        acceptance=acceptance(choices.margin),
        voice=voice(temperature, choices.reasoning == "given"),
        likelihood=LIKELIHOODS[choices.likelihood],
        reduction=REDUCTIONS[choices.reduction],
        clip=choices.clip,
    )


def maintenance(choices: NPPOConfig, resolve: Resolve = ours) -> Maintenance:
    """What leaves the pool by these choices."""
    return resolve(MAINTENANCE, choices.maintenance, group="learning.choices.maintenance")(choices.evidence)


def bookkeeping(choices: NPPOConfig, resolve: Resolve = ours) -> dict[str, Any]:
    """How every learner keeps scores and baselines."""
    return {
        "credit": resolve(CREDITS, choices.credit, group="learning.choices.credit")(),
        "baseline": resolve(BASELINES, choices.baseline, group="learning.choices.baseline")(choices.alpha),
    }


def fixed(minds: LearnerModels, seeds: np.random.SeedSequence, choices: NPPOConfig = PAPER) -> PoolLearner:
    return Fixed(**bookkeeping(choices, minds.resolve))


def keep_best(minds: LearnerModels, seeds: np.random.SeedSequence, choices: NPPOConfig = PAPER) -> PoolLearner:
    return KeepBest(**bookkeeping(choices, minds.resolve))


def notes(minds: LearnerModels, seeds: np.random.SeedSequence, choices: NPPOConfig = PAPER) -> PoolLearner:
    return CueNotes(**bookkeeping(choices, minds.resolve))


def best_answer(minds: LearnerModels, seeds: np.random.SeedSequence, choices: NPPOConfig = PAPER) -> PoolLearner:
    return BestAnswer(**bookkeeping(choices, minds.resolve))


@dataclass(frozen=True)
class Without:
    """An ablation: NP-PPO with one part taken out."""

    changes: Mapping[str, Any]

    def __call__(self, minds: LearnerModels, seeds: np.random.SeedSequence, choices: NPPOConfig = PAPER) -> PoolLearner:
        return nppo(minds, seeds, choices.model_copy(update=dict(self.changes)))


LEARNERS: dict[str, LearnerFactory] = {
    "nppo": nppo,
    "nppo-without-gradient": Without({"critic": "neutral-summary"}),
    "nppo-without-gate": Without({"gate": "none"}),
    "nppo-without-score": Without({"maintenance": "fifo"}),
    "fixed": fixed,
    "keep-best": keep_best,
    "notes": notes,
    "best-answer": best_answer,
}


def memory_learner(
    minds: LearnerModels, seeds: np.random.SeedSequence, kind: MemoryKind, choices: Mapping[str, Any]
) -> AnyLearner:
    """The learner of a memory of the field. Raises ChoiceError."""
    return kind.make(Means(minds.actor, minds.evolver, minds.embedder, seeds), choices)


def load_memory(text: str, place: str, resolve: Resolve = ours) -> Memory:
    """What a memory's `dumps` wrote, a pool's among them. Raises PoolError, or as `resolve` for an unknown kind."""
    document = parse_document(text, place)
    if document.get("format") == POOL_FORMAT:
        return SkillPool.loads(text, place)
    if document.get("format") != FORMAT or document.get("version") != VERSION:
        raise PoolError(f'{place} is not a memory: its "format" is not "{FORMAT}", version {VERSION}')
    kind = cast("object", resolve(MEMORIES, str(document.get("memory")), group="memories.learner"))  # or anybody's
    if not isinstance(kind, MemoryKind):
        raise PoolError(f"{place} is not a usable memory: {str(document.get('memory'))[:60]!r} is no kind of memory")
    try:
        memory = kind.value.model_validate(document.get("content"), context=AS_WRITTEN)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PoolError(f"{place} is not a usable memory: at {where}, {first['msg']}") from None
    if document.get("digest") != memory.digest:
        raise PoolError(f"{place} was changed after it was written: its content is not that of its digest")
    return memory
