"""How many episodes a study plays, and about how many steps and tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import anyio
import numpy as np

from agents.agent import SkillAgent
from agents.guide import NoGuide
from agents.models.scripted import scripted
from agents.prompts import skill_text
from environments.spec import EnvSpec
from testbed.config.plugins import find_environment
from testbed.config.study import ConfigError, StudyConfig
from testbed.play.engines.rollout import play
from testbed.play.models import build_evaluations, build_tasks
from testbed.records.trial import one_line
from transfer.memory.experience import Trajectory
from transfer.memory.seed_pool import seed_pool

SAMPLED = 4
"""Scripted games played per task to see how long they are."""
CHARACTERS_PER_TOKEN = 4.0
THOUGHT = 60
"""Tokens of what is thought aloud before a move."""


@dataclass(frozen=True)
class Forecast:
    """Episodes are exact. Steps, calls and tokens are estimates from games that a scripted random player plays.

    The learner's own calls (gradients, candidates, the gate's scores) are not among them.
    """

    learning_episodes: int
    evaluation_episodes: int
    steps: int
    calls: int
    prompt_tokens: int
    completion_tokens: int

    @property
    def episodes(self) -> int:
        return self.learning_episodes + self.evaluation_episodes


def count_episodes(config: StudyConfig) -> tuple[int, int]:
    """Learning and evaluation episodes of a whole study."""
    if config.study == "population":
        return _count_population(config)
    pools = len(config.agents) * len(config.tasks)
    shared = any(memory.experience == "shared" for memory in config.memories)
    players = 1 + shared + sum(memory.experience == "own" for memory in config.memories)
    learning = players * pools * config.learning_runs * config.learning.iterations * config.learning.episodes
    if config.study == "learn":
        return learning, 0
    played = {arm for arm in config.arms if arm != "rag" or config.learning.iterations}
    sources = sum(pools - 1 if arm == "transfer" else 1 for arm in played)
    sources += len(config.memories) * sum(
        pools - 1 if arm == "transfer" else 1 for arm in played if arm not in ("none", "seed", "rag")
    )
    sources += sum(1 + len(pool.controls) for pool in config.pools)
    learning += pools * max((pool.evidence for pool in config.pools if pool.is_judged), default=0)
    return learning, pools * sources * config.learning_runs * config.evaluation_episodes * config.epochs


def count_parts(config: StudyConfig) -> dict[Literal["learning", "evaluation", "steps", "influence"], int]:
    """The same, the steps of all learners between their episodes, and the cells (each in each learning run) of which it
    is measured what their memories change."""
    learning, evaluation = count_episodes(config)
    cells = evaluation // (config.evaluation_episodes * config.epochs)
    bare = len(config.agents) * len(config.tasks) * config.learning_runs * ("none" in config.arms)
    return {
        "learning": learning,
        "evaluation": evaluation,
        "steps": learning // config.learning.episodes,
        "influence": cells - bare if config.influence else 0,
    }


def _count_population(config: StudyConfig) -> tuple[int, int]:
    """A league is evaluation, too: it is played where games have several seats."""
    lives = len(config.members) * config.learning_runs
    policies = len(config.population.policies)
    learning = lives * len(config.tasks) * policies * config.learning.iterations * config.learning.episodes
    shared = [task for task in config.tasks if find_environment(task.environment).seats > 1]
    leagues = len(shared) if len(config.members) > 1 else 0
    arms = len(config.tasks) * (policies + ("none" in config.arms)) + policies * leagues
    return learning, lives * arms * config.evaluation_episodes


def forecast(config: StudyConfig) -> Forecast:
    """Raises ConfigError for a name that is not there or a game that cannot be played."""
    learning, evaluation = count_episodes(config)
    per_agent_and_task = (learning + evaluation) / (len(config.agents) * len(config.tasks))
    seeds = seed_pool(config.learning.pool_size).each()
    skill = float(np.mean([len(skill_text(skill)) for skill in seeds])) / CHARACTERS_PER_TOKEN
    judged = config.skills.termination == "judgement"
    asked = config.skills.selector in ("model", "likelihood")
    steps = calls = prompt = completion = 0.0
    tasks = build_tasks(config)
    build_evaluations(config, tasks)
    for spec in tasks.values():
        games = list(sample(spec))
        length = float(np.mean([len(game.steps) for game in games]))
        seen = float(np.mean([tokens for game in games for tokens in _prompts(game)])) + skill
        one_line = float(np.mean([len(step.action) for game in games for step in game.steps])) / CHARACTERS_PER_TOKEN
        for agent in config.agents:
            thoughts = agent.reasoning != "direct"
            played = per_agent_and_task * length
            steps += played
            calls += played * (1 + thoughts + judged + asked / config.skills.max_age)
            # Of a kept thought its question stays, too: about as long again.
            kept = 2 * THOUGHT * (length - 1) / 2 if agent.keep_thoughts else 0.0
            prompt += played * ((seen + kept) * (1 + thoughts) + judged * 2 * skill)
            completion += played * (one_line + thoughts * THOUGHT + judged)
    return Forecast(learning, evaluation, round(steps), round(calls), round(prompt), round(completion))


def sample(spec: EnvSpec) -> Iterator[Trajectory]:
    """SAMPLED games of a random player. Raises ConfigError where the game cannot be played."""
    model = scripted("random")
    for seed in range(SAMPLED):
        seats = [f"player_{index}" for index in range(spec.seats)]
        players = {seat: SkillAgent(seat, model, NoGuide(), np.random.default_rng(seed)) for seat in seats}

        async def game(players: dict[str, SkillAgent] = players, seed: int = seed) -> dict[str, Trajectory]:
            return await play(spec, players, seed, trial="forecast", names={seat: seat for seat in players})

        try:
            yield anyio.run(game)["player_0"]
        except Exception as error:
            raise ConfigError(
                f"{spec.id} failed in a trial game: {one_line(error)}; try `procmem check env`"
            ) from error


def _prompts(game: Trajectory) -> Iterator[float]:
    """Tokens of the state-only prompt at each step."""
    length = len(game.rules)
    for step in game.steps:
        length += len(step.observation)
        yield length / CHARACTERS_PER_TOKEN
        length += len(step.action)
