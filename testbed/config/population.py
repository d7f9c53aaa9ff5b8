"""The `[population]` table of a study file: who lives together, and how they exchange skills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from transfer.exchange.common_pool import COMMONS
from transfer.exchange.topology import Graph, RouteDirection, TopologyError

Maintenance = Literal["always", "over-capacity", "lower-bound", "fifo"]


class PolicyConfig(BaseModel):
    """One arm: how skills are passed on, how they are let in, what is weeded out, and whether a poison is planted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    """What reports call it; made up from what follows where it is empty."""
    exchange: str = "isolated"
    admission: str = "trust"
    maintenance: Maintenance | None = None
    """What leaves a pool, in learning and around an exchange; "fifo" looks at no score. By default as the learner's
    choices say."""
    rate: int = Field(default=1, ge=1)
    """Skills that go along each route of an exchange."""
    every: int | None = Field(default=None, ge=1)
    """Rounds from one exchange to the next: 1, but 3 for a migration."""
    direction: RouteDirection | None = None
    """Which way along the topology's routes: forward, but both for stars and pairs."""
    capacity: int = Field(default=4, ge=1)
    """Most gifts that an agent takes in at one exchange."""
    patience: int = Field(default=2, ge=0)
    """Rounds that a gift may wait in quarantine for a decision."""
    hub: str = ""
    """Who stands in the middle of a star; the first agent where nobody is named."""
    size: int = Field(default=2, ge=2)
    """Agents in a tournament's group."""
    graph: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """For "graph": to whom each agent gives."""
    learner: str | None = None
    """Another learner than the study's."""
    choices: Mapping[str, Any] = Field(default_factory=dict)
    """Named choices of the learner that differ from the study's."""
    poison: str | None = None
    """A harmful skill to plant: wrong-procedure, over-wide or ignore-rules."""
    bearer: str = ""
    """In whose pool; the first agent's where nobody is named."""
    poison_round: int = Field(default=1, ge=1)
    """Before the exchange of which round."""

    @model_validator(mode="after")
    def _named(self) -> PolicyConfig:
        if not self.name:
            traits = (self.admission, self.maintenance, self.learner, self.poison)
            parts = [self.exchange, *(str(each) for each in traits if each not in ("trust", "always", None))]
            object.__setattr__(self, "name", " + ".join(parts))
        if self.name == "none" or "/" in self.name:
            raise ValueError(f'name: a policy cannot be called {self.name!r} ("none" is the arm without memory)')
        if not self.name.isprintable():
            raise ValueError(f"name: a policy's name is printable text, which {self.name!r} is not")
        if self.exchange == "graph" and not self.graph:
            raise ValueError("graph: name to whom each agent gives, as in graph = { a = ['b'] }")
        return self

    def check(self, members: Sequence[str]) -> None:
        """Raises ValueError for a name that is nobody's, and for a graph that cannot be used."""
        for key, name in (("hub", self.hub), ("bearer", self.bearer)):
            if name and name not in members:
                raise ValueError(f"policy {self.name!r}, {key}: nobody is called {name!r}; there are: {_some(members)}")
        try:
            Graph(self.graph).check(members)
        except TopologyError as error:
            raise ValueError(f"policy {self.name!r}: {error}") from None


class PopulationConfig(BaseModel):
    """Agents that live together. A round is one iteration of everybody's learning, and then an exchange."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    copies: int = Field(default=1, ge=1, le=1000)
    """Members of each kind of agent; they are called NAME_1, NAME_2, … where there are several."""
    policies: tuple[PolicyConfig, ...] = Field(
        default=tuple(PolicyConfig(exchange=name) for name in ("isolated", "broadcast", "commons")), min_length=1
    )
    """The arms. Each population lives under one of them, on one task, in one learning run."""
    against: Literal["members", "opponent"] = "members"
    """Who sits in the other seats while learning to play a game for several."""
    on_outage: Literal["stop", "leave"] = "stop"
    """When a member's model does not answer, for as long as its patience lasts: the study stops and can be resumed, or
    the members that have this model leave for good and the others go on."""

    @property
    def unused(self) -> bool:
        """Whether nothing was said about a population. (Runs of format 1 hold the defaults; "always" was one.)"""
        policies = tuple(
            policy.model_copy(update={"maintenance": None}) if policy.maintenance == "always" else policy
            for policy in self.policies
        )
        return self.model_copy(update={"policies": policies}) == PopulationConfig()

    def members(self, agents: Sequence[str]) -> dict[str, str]:
        """Every member by name, and the agent it is a copy of. Copies of one agent do not stand next to each other."""
        if self.copies == 1:
            return {agent: agent for agent in agents}
        return {f"{agent}_{number}": agent for number in range(1, self.copies + 1) for agent in agents}

    def check(self, agents: Sequence[str]) -> None:
        """Raises ValueError in one sentence for what cannot be run."""
        members = self.members(agents)
        if COMMONS in members:
            raise ValueError(f"agents: {COMMONS!r} is what events call a shared pool; rename that agent")
        names = [policy.name for policy in self.policies]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"population.policies: {twice[0]!r} stands there twice; give each a name of its own")
        for policy in self.policies:
            policy.check(list(members))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
