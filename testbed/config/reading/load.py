"""Reads a study file, or a study given as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from testbed.config.agent import AgentConfig
from testbed.config.reading.complaint import complaint
from testbed.config.reading.toml import check_bounds, override_with, read_toml
from testbed.config.study import ConfigError, StudyConfig


def load_study(path: Path, overrides: Sequence[str] = ()) -> StudyConfig:
    """Read a study file and apply `key=value` overrides (dotted keys, TOML values).

    Raises ConfigError naming the file, the key and, for an unknown key, the nearest valid one.
    """
    data = read_toml(path)
    for override in overrides:
        override_with(data, override)
    study = parse_study(data, str(path))
    _check_addresses(study, str(path))
    return study


def parse_study(data: Mapping[str, Any], place: str) -> StudyConfig:
    """Check a study given as plain data. Raises ConfigError as `load_study` does."""
    check_bounds(data, place)
    try:
        return StudyConfig.model_validate(_listed(data))
    except ValidationError as error:
        # A list whose items are all wrong is also called too short: that says nothing new.
        details = [each for each in error.errors() if each["type"] != "too_short" or not each["input"]]
        raise ConfigError("\n".join(f"{place}: {complaint(detail)}" for detail in details)) from None


def _check_addresses(study: StudyConfig, place: str) -> None:
    """Raises ConfigError for a base_url that is none, or that would carry a secret into the run's records."""
    agents = {f"agents.{index}": agent for index, agent in enumerate(study.agents)}
    if isinstance(study.learning.evolver, AgentConfig):
        agents["learning.evolver"] = study.learning.evolver
    for table, agent in agents.items():
        for url in agent.base_url:
            from agents.models.model import ModelError  # here: most studies name no server
            from agents.models.served.http.address import check_address

            try:
                check_address(url)
            except ModelError as error:
                raise ConfigError(f"{place}: {table}: {error}") from None


def _listed(data: Mapping[str, Any]) -> dict[str, Any]:
    """A single base_url may be written without its list."""
    agents = data.get("agents")
    if not isinstance(agents, list):
        return dict(data)
    listed = [
        {**agent, "base_url": [agent["base_url"]]}
        if isinstance(agent, dict) and isinstance(agent.get("base_url"), str)
        else agent
        for agent in agents
    ]
    return {**data, "agents": listed}
