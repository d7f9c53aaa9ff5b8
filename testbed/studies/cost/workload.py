"""What a study asks of its models, and in which order: learners' chains, then cells."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from testbed.config.agent import AgentConfig
from testbed.config.plugins import find_environment
from testbed.config.study import StudyConfig
from testbed.studies.cost.fleet_file import NOTHING, Tokens
from testbed.studies.cost.forecast import sample
from testbed.studies.cost.games import Game, Habits, Thought, held, scripted_games
from transfer.memory.experience import Trajectory

MOST_QUESTIONS = 300_000
"""Beyond so many, several moves of an episode are asked for as one."""


class Cell(NamedTuple):
    """Evaluation episodes of one kind, in one learning run."""

    agent: str
    task: str
    arm: str
    episodes: int


class Learning(NamedTuple):
    """Who learn together: one iteration after the other, all of them through with one before the next."""

    members: tuple[tuple[str, str], ...]
    """Agent and memory of each."""
    task: str


class Workload:
    """A study as its models see it."""

    def __init__(
        self, config: StudyConfig, evaluation: Mapping[tuple[str, str, str], int], habits: Habits | None
    ) -> None:
        """`evaluation`: episodes by agent, task and arm, of the whole study. Without `habits` games are scripted ones.

        Raises ConfigError where a game cannot be played.
        """
        self.config = config
        self._agents = {agent.name: agent for agent in who_asks(config)}
        self._tasks = {game.id: game for task in config.tasks for game in [find_environment(task.environment)]}
        self._rng = np.random.default_rng(config.seed)
        self._seen = habits is not None
        self._habits = habits or Habits()
        self._sampled: dict[str, list[Trajectory]] = {}
        self._games: dict[tuple[str, str, str], list[Game]] = {}
        self.cells = list(_cells(config, evaluation))
        self.learning = list(_learning(config, list(self._tasks)))
        self._at_once = 1
        self.tokens, self.calls = self._sum()
        self._at_once = max(1, math.ceil(self.calls / MOST_QUESTIONS))

    @property
    def unknown(self) -> list[str]:
        """What was not known, and what was taken in its place."""
        found = sorted(self._habits.borrowed)
        if not self._seen:
            found.append(
                "games are as long as a random player's and a token is four characters; --pilot RUN knows more"
            )
        if self.learning and not self._habits.thoughts and self.config.learning.learner == "nppo":
            found.append("what learners ask between episodes is left out; --pilot RUN of a run that learned knows it")
        return found

    def model(self, agent: str) -> str:
        return self._agents[agent].model

    def draw(self, agent: str, task: str, arm: str) -> list[tuple[str, Tokens, float]]:
        """An episode: what it asks of which model, in order, with how many calls."""
        games = self._known(agent, task, arm)
        return list(self._questions(games[int(self._rng.integers(len(games)))]))

    def thoughts(self, agent: str, memory: str) -> list[tuple[str, Thought]]:
        """What a learner asks of which model in one step."""
        known = [(thought.agent or agent, thought) for thought in self._habits.thinking(agent, memory)]
        return [(self.model(name), thought) for name, thought in known if name in self._agents]

    def _known(self, agent: str, task: str, arm: str) -> list[Game]:
        key = agent, task, arm
        if key not in self._games:
            found = self._habits.of(agent, task, arm)
            if not found and self._seen:
                self._habits.borrowed[f"{task} was not seen in the pilot: games as a random player's"] += 1
            self._games[key] = found or scripted_games(self.config, self._agents[agent], self._random(task))
        return self._games[key]

    def _random(self, task: str) -> list[Trajectory]:
        if task not in self._sampled:
            self._sampled[task] = list(sample(self._tasks[task]))
        return self._sampled[task]

    def _questions(self, game: Game) -> Iterator[tuple[str, Tokens, float]]:
        for agent, moves in groupby(game, key=lambda move: move.agent):
            if agent not in self._agents or not takes_time(self._agents[agent]):
                continue
            each = list(moves)
            for start in range(0, len(each), self._at_once):
                block = each[start : start + self._at_once]
                tokens = sum((move.tokens for move in block), NOTHING)
                yield self.model(agent), tokens, sum(move.calls for move in block)

    def _sum(self) -> tuple[dict[str, Tokens], float]:
        """Of the whole study, from the means of what an episode and a step ask."""
        tokens: defaultdict[str, Tokens] = defaultdict(Tokens)
        calls = 0.0
        plays: defaultdict[tuple[str, str, str], float] = defaultdict(float)
        plan = self.config.learning
        for cell in self.cells:
            plays[cell.agent, cell.task, cell.arm] += cell.episodes
        for group in self.learning:
            for agent, memory in group.members:
                plays[agent, group.task, held("learn", memory)] += plan.iterations * plan.episodes
                for model, thought in self.thoughts(agent, memory):
                    tokens[model] += thought.tokens * plan.iterations
                    calls += plan.iterations * thought.calls
        for key, episodes in plays.items():
            games = self._known(*key)
            for model, each, number in (question for game in games for question in self._questions(game)):
                tokens[model] += each * (episodes / len(games))
                calls += number * episodes / len(games)
        return dict(tokens), calls


def who_asks(config: StudyConfig) -> tuple[AgentConfig, ...]:
    """The study's agents, and an evolver that does not play among them."""
    evolver = config.learning.evolver
    return (*config.agents, evolver) if isinstance(evolver, AgentConfig) else config.agents


def takes_time(agent: AgentConfig) -> bool:
    return not agent.model.startswith("scripted:")


def _learning(config: StudyConfig, tasks: Sequence[str]) -> Iterator[Learning]:
    """Everybody who learns: alone, or in a population together."""
    if not config.learning.iterations:
        return
    for _ in range(config.learning_runs):
        for task in tasks:
            if config.study == "population":
                kinds = tuple((kind, "") for kind in config.members.values())
                yield from (Learning(kinds, task) for _ in config.population.policies)
            else:
                memories = ("", *(memory.name for memory in config.memories))
                yield from (Learning(((agent.name, memory),), task) for memory in memories for agent in config.agents)


def _cells(config: StudyConfig, evaluation: Mapping[tuple[str, str, str], int]) -> Iterator[Cell]:
    size = config.evaluation_episodes
    for (agent, task, arm), episodes in sorted(evaluation.items()):
        kind = config.members[agent]
        whole, rest = divmod(episodes, size)
        yield from (Cell(kind, task, arm, size) for _ in range(whole))
        yield from [Cell(kind, task, arm, rest)] if rest else []
