"""How many episodes each cell of a study has when it is done: what a matrix that fills up is measured by."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import NamedTuple

from testbed.config.plugins import find_environment
from testbed.config.study import UNLEARNED, StudyConfig
from testbed.records.trial import EVIDENCE, Trial

SHARED = "shared experience"
"""Learning episodes that all memories with `experience = "shared"` learn from, or all given pools are judged by."""


class CellKey(NamedTuple):
    """Whose memory, in whose hands, on which task; over all learning runs."""

    phase: str
    arm: str
    agent: str
    task: str
    memory: str = ""
    """Blank for the study's own pool, and for none."""
    source_agent: str = ""
    source_task: str = ""

    @classmethod
    def of(cls, trial: Trial) -> CellKey:
        """Learning episodes count for whoever learns from them."""
        if trial.phase == "learn":
            shared = trial.memory is None and trial.pool is None
            memory = trial.memory or (SHARED if shared else "")
            return cls("learn", trial.arm, trial.source_agent or trial.agent, trial.task, memory)
        source = trial.source_agent or "", trial.source_task or ""
        return cls(trial.phase, trial.arm, trial.agent, trial.task, trial.memory or "", *source)


def planned_cells(config: StudyConfig) -> Counter[CellKey]:
    """Episodes of each cell. Raises ConfigError where a population's game is not known here."""
    if config.study == "population":
        return _population(config)
    learning, evaluated = config.learning, config.learning_runs * config.evaluation_episodes * config.epochs
    own = ["", *(memory.name for memory in config.memories if memory.experience == "own")]
    if any(memory.experience == "shared" for memory in config.memories):
        own.append(SHARED)
    places = [(agent.name, task.environment) for agent, task in product(config.agents, config.tasks)]
    cells: Counter[CellKey] = Counter()
    for memory, (agent, task) in product(own, places):
        key = CellKey("learn", "learn", agent, _game(task), memory)
        cells[key] += config.learning_runs * learning.iterations * learning.episodes
    if config.study == "matrix":
        for memory, arm, (agent, task) in product(_memories(config), config.arms, places):
            if memory and (arm in UNLEARNED or arm == "rag"):
                continue
            if arm == "rag" and not learning.iterations:
                continue
            for source in _sources(arm, (agent, task), places):
                cells[CellKey("evaluate", arm, agent, _game(task), memory, *source)] += evaluated
        for pool, (agent, task) in product(config.pools, places):
            for arm in ("given", *pool.controls):
                cells[CellKey("evaluate", arm, agent, _game(task), pool.name)] += evaluated
        evidence = max((pool.evidence for pool in config.pools if pool.is_judged), default=0)
        for agent, task in places:
            cells[CellKey("learn", EVIDENCE, agent, _game(task), SHARED)] += evidence
    return +cells


def _memories(config: StudyConfig) -> list[str]:
    return ["", *(memory.name for memory in config.memories)]


def _sources(arm: str, own: tuple[str, str], places: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Whose skills an arm plays with, as its trials say it."""
    if arm in UNLEARNED:
        return [("", "")]
    if arm == "transfer":
        return [(agent, _game(task)) for agent, task in places if (agent, task) != own]
    return [(own[0], _game(own[1]))]


def _population(config: StudyConfig) -> Counter[CellKey]:
    arms = [policy.name for policy in config.population.policies]
    cells: Counter[CellKey] = Counter()
    for member, task in product(config.members, config.tasks):
        game = find_environment(task.environment)
        for arm in arms:
            learned = config.learning_runs * config.learning.iterations * config.learning.episodes
            cells[CellKey("learn", arm, member, game.id)] += learned
        evaluated = config.learning_runs * config.evaluation_episodes
        for arm in (*arms, *(["none"] if "none" in config.arms else [])):
            cells[CellKey("evaluate", arm, member, game.id)] += evaluated
        for arm in arms if game.seats > 1 and len(config.members) > 1 else []:
            cells[CellKey("league", arm, member, game.id)] += evaluated
    return +cells


def _game(environment: str) -> str:
    """The game's id, as records call it."""
    return find_environment(environment).id
