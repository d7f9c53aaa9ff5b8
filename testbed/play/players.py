"""`Players`: names in a study made into models, embedders and players. Each model is loaded once and shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from agents.agent import REASONING, Aloud, Reasoning, SkillAgent
from agents.embedding import Embedder
from agents.guide import Guide, NoGuide
from agents.models.model import Model, ModelCard, Sampling
from agents.options import TERMINATIONS, EpsilonGreedy, SkillOptions
from agents.selection import SELECTORS, Value
from environments.spec import EnvSpec
from testbed.config.agent import AgentConfig
from testbed.config.plugins import resolve
from testbed.config.study import StudyConfig
from testbed.play.seeds import stream
from testbed.records.trial import Trial
from transfer.memory.pool import SkillPool


class AgentModel(NamedTuple):
    """A model and how it plays; `name` is what records call it."""

    name: str
    model: Model
    reasoning: Reasoning
    sampling: Sampling

    @classmethod
    def of(cls, name: str, agent: AgentConfig, model: Model) -> AgentModel:
        sampling = Sampling(agent.temperature, agent.top_p, agent.max_tokens)
        reasoning = REASONING[agent.reasoning]
        if isinstance(reasoning, Aloud) and agent.reasoning_budget is not None:
            reasoning = replace(reasoning, max_tokens=agent.reasoning_budget)
        return cls(name, model, reasoning, sampling)


class HeldSkills(NamedTuple):
    """What an agent brings to its seat: its skills, and how it has fared with them."""

    pool: SkillPool | None = None
    values: Mapping[str, Value] = {}

    @property
    def digest(self) -> str | None:
        return None if self.pool is None else self.pool.digest


class Players:
    """The models behind a study's agents, and the players they become for one episode."""

    def __init__(
        self,
        config: StudyConfig,
        tasks: Mapping[str, EnvSpec],
        agents: Mapping[str, AgentModel],
        opponents: Mapping[str, AgentModel],
        embedder: Embedder,
    ) -> None:
        """`agents` by name (an evolver that does not play among them), `opponents` by task."""
        self.config = config
        self.tasks = tasks
        self.models = {name: part.model for name, part in agents.items()}
        self.embedder = embedder
        self._agents = agents
        self._kinds = config.members
        self._opponents = opponents

    def cards(self) -> dict[str, ModelCard]:
        return {name: model.card for name, model in self.models.items()}

    def opponent_cards(self) -> dict[str, ModelCard]:
        """Of who sits in the background seats, by task."""
        return {task: part.model.card for task, part in self._opponents.items()}

    def tokens(self, agent: str, pool: SkillPool) -> dict[str, int]:
        """Length of each of the pool's skills, by that agent's tokenizer."""
        model = self.models[self._kinds[agent]]
        return {skill.id: model.count(skill.text) for skill in pool.each()}

    def players(
        self, trial: Trial, pool: SkillPool | None, values: Mapping[str, Value], guests: Mapping[str, HeldSkills] = {}
    ) -> tuple[dict[str, SkillAgent], dict[str, str]]:
        """Who sits where: a player per seat, and what each is called in the records.

        `guests` by name for the members that `trial.background` names; they are as frozen as an evaluated agent.
        """
        players: dict[str, SkillAgent] = {}
        names: dict[str, str] = {}
        background = iter(trial.background)
        for index in range(self.tasks[trial.task].seats):
            seat = f"player_{index}"
            rng = stream(self.config.seed, "play", trial.id, seat)
            focal = index == trial.seat
            guest = None if focal else next(background, None)
            name = trial.agent if focal else guest.agent if guest else ""
            part = self._agents[self._kinds[name]] if name else self._opponents[trial.task]
            kit = HeldSkills(pool, values) if focal else guests.get(name, HeldSkills())
            names[seat] = name or part.name
            players[seat] = SkillAgent(
                seat,
                part.model,
                self._guide(trial, kit, part.model, rng, trial.epsilon if focal else 0.0),
                rng,
                reasoning=part.reasoning,
                sampling=part.sampling,
                session=f"{trial.id}/{seat}",
            )
        return players, names

    def _guide(self, trial: Trial, kit: HeldSkills, model: Model, rng: np.random.Generator, epsilon: float) -> Guide:
        if kit.pool is None:
            return NoGuide()
        skills = self.config.skills
        return SkillOptions(
            kit.pool.skills,
            resolve(SELECTORS, trial.selector, group="skills.selector")(model, self.embedder, kit.values),
            resolve(TERMINATIONS, skills.termination, group="skills.termination")(model),
            rng,
            exploration=EpsilonGreedy(epsilon) if epsilon > 0 else None,
            max_age=skills.max_age,
        )

    async def close(self) -> None:
        parts = (*self._agents.values(), *self._opponents.values())
        for model in {id(part.model): part.model for part in parts}.values():
            await model.close()
