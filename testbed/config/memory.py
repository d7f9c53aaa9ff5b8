"""The `[[memories]]` tables of a study file: what is compared with the pool, and how it is fed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

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
    budget: int | None = Field(default=None, ge=1, json_schema_extra=SINCE_FORMAT_1)
    """Most tokens of its text in a prompt; whole units only."""
