"""The `[[memories]]` tables of a study file: what is compared with the pool, and how it is fed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from testbed.config.table import SINCE_FORMAT_1, Table


class MemoryConfig(Table):
    """One memory. Its learning episodes are as many as the pool's, on the same environment seeds."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", max_length=40)
    learner: str = Field(min_length=1)
    """A memory by name (`procmem list memories`), or a learner of a skill pool."""
    choices: Mapping[str, Any] = Field(default_factory=dict)
    """Where it departs from its official code's defaults."""
    experience: Literal["own", "shared"] = "own"
    """Learn from episodes it plays itself, or from those that the agent plays without any memory."""
    mixed: tuple[str, ...] | Literal["all"] = ()
    """Agents that play its learning episodes in turn, or all: a source made of several models' traces. The learning
    agent alone where nobody is named."""
    budget: int | None = Field(default=None, ge=1, json_schema_extra=SINCE_FORMAT_1)
    """Most tokens of its text in a prompt; whole units only."""

    @model_validator(mode="after")
    def _own_traces_are_mixed(self) -> MemoryConfig:
        if self.mixed and self.experience == "shared":
            raise ValueError('mixed: traces are mixed while they are played; leave experience at "own"')
        return self

    def check(self, agents: Sequence[str]) -> None:
        """Raises ValueError for a name that is nobody's."""
        for name in () if self.mixed == "all" else self.mixed:
            if name not in agents:
                raise ValueError(f"memories: {self.name}: mixed: no agent is named {name!r}")

    def players(self, learner: str, agents: Sequence[str]) -> tuple[str, ...]:
        """Who plays the learning episodes of that agent's memory, in turn."""
        return tuple(agents) if self.mixed == "all" else self.mixed or (learner,)
