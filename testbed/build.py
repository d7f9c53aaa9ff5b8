"""From a study's names to the objects they mean."""

from __future__ import annotations

import importlib.metadata
from dataclasses import asdict
from typing import Any

import numpy as np

from agents import prompts
from agents.embedding import Embedder, LexicalEmbedder, SentenceEmbedder
from agents.model import Model
from agents.scripted import scripted
from agents.server import ServedModel
from agents.weights import path as weights_path
from environments.catalog import find
from testbed.cast import Cast
from testbed.config import AgentConfig, StudyConfig
from testbed.plugins import resolve
from transfer.learner import Learner
from transfer.presets import LEARNERS, Minds

RECORDED = ("torch", "transformers", "xgrammar", "textarena", "pettingzoo", "autogen-agentchat", "numpy", "scipy")
"""Packages whose versions can change a result."""


async def build_cast(config: StudyConfig) -> Cast:
    """Load every model and embedder that the study names; equal ones once.

    Raises UnknownEnvironment, ModelError or ConfigError in one sentence.
    """
    tasks = {spec.id: spec for spec in (find(task.environment) for task in config.tasks)}
    loaded: dict[Any, Model] = {}
    for agent in config.agents:
        if _identity(agent) not in loaded:
            loaded[_identity(agent)] = await build_model(agent, config.concurrency)
    opponents = {find(task.environment).id: await _opponent(task.opponent, config, loaded) for task in config.tasks}
    models = {agent.name: loaded[_identity(agent)] for agent in config.agents}
    return Cast(config, tasks, models, opponents, build_embedder(config.skills.embedder))


async def build_model(agent: AgentConfig, concurrency: int) -> Model:
    """The model behind one agent: scripted, served, or in process."""
    if agent.model.startswith("scripted:"):
        return scripted(agent.model)
    if agent.base_url:
        return await ServedModel.connect(agent.model, agent.base_url)
    from agents.local import LocalModel  # here, because torch takes seconds to import and many studies do without

    return LocalModel.load(
        weights_path(agent.model),
        name=agent.model,
        precision=agent.precision,
        device=agent.device,
        rows=concurrency,
        context=agent.context,
    )


def build_embedder(name: str) -> Embedder:
    """The embedder of that name: "lexical", or a sentence embedder from the catalog or a folder."""
    return LexicalEmbedder() if name == "lexical" else SentenceEmbedder.load(weights_path(name))


def build_learners(config: StudyConfig, cast: Cast) -> dict[str, Learner]:
    """A learner per agent. The evolver is the acting model unless the study names another agent's."""
    make = resolve(LEARNERS, config.learning.learner, "learning.learner")
    evolver = config.learning.evolver
    return {
        name: make(Minds(model, cast.models[evolver or name], cast.embedder), np.random.SeedSequence(config.seed))
        for name, model in cast.models.items()
    }


def versions(cast: Cast) -> dict[str, Any]:
    """What `study.json` keeps so that a run can be told from another."""
    return {
        "packages": {name: importlib.metadata.version(name) for name in RECORDED},
        "models": {name: asdict(card) for name, card in cast.cards().items()},
        "prompts": prompts.digest(),
    }


def _identity(agent: AgentConfig) -> tuple[Any, ...]:
    """Agents that differ only in name and manner share a model."""
    return agent.model, agent.base_url, agent.precision, agent.device, agent.context


async def _opponent(name: str, config: StudyConfig, loaded: dict[Any, Model]) -> Model:
    """A background player: one of the study's agents by name, or a model of its own."""
    for agent in config.agents:
        if agent.name == name:
            return loaded[_identity(agent)]
    return await build_model(AgentConfig(name="opponent", model=name), config.concurrency)
