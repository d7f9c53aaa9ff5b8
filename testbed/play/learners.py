"""From a study's names to learners, and to the policies by which they exchange skills."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from agents.models.adapters.metered import Metered
from analysis.statistics.sequential.e_processes import BoundedTest, SymmetricTest
from analysis.statistics.sequential.evidence import SequentialProcess
from environments.spec import EnvSpec
from testbed.config.agent import AgentConfig
from testbed.config.memory import MemoryConfig
from testbed.config.plugins import resolve
from testbed.config.pool import PoolConfig
from testbed.config.population import PolicyConfig
from testbed.config.study import ConfigError, StudyConfig
from testbed.play.lab import Lab
from testbed.play.players import Players
from testbed.records.keys import LearnerKey
from transfer.contamination.poison import POISONS, Poison
from transfer.exchange.admission import Admission
from transfer.exchange.exchange import Exchange, Terms
from transfer.exchange.policies import ADMISSIONS, EXCHANGES, AdmissionFactory, ExchangeFactory
from transfer.gate.advantage import StepBaseline
from transfer.gate.gate import PPOGate
from transfer.gate.race import ENTRIES, Process, TestOf
from transfer.maintenance.intake import Intake
from transfer.memories.kinds import MEMORIES
from transfer.memories.lessons import MemoryKind
from transfer.memory.learner import AnyLearner, PoolLearner
from transfer.nppo.config import NPPOConfig, make_config
from transfer.registry import LEARNERS, LearnerModels, maintenance, memory_learner, ppo_gate


def build_learners(config: StudyConfig, players: Players) -> dict[str, PoolLearner]:
    """A learner per agent. The evolver is the acting model unless the study names another.

    Raises ConfigError for an unknown learner, ChoiceError for an unknown choice.
    """
    learning = config.learning
    make = resolve(LEARNERS, learning.learner, group="learning.learner")
    choices = make_config(learning.preset, learning.choices)
    if config.study == "population" and choices.gate in ENTRIES:
        raise ConfigError(
            f'learning.choices.gate: members of a population play no duels ("{choices.gate}"); take "ppo"'
        )
    seeds = np.random.SeedSequence(config.seed)

    def learner(agent: AgentConfig) -> PoolLearner:
        return make(_models(config, players, agent), seeds, choices)

    return {agent.name: learner(agent) for agent in config.agents}


def build_memory_learners(config: StudyConfig, players: Players) -> dict[str, AnyLearner]:
    """A learner per memory and agent, as `LearnerKey.who` calls them.

    Raises ConfigError for an unknown memory or one that cannot share experience, ChoiceError for an unknown choice.
    """
    learners: dict[str, AnyLearner] = {}
    for memory in config.memories:
        kind = memory_kind(memory)
        for agent in config.agents:
            who = LearnerKey(agent.name, "", 0, memory.name).who
            if kind is None:
                learning = config.learning.model_copy(update={"learner": memory.learner, "choices": memory.choices})
                learners[who] = build_learners(config.model_copy(update={"learning": learning}), players)[agent.name]
            else:
                seeds = np.random.SeedSequence([config.seed, zlib.crc32(who.encode())])
                learners[who] = memory_learner(_models(config, players, agent), seeds, kind, memory.choices)
    return learners


def memory_kind(memory: MemoryConfig) -> MemoryKind | None:
    """Which memory of the field a study names; None for a learner of a skill pool. Raises ConfigError, ChoiceError."""
    place = f"memories.{memory.name}.learner"
    if memory.learner in LEARNERS and memory.learner not in MEMORIES:
        return None
    kind = resolve(MEMORIES, memory.learner, group="memories.learner", place=place)
    if memory.experience == "shared" and kind.needs_own(memory.choices):
        raise ConfigError(f'{place}: "{memory.learner}" plays episodes of its own; write experience = "own"')
    return kind


def _models(config: StudyConfig, players: Players, agent: AgentConfig) -> LearnerModels:
    """What the learner of one agent may ask, each with a meter. The evolver is the acting model unless one is named."""
    metered = {name: Metered(model, name, "learn") for name, model in players.models.items()}
    others = tuple(metered[other.name] for other in config.agents if other.name != agent.name)
    named = config.learning.evolver
    evolver = named.name if isinstance(named, AgentConfig) else named or agent.name
    return LearnerModels(
        metered[agent.name],
        metered[evolver],
        players.embedder,
        others,
        agent.temperature,
        resolve,
        duel_tests(players.tasks),
    )


def duel_tests(tasks: Mapping[str, EnvSpec]) -> dict[str, TestOf]:
    """How a duel on these tasks may be decided, by name: a difference of returns is as wide as their range."""

    def symmetric(task: str, level: float) -> Process:
        low, high = tasks[task].reward_range
        return SequentialProcess(SymmetricTest(low - high, high - low), 1 - level)

    def betting(task: str, level: float) -> Process:
        low, high = tasks[task].reward_range
        return SequentialProcess(BoundedTest(low - high, high - low), 1 - level)

    return {"symmetric": symmetric, "betting": betting}


class PolicyParts(NamedTuple):
    """What a policy's names mean."""

    exchange: ExchangeFactory
    admission: AdmissionFactory
    poison: Poison | None


