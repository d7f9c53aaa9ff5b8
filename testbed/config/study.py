"""`StudyConfig`: a study file, checked. Its digest names the run directory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from testbed.config.agent import AgentConfig
from testbed.config.conduct.adaptive import AdaptiveConfig
from testbed.config.conduct.engine import EngineConfig
from testbed.config.memory import MemoryConfig
from testbed.config.pool import PoolConfig
from testbed.config.population import PolicyConfig, PopulationConfig
from testbed.config.table import OUTCOME_NEUTRAL, SINCE_FORMAT_1, Table, digested
from transfer.nppo.config import PRESETS

Arm = Literal["none", "seed", "self", "transfer", "random", "shuffled", "rag", "matched", "given"]
UNLEARNED = {"none", "seed"}
"""Arms of a matrix for which nothing has to be learned."""
ALWAYS: tuple[Arm, ...] = ("none", "seed", "self", "transfer", "random", "shuffled")


class ConfigError(ValueError):
    """A study that cannot be run; one sentence a line, each naming the place and the remedy."""


class TaskConfig(Table):
    """One game, and who sits in the seats that are not studied."""

    environment: str = Field(min_length=1)
    evaluation_environment: str | None = Field(default=None, min_length=1, json_schema_extra=SINCE_FORMAT_1)
    """The game that is played to evaluate, where it is not the one that is learned on: a held-out split of it."""
    opponent: str = "scripted:random"
    """The model in the background seats of a game for several."""


class SkillsConfig(Table):
    """μ and β while acting (paper section 3)."""

    selector: str = "similarity"
    termination: str = "judgement"
    max_age: int = Field(default=8, ge=1)
    embedder: str = "all-minilm-l6-v2"
    """Catalog name or folder of a sentence embedder, or "lexical"."""


Evolver = Annotated[
    Annotated[str, Tag("name")] | Annotated[AgentConfig, Tag("agent")],
    Discriminator(lambda given: "name" if isinstance(given, str) else "agent"),
]
"""The name of an agent that plays, or an agent of its own that does not."""


class LearningConfig(Table):
    """How pools are learned. Defaults follow the paper where it states one."""

    learner: str = "keep-best"
    preset: Literal["paper", "as-released", "recommended"] = "paper"
    choices: Mapping[str, Any] = Field(default_factory=dict)
    """Named choices that differ from the preset: advantage, likelihood, acceptance, maintenance, scorer, …"""
    evolver: Evolver | None = None
    """Whose model proposes skills: an agent of that name, or one that does not play; none: the acting model itself."""
    iterations: int = Field(default=4, ge=0)
    episodes: int = Field(default=8, ge=1)
    pool_size: int = Field(default=8, ge=1)
    epsilon_start: float = Field(default=0.3, ge=0.0, le=1.0)
    epsilon_end: float = Field(default=0.05, ge=0.0, le=1.0)


class StudyConfig(Table):
    """A whole study file."""

    study: Literal["learn", "matrix", "population"]
    seed: int = Field(default=0, ge=0)
    learning_runs: int = Field(default=3, ge=1)
    """Independent pools per (agent, task): the clusters of every claim about learning."""
    evaluation_episodes: int = Field(default=12, ge=1)
    """Per cell and learning run, on environment seeds common to all arms."""
    epochs: int = Field(default=1, ge=1, json_schema_extra=SINCE_FORMAT_1)
    """Episodes of each of these environment seeds in a matrix: what differs between them is sampling alone."""
    margin: float | None = Field(default=None, gt=0.0, json_schema_extra=SINCE_FORMAT_1)
    """Differences in return within ± this are equivalent; to be declared before the data are seen."""
    resamples: int = Field(default=10_000, ge=100, json_schema_extra=SINCE_FORMAT_1)
    """Bootstrap and permutation resamples of the report."""
    paper: Literal["2602.01869"] | None = Field(default=None, json_schema_extra=OUTCOME_NEUTRAL)
    """The paper whose values a report prints beside ours, by its arXiv number: cells are matched by names."""
    arms: tuple[Arm, ...] = Field(default=ALWAYS, min_length=1)
    agents: tuple[AgentConfig, ...] = Field(min_length=1)
    tasks: tuple[TaskConfig, ...] = Field(min_length=1)
    skills: SkillsConfig = SkillsConfig()
    learning: LearningConfig = LearningConfig()
    memories: tuple[MemoryConfig, ...] = Field(default=(), json_schema_extra=SINCE_FORMAT_1)
    """What else is compared, in the same arms as the pool, in studies "learn" and "matrix"."""
    pools: tuple[PoolConfig, ...] = Field(default=(), json_schema_extra=SINCE_FORMAT_1)
    """What was learned elsewhere: in a matrix, in every agent's hands on every task, as the arm "given"."""
    budget: int | None = Field(default=None, ge=1, json_schema_extra=SINCE_FORMAT_1)
    """Tokens of memory in a prompt that every memory is cut to in the arm "matched"."""
    adaptive: AdaptiveConfig | None = Field(default=None, json_schema_extra=SINCE_FORMAT_1)
    """Looks at the data as they come, in a matrix; without it the study's size is fixed beforehand."""
    influence: bool = Field(default=False, json_schema_extra=OUTCOME_NEUTRAL)
    """Whether it is measured, after a matrix is played, how much what memories showed changed the likelihood of each
    action. No episode depends on it: it may be asked for when all are there."""
    population: PopulationConfig = PopulationConfig()
    """For the study "population" only."""
    concurrency: int = Field(default=16, ge=1, json_schema_extra=OUTCOME_NEUTRAL)
    """Episodes in flight at once."""
    engine: EngineConfig = Field(default=EngineConfig(), json_schema_extra=OUTCOME_NEUTRAL)
    """Where episodes are played: "local", "ray", or a table."""
    fail_at: float = Field(default=0.5, gt=0.0, json_schema_extra=OUTCOME_NEUTRAL)
    """Lost episodes at which the study stops: a number, or below 1 a share of all its episodes and of those of one
    iteration (inspect_ai's fail_on_error). What was only not answered is not lost but owed, and never counts."""

    @field_validator("engine", mode="before")
    @classmethod
    def _named_engine(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("fail_at")
    @classmethod
    def _share_or_count(cls, value: float) -> float:
        if value > 1 and value % 1:
            raise ValueError(f"{value:g} is neither a number of episodes nor a share below 1")
        return value

    @model_validator(mode="after")
    def _names_are_unique(self) -> StudyConfig:
        for what, names in (
            ("agents", [agent.name for agent in self.agents]),
            ("tasks", [task.environment for task in self.tasks]),
            ("memories and pools", [each.name for each in (*self.memories, *self.pools)]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what}: {twice[0]!r} stands there twice; give each a name of its own")
        evolver, playing = self.learning.evolver, {agent.name for agent in self.agents}
        if isinstance(evolver, str) and evolver not in playing:
            raise ValueError(f"learning.evolver: no agent is named {evolver!r}")
        if isinstance(evolver, AgentConfig) and evolver.name in playing:
            raise ValueError(f'learning.evolver: {evolver.name!r} plays; write evolver = "{evolver.name}"')
        for memory in self.memories:
            memory.check([agent.name for agent in self.agents])
        if self.memories and self.study == "population":
            raise ValueError('memories: a population shares skills; compare memories in a study = "matrix"')
        if self.influence and self.study != "matrix":
            raise ValueError(f'influence: a study "{self.study}" compares no memories; leave it out')
        if ("matched" in self.arms) != (self.budget is not None):
            raise ValueError('budget: the arm "matched" cuts every memory to it; write both or neither')
        if self.study == "population":
            self.population.check([agent.name for agent in self.agents])
        elif not self.population.unused:
            raise ValueError(f'population: a study "{self.study}" has no population; write study = "population"')
        return self

    @model_validator(mode="after")
    def _pools_are_compared(self) -> StudyConfig:
        """The arm "given" comes with the pools, and where it is compared with no learned one, nothing is learned."""
        if not self.pools:
            if "given" in self.arms:
                raise ValueError('arms: "given" plays the study\'s [[pools]], and it has none; add one')
            return self
        if self.study != "matrix":
            raise ValueError(f'pools: a study "{self.study}" plays no given pool; write study = "matrix"')
        if "none" not in self.arms:
            raise ValueError('pools: they are compared with the arm "none"; add it to arms')
        object.__setattr__(self, "arms", tuple(arm for arm in self.arms if arm != "given"))
        if UNLEARNED.issuperset(self.arms):
            object.__setattr__(self, "learning", self.learning.model_copy(update={"iterations": 0}))
        return self

    @model_validator(mode="after")
    def _looks_have_claims(self) -> StudyConfig:
        if self.adaptive is None:
            return self
        if self.study != "matrix":
            raise ValueError(f'adaptive: a study "{self.study}" decides no claims; write study = "matrix"')
        if self.memories:
            raise ValueError(
                "adaptive: other memories are compared in studies of a fixed size; leave out one of the two"
            )
        if not self.pools and len(self.arms) < 2:
            raise ValueError("adaptive: with a single arm there is nothing to decide; add one")
        return self

    @property
    def members(self) -> dict[str, str]:
        """Who plays, by name, and which of the agents it is: itself, or in a population the one it is a copy of."""
        names = [agent.name for agent in self.agents]
        return self.population.members(names) if self.study == "population" else {name: name for name in names}

    def maintenance_of(self, policy: PolicyConfig) -> str:
        """What rules the pools of a policy's members: its own rule, or else its learner's."""
        choices = {**self.learning.choices, **policy.choices}
        return policy.maintenance or str(choices.get("maintenance", PRESETS[self.learning.preset].maintenance))

    @property
    def digest(self) -> str:
        """SHA-256 (8 digits) of everything that can change a result: not concurrency, nor when too much has failed, nor
        at which address a model is served (a server that died may come back elsewhere; what it serves is in
        `study.json`)."""
        content = digested(self)
        if self.study != "population":
            del content["population"]
        for agent in content["agents"]:
            agent["base_url"] = bool(agent["base_url"])
        if self.study == "population":
            # Studies are named as they were before there were these keys, as long as they mean the same.
            if self.population.on_outage == "stop":
                del content["population"]["on_outage"]
            for policy, written in zip(self.population.policies, content["population"]["policies"], strict=True):
                if self.maintenance_of(policy) == "always":
                    written["maintenance"] = "always"
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
