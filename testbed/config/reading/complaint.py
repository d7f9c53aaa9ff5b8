"""One sentence for everything that is wrong with a study: its place, what stands there, what was meant."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from testbed.config.agent import AgentConfig, Price
from testbed.config.conduct.adaptive import AdaptiveConfig
from testbed.config.conduct.engine import EngineConfig
from testbed.config.memory import MemoryConfig
from testbed.config.pool import PoolConfig
from testbed.config.population import PolicyConfig, PopulationConfig
from testbed.config.reading.near_miss import did_you_mean
from testbed.config.study import LearningConfig, SkillsConfig, StudyConfig, TaskConfig

TABLES: dict[str, type[BaseModel]] = {
    "agents": AgentConfig,
    "agent": AgentConfig,  # an evolver of its own
    "price": Price,
    "engine": EngineConfig,
    "tasks": TaskConfig,
    "skills": SkillsConfig,
    "memories": MemoryConfig,
    "pools": PoolConfig,
    "learning": LearningConfig,
    "population": PopulationConfig,
    "policies": PolicyConfig,
    "adaptive": AdaptiveConfig,
}


def complaint(detail: Any) -> str:
    """What pydantic found (an item of `errors()`), as a sentence with its place and a remedy."""
    place = ".".join(str(part) for part in detail["loc"])
    kind = detail["type"]
    problem = detail["msg"].removeprefix("Value error, ").replace("Tuple", "List").replace("tuple", "list")
    if kind in ("missing", "value_error"):
        return f"{place}: {problem}" if place else problem
    if kind != "extra_forbidden":
        return f"{place or 'study'}: {problem} (got {abridged(detail['input'])}{_meant(detail)})"
    *_, key = detail["loc"]
    tables = [TABLES[str(part)] for part in detail["loc"][:-1] if str(part) in TABLES]
    table = tables[-1] if tables else StudyConfig
    remedy = did_you_mean(key, table.model_fields) or f"known keys: {', '.join(table.model_fields)}"
    return f"{place}: unknown key; {remedy}"


def _meant(detail: Any) -> str:
    """For a mistyped choice: the nearest valid one."""
    options = re.findall(r"'([^']+)'", str(detail.get("ctx", {}).get("expected", "")))
    meant = did_you_mean(detail["input"], options)
    return f"; {meant}" if meant else ""


def abridged(value: Any) -> str:
    """What somebody wrote, in at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