def policy_parts(policy: PolicyConfig) -> PolicyParts:
    """Raises ConfigError for a name that stands for nothing."""
    place = f"policy {policy.name}"
    return PolicyParts(
        resolve(EXCHANGES, policy.exchange, group="population.exchange", place=f"{place}: exchange"),
        resolve(ADMISSIONS, policy.admission, group="population.admission", place=f"{place}: admission"),
        None
        if policy.poison is None
        else resolve(POISONS, policy.poison, group="population.poison", place=f"{place}: poison"),
    )


def build_exchange(lab: Lab, policy: PolicyConfig) -> Exchange:
    """Raises ConfigError for a name that stands for nothing, ChoiceError for a choice that does not exist."""
    parts, choices = policy_parts(policy), _receiving(lab, _changes(lab, policy))
    gates = {name: _gate(lab, kind, choices) for name, kind in lab.players.config.members.items()}
    terms = Terms(
        rate=policy.rate,
        every=policy.every,
        direction=policy.direction,
        capacity=policy.capacity,
        patience=policy.patience,
        hub=policy.hub,
        size=policy.size,
        graph=policy.graph,
    )
    intake = Intake(maintenance(choices, resolve), lab.players.embedder)
    admission = parts.admission(gates, lab.recall, StepBaseline(choices.gamma))
    return parts.exchange(terms, admission, intake)


def build_admission(lab: Lab, pool: PoolConfig) -> Admission:
    """Who lets the skills of a given pool in: the rule by which gifts are judged, by the study's choices.

    Raises ConfigError for a name that stands for nothing, ChoiceError for a choice that does not exist.
    """
    config = lab.players.config
    choices = _receiving(lab, config.learning.choices)
    gates = {agent.name: _gate(lab, agent.name, choices) for agent in config.agents}
    return admission_rule(pool)(gates, lab.recall, StepBaseline(choices.gamma))


def admission_rule(pool: PoolConfig) -> AdmissionFactory:
    """Raises ConfigError for a name that stands for nothing."""
    place = f"pools.{pool.name}: admission"
    return resolve(ADMISSIONS, pool.admission, group="population.admission", place=place)


def _receiving(lab: Lab, changes: Mapping[str, Any]) -> NPPOConfig:
    """The gate's choices. A gift must improve on what its receiver does anyway (ΔJ > 0), unless they say not."""
    return make_config(lab.players.config.learning.preset, {"acceptance": "improvement", **changes})


def _changes(lab: Lab, policy: PolicyConfig) -> dict[str, Any]:
    """The study's choices and the policy's: one maintenance rules pools in learning and around an exchange."""
    ruled = {} if policy.maintenance is None else {"maintenance": policy.maintenance}
    return {**lab.players.config.learning.choices, **policy.choices, **ruled}


def _gate(lab: Lab, kind: str, choices: NPPOConfig) -> PPOGate:
    """The gate of one kind of agent: its own model, at its own temperature."""
    temperature = next(agent.temperature for agent in lab.players.config.agents if agent.name == kind)
    return ppo_gate((Metered(lab.players.models[kind], kind, "exchange"),), temperature, choices, resolve)


def policy_learners(lab: Lab, policy: PolicyConfig, learners: Mapping[str, PoolLearner]) -> dict[str, PoolLearner]:
    """A learner per member: the study's, unless the policy asks for another."""
    config = lab.players.config
    choices = _changes(lab, policy)
    if policy.learner or choices != config.learning.choices:
        changed = {"learner": policy.learner or config.learning.learner, "choices": choices}
        learning = config.learning.model_copy(update=changed)
        learners = build_learners(config.model_copy(update={"learning": learning}), lab.players)
    return {name: learners[kind] for name, kind in config.members.items()}
