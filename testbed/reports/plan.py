"""What a study declares before it is run: every cell and learning run with its episodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

import pandas as pd

from analysis.tables.run import CELL, PLAN
from testbed.config.pool import PoolConfig
from testbed.config.study import StudyConfig
from testbed.records.trial import EVIDENCE

Row = dict[str, Any]


def declared_plan(config: StudyConfig, tasks: Mapping[str, int]) -> pd.DataFrame:
    """The plan as `analysis.tables.schema.PLAN` has it. `tasks`: the study's games by id, each with its seats."""
    rows = _population(config, tasks) if config.study == "population" else _sources(config, tasks)
    return pd.DataFrame(list(rows), columns=[column.name for column in PLAN])


def _sources(config: StudyConfig, tasks: Mapping[str, int]) -> Iterator[Row]:
    """A study `learn` or `matrix`: everybody learns everywhere, then every arm is evaluated everywhere."""
    places = list(product([agent.name for agent in config.agents], tasks))
    learning = config.learning.iterations * config.learning.episodes
    for run in range(config.learning_runs):
        for agent, task in places:
            if learning:
                yield _row("learn", run, learning, ("learn", "", "", agent, task))
            if config.study == "matrix":
                for arm, source in _arms(config, places, (agent, task)):
                    yield _row("evaluate", run, _evaluated(config), (arm, *source, agent, task))


def memory_plan(config: StudyConfig, tasks: Iterable[str]) -> pd.DataFrame:
    """The plan of any of the study's other memories: the arms that need one, and the one without."""
    places = list(product([agent.name for agent in config.agents], tasks))
    rows: list[Row] = []
    learning = config.learning.iterations * config.learning.episodes
    for run, (agent, task) in product(range(config.learning_runs), places):
        if learning:
            rows.append(_row("learn", run, learning, ("learn", "", "", agent, task)))
        for arm, source in _arms(config, places, (agent, task)) if config.study == "matrix" else ():
            if arm not in ("seed", "rag"):
                rows.append(_row("evaluate", run, _evaluated(config), (arm, *source, agent, task)))
    return pd.DataFrame(rows, columns=[column.name for column in PLAN])


def given_plan(config: StudyConfig, pool: PoolConfig, tasks: Iterable[str]) -> pd.DataFrame:
    """The plan of one of the pools that a study is given: what it is judged by, then with it, its controls, without."""
    places = list(product([agent.name for agent in config.agents], tasks))
    judged = places if pool.is_judged else []
    rows = [_row("learn", 0, pool.evidence, (EVIDENCE, "", "", *place)) for place in judged]
    arms = product(range(config.learning_runs), ("none", "given", *pool.controls), places)
    rows += [_row("evaluate", run, _evaluated(config), (arm, "", "", *place)) for run, arm, place in arms]
    return pd.DataFrame(rows, columns=[column.name for column in PLAN])


def _arms(
    config: StudyConfig, places: list[tuple[str, str]], own: tuple[str, str]
) -> Iterator[tuple[str, tuple[str, str]]]:
    for arm in sorted(set(config.arms)):
        if arm == "transfer":
            yield from ((arm, source) for source in places if source != own)
        elif arm != "rag" or config.learning.iterations:  # nothing learned, nothing to retrieve
            yield arm, ("", "") if arm in ("none", "seed") else own


def _population(config: StudyConfig, tasks: Mapping[str, int]) -> Iterator[Row]:
    """Every policy on every task, and the arm without memory where the study has it; a league in games for several."""
    learning = config.learning.iterations * config.learning.episodes
    arms = [policy.name for policy in config.population.policies]
    for run, (task, seats), agent in product(range(config.learning_runs), tasks.items(), config.members):
        for arm in arms:
            if learning:
                yield _row("learn", run, learning, (arm, "", "", agent, task))
            if seats > 1 and len(config.members) > 1:
                yield _row("league", run, config.evaluation_episodes, (arm, "", "", agent, task))
        for arm in (*arms, *(["none"] if "none" in config.arms else [])):
            yield _row("evaluate", run, config.evaluation_episodes, (arm, "", "", agent, task))


def _evaluated(config: StudyConfig) -> int:
    return config.evaluation_episodes * config.epochs


def _row(phase: str, run: int, episodes: int, cell: tuple[str, ...]) -> Row:
    return {"phase": phase, **dict(zip(CELL, cell, strict=True)), "learning_run": run, "episodes": episodes}
