"""What a study plans before it is run: every cell and learning run with its episodes; an adaptive one its claims."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

import pandas as pd

from analysis.matrix.comparison.claims import Adaptive, declared_claims
from analysis.matrix.comparison.rule import Rule
from analysis.tables.run import CELL, PLAN
from testbed.config.pool import PoolConfig
from testbed.config.study import StudyConfig
from testbed.records.lines import LookLine
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


def adaptive_plan(config: StudyConfig, tasks: Iterable[str]) -> Adaptive | None:
    """Which claims an adaptive study is to decide, and how; None of a study of a fixed size."""
    if config.adaptive is None:
        return None
    margin = float("nan") if config.margin is None else config.margin
    rule = Rule(config.adaptive.level, margin, config.adaptive.test, config.learning_runs)
    # a lone learner has nobody to take a pool from
    lone = len(config.agents) * len(config.tasks) == 1
    arms = [arm for arm in config.arms if arm != "transfer" or not lone]
    places = [(agent.name, task) for agent in config.agents for task in tasks]
    return Adaptive(rule, declared_claims(arms, {pool.name: pool.controls for pool in config.pools}, places))


def first_batch(config: StudyConfig, adaptive: Adaptive) -> LookLine:
    """What is played before anybody has looked."""
    assert config.adaptive is not None
    every = tuple(claim.key for claim in adaptive.claims)
    until = min(config.adaptive.look, config.learning_runs)
    return LookLine(look=0, runs=0, tokens=0, claims=(), then=every, until=until, why="every claim is open")


def asked_for(
    plan: pd.DataFrame, config: StudyConfig, adaptive: Adaptive, looks: Iterable[LookLine], pool: str = ""
) -> pd.DataFrame:
    """The rows of a plan that the looks so far have asked for. `pool`: the given one that the plan is of."""
    known = {claim.key: claim for claim in adaptive.claims}
    rows: list[int] = []
    batches = [first_batch(config, adaptive), *looks]
    for place, (phase, arm, agent, task, run) in enumerate(
        plan[["phase", "arm", "agent", "task", "learning_run"]].itertuples(index=False, name=None)
    ):
        batch = next((each for each in batches if each.runs <= run < each.until), None)
        chosen = [known[key] for key in batch.then if key in known] if batch else []
        needed = (
            arm == EVIDENCE or any(claim.learned for claim in chosen)
            if phase == "learn"
            else any(claim.needs(arm, agent, task, "" if arm == "none" else pool) for claim in chosen)
        )
        if needed:
            rows.append(place)
    return plan.iloc[rows].reset_index(drop=True)


def planned_episodes(config: StudyConfig, tasks: Mapping[str, int], looks: Iterable[LookLine]) -> int:
    """Episodes of an adaptive study, as far as its looks have asked for them."""
    adaptive, looks = adaptive_plan(config, tasks), list(looks)
    assert adaptive is not None
    episodes = int(asked_for(declared_plan(config, tasks), config, adaptive, looks)["episodes"].sum())
    for pool in config.pools:
        rows = asked_for(given_plan(config, pool, tasks), config, adaptive, looks, pool.name)
        episodes += int(rows.loc[(rows["phase"] == "evaluate") & (rows["arm"] != "none"), "episodes"].sum())
    evidence = max((pool.evidence for pool in config.pools if pool.is_judged), default=0)
    return episodes + evidence * len(config.agents) * len(tasks)


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
