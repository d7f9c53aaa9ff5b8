"""`Players`: names in a study made into models, embedders and players. Each model is loaded once and shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from agents.agent import REASONING, Aloud, Reasoning, SkillAgent
from agents.embedding import Embedder
from agents.guide import Guide, NoGuide
from agents.models.adapters.metered import Metered
from agents.models.model import Model, ModelCard, Sampling
from agents.options import TERMINATIONS, EpsilonGreedy, SkillOptions
from agents.selection import SELECTORS, Value
from agents.skill import Skill
from environments.spec import EnvSpec
from testbed.config.agent import AgentConfig
from testbed.config.plugins import origin, resolve
from testbed.config.study import StudyConfig
from testbed.play.seeds import evaluation_seed, stream
from testbed.records.side_files.versions import STEP_LIMIT
from testbed.records.trial import Trial
from transfer.memory.memory import Memory, Room, Seat


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
        if isinstance(reasoning, Aloud):
            longest = reasoning.max_tokens if agent.reasoning_budget is None else agent.reasoning_budget
            reasoning = replace(reasoning, max_tokens=longest, keep=bool(agent.keep_thoughts))
        return cls(name, model, reasoning, sampling)


class HeldMemory(NamedTuple):
    """What an agent brings to its seat: its memory, and how it has fared with the skills in it."""

    memory: Memory | None = None
    values: Mapping[str, Value] = {}

    @property
    def digest(self) -> str | None:
        return None if self.memory is None else self.memory.digest


STATE_ONLY = HeldMemory()
"""No memory at all."""


class Players:
    """The models behind a study's agents, and the players they become for one episode."""

    def __init__(
        self,
        config: StudyConfig,
        tasks: Mapping[str, EnvSpec],
        agents: Mapping[str, AgentModel],
        opponents: Mapping[str, AgentModel],
        embedder: Embedder,
        evaluations: Mapping[str, EnvSpec] = {},
        queues: Mapping[str, str] = {},
    ) -> None:
        """`agents` by name (an evolver that does not play among them), `opponents` by task; `evaluations` are the games
        of those tasks that are evaluated on another one than they are learned on; `queues` of agents whose models take
        turns."""
        self.config = config
        self.tasks = tasks
        self.models = {name: part.model for name, part in agents.items()}
        self.embedder = embedder
        self._evaluations = evaluations
        self._agents = agents
        self._kinds = config.members
        self._opponents = opponents
        self._queues = queues

    def queue(self, agent: str) -> str:
        """Episodes of one queue do not wait for places that another's hold: each model that takes turns has its own."""
        return self._queues.get(self._kinds.get(agent, agent), "")

    def game(self, trial: Trial) -> EnvSpec:
        """What a trial plays."""
        learned = self.tasks[trial.task]
        return learned if trial.phase == "learn" else self._evaluations.get(trial.task, learned)

    def evaluation_seed(self, task: str, learning_run: int, number: int) -> int:
        """See `seeds.evaluation_seed`."""
        in_turn = self._evaluations.get(task, self.tasks[task]).in_turn
        return evaluation_seed(self.config.seed, task, learning_run, number, in_turn=in_turn)

    def cards(self) -> dict[str, ModelCard]:
        return {name: model.card for name, model in self.models.items()}

    def game_cards(self) -> dict[str, dict[str, str | int]]:
        """What makes each task's game the one it is, beside its name: its step limit, and whose code it is."""
        cards: dict[str, dict[str, str | int]] = {}
        for (id, learned), task in zip(self.tasks.items(), self.config.tasks, strict=True):
            played = self._evaluations.get(id, learned)
            code = origin(task.evaluation_environment or task.environment, "environments")
            cards[id] = {STEP_LIMIT: played.horizon, **code}
        return cards

    def opponent_cards(self) -> dict[str, ModelCard]:
        """Of who sits in the background seats, by task."""
        return {task: part.model.card for task, part in self._opponents.items()}

    def tokens(self, agent: str, memory: Memory) -> dict[str, int]:
        """Length of each of the memory's units, by that agent's tokenizer."""
        model = self.models[self._kinds[agent]]
        return {unit.id: model.count(unit.text) for unit in memory.units}

    def names(self, trial: Trial) -> dict[str, str]:
        """What each seat's player is called in the records: a member, or the task's opponent."""
        opponent = self._opponents[trial.task].name
        return {f"player_{index}": name or opponent for index, name in enumerate(self._members(trial))}

    def _members(self, trial: Trial) -> list[str]:
        """Who sits in each seat; blank for the task's opponent."""
        names = [guest.agent for guest in trial.background]
        names += [""] * (self.tasks[trial.task].seats - 1 - len(names))
        names.insert(trial.seat, trial.agent)
        return names

    def players(self, trial: Trial, held: HeldMemory, guests: Mapping[str, HeldMemory] = {}) -> dict[str, SkillAgent]:
        """A player per seat. `guests` by name for the members that `trial.background` names; they are as frozen as an
        evaluated agent."""
        players: dict[str, SkillAgent] = {}
        for index, name in enumerate(self._members(trial)):
            seat = f"player_{index}"
            rng = stream(self.config.seed, "play", trial.luck, seat)
            focal = index == trial.seat
            part = self._agents[self._kinds[name]] if name else self._opponents[trial.task]
            kit = held if focal else guests.get(name, STATE_ONLY)
            players[seat] = SkillAgent(
                seat,
                Metered(part.model, part.name, "act"),
                self._guide(trial, kit, part, rng, trial.epsilon if focal else 0.0),
                rng,
                reasoning=part.reasoning,
                sampling=part.sampling,
                session=f"{trial.id}/{seat}",
            )
        return players

    def _guide(
        self, trial: Trial, kit: HeldMemory, part: AgentModel, rng: np.random.Generator, epsilon: float
    ) -> Guide:
        if kit.memory is None:
            return NoGuide()
        model, manner = Metered(part.model, part.name, "recall"), self.config.skills
        room = self._room(trial, part)

        def options(skills: Sequence[Skill]) -> Guide:
            return SkillOptions(
                room.fitting(skills),
                resolve(SELECTORS, trial.selector, group="skills.selector")(model, self.embedder, kit.values),
                resolve(TERMINATIONS, manner.termination, group="skills.termination")(model),
                rng,
                exploration=EpsilonGreedy(epsilon) if epsilon > 0 else None,
                max_age=manner.max_age,
            )

        evaluated = None if trial.phase == "learn" else trial.env_seed
        return kit.memory.guide(Seat(model, self.embedder, rng, options, room, evaluated, trial.env_seed))

    def _room(self, trial: Trial, part: AgentModel) -> Room:
        budgets = [self.config.budget if trial.arm == "matched" else None]
        budgets += [memory.budget for memory in self.config.memories if memory.name == trial.memory]
        known = [budget for budget in budgets if budget is not None]
        horizon, thought = self.tasks[trial.task].horizon, part.reasoning.kept_tokens(part.model)
        return Room(part.model, horizon, part.sampling.max_tokens, min(known, default=None), thought)

    def all_models(self) -> list[Model]:
        """Each once, those of opponents among them."""
        parts = (*self._agents.values(), *self._opponents.values())
        return list({id(part.model): part.model for part in parts}.values())

    async def close(self) -> None:
        for model in self.all_models():
            await model.close()
