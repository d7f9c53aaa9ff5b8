"""`Cast`: names in a study made into models, embedders and players. Each model is loaded once and shared."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agents.agent import REASONING, SkillAgent
from agents.embedding import Embedder
from agents.guide import Guide, NoGuide
from agents.model import Model, ModelCard, Sampling
from agents.options import TERMINATIONS, EpsilonGreedy, SkillOptions
from agents.selection import SELECTORS, Value
from environments.catalog import EnvSpec
from testbed.config import StudyConfig
from testbed.plugins import resolve
from testbed.seeds import stream
from testbed.trial import Trial
from transfer.pool import SkillPool


class Cast:
    """The models behind a study's agents, and the players they become for one episode."""

    def __init__(
        self,
        config: StudyConfig,
        tasks: Mapping[str, EnvSpec],
        models: Mapping[str, Model],
        opponents: Mapping[str, Model],
        embedder: Embedder,
    ) -> None:
        self.config = config
        self.tasks = tasks
        self.models = models
        self.embedder = embedder
        self._opponents = opponents
        self._agents = {agent.name: agent for agent in config.agents}

    def cards(self) -> dict[str, ModelCard]:
        return {name: model.card for name, model in self.models.items()}

    def tokens(self, agent: str, pool: SkillPool) -> dict[str, int]:
        """Length of each of the pool's skills, by that agent's tokenizer."""
        return {skill.id: self.models[agent].count(skill.text) for skill in pool.each()}

    def players(
        self, trial: Trial, pool: SkillPool | None, values: Mapping[str, Value]
    ) -> tuple[dict[str, SkillAgent], dict[str, str]]:
        """Who sits where: a player per seat, and what each is called in the records."""
        players: dict[str, SkillAgent] = {}
        names: dict[str, str] = {}
        agent = self._agents[trial.agent]
        for index in range(self.tasks[trial.task].seats):
            seat = f"player_{index}"
            rng = stream(self.config.seed, "play", trial.id, seat)
            if index == trial.seat:
                model, names[seat] = self.models[trial.agent], trial.agent
                guide = self._guide(trial, pool, values, model, rng)
            else:
                model, names[seat] = self._opponents[trial.task], f"opponent:{self._opponents[trial.task].card.name}"
                guide = NoGuide()
            players[seat] = SkillAgent(
                seat,
                model,
                guide,
                rng,
                reasoning=REASONING[agent.reasoning if index == trial.seat else "direct"],
                sampling=Sampling(agent.temperature, agent.top_p, agent.max_tokens),
                session=f"{trial.id}/{seat}",
            )
        return players, names

    def _guide(
        self, trial: Trial, pool: SkillPool | None, values: Mapping[str, Value], model: Model, rng: np.random.Generator
    ) -> Guide:
        if pool is None:
            return NoGuide()
        skills = self.config.skills
        return SkillOptions(
            pool.skills,
            resolve(SELECTORS, trial.selector, "skills.selector")(model, self.embedder, values),
            resolve(TERMINATIONS, skills.termination, "skills.termination")(model),
            rng,
            exploration=EpsilonGreedy(trial.epsilon) if trial.epsilon > 0 else None,
            max_age=skills.max_age,
        )

    async def close(self) -> None:
        for model in {id(model): model for model in (*self.models.values(), *self._opponents.values())}.values():
            await model.close()
