"""The ceiling by model size: what a right skill is worth in smaller and larger models' hands.

Each agent of the study is run by itself, on the same environment seeds: with no memory, with the right skill of each
game given, and with what it learned. What the right skill adds is the agent's ceiling: how much it can make of a skill.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from agents.models.weights.catalog import MODELS
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import Interval, Scale, fieller, mean_intervals
from testbed.config.agent import AgentConfig
from testbed.config.plugins import find_environment
from testbed.config.study import ConfigError, StudyConfig

LEVEL = 0.95
"""Of all differences together (Bonferroni); intervals of returns are for one at a time."""
NONE, RIGHT, WRONG, OWN = "no memory", "the right skill, given", "another game's skill, given", "what it learned"
SERIES = (NONE, RIGHT, WRONG, OWN)


def variants(config: StudyConfig) -> dict[str, StudyConfig]:
    """The study of each agent alone, by name, the smallest model first. ConfigError where there is no ceiling."""
    if config.study != "matrix" or config.memories or config.adaptive:
        raise ConfigError('a study of model size is a plain study = "matrix", without memories or [adaptive]')
    tasks, pools = {task.environment for task in config.tasks}, {pool.name for pool in config.pools}
    if missing := sorted(tasks - pools):
        raise ConfigError(f"pools: {missing[0]} has no right skill; add a [[pools]] of that name")
    sizes = {agent.name: parameters(agent) for agent in config.agents}
    return {
        agent.name: config.model_copy(update={"agents": (agent,), "learning": _alone(config, agent)})
        for agent in sorted(config.agents, key=lambda agent: sizes[agent.name])
    }


def parameters(agent: AgentConfig) -> int:
    """Of an agent's model. ConfigError where neither the study nor the catalog says."""
    known = MODELS[agent.model].parameters if agent.model in MODELS else 0
    if not (agent.parameters or known):
        raise ConfigError(f"agents: nobody knows the size of {agent.name}'s model; write parameters = … beside it")
    return agent.parameters or known


def _alone(config: StudyConfig, agent: AgentConfig) -> Any:
    """How it learns where nobody else plays: an evolver that was one of the others no longer does."""
    learning = config.learning
    if not isinstance(learning.evolver, str) or learning.evolver == agent.name:
        return learning
    evolver = next(each for each in config.agents if each.name == learning.evolver)
    return learning.model_copy(update={"evolver": evolver.model_copy(update={"name": "evolver"})})


class Played(NamedTuple):
    """The evaluated episodes of one agent's run (`analysis.tables.run.EPISODES`)."""

    parameters: int
    own: pd.DataFrame
    """Arms none and self."""
    given: Mapping[str, pd.DataFrame]
    """Arm given, by pool."""


def returns(played: Mapping[str, Played], tasks: tuple[str, ...]) -> pd.DataFrame:
    """Mean return of every agent in every task, in each of SERIES that was played.

    Columns: agent, parameters, task, series, value, low, high (95 %), n (environment seeds; learning runs of what was
    learned: the clusters).
    """
    rows: list[dict[str, Any]] = []
    for name, found in played.items():
        for task in tasks:
            for series, values in _by_cluster(found, task).items():
                if values.empty:
                    continue
                (each,) = mean_intervals(values.to_numpy(float)[None], _resampler(1), Scale(*_range(task)))
                rows.append(_row(name, found.parameters, task, each) | {"series": series})
    return pd.DataFrame(rows)


def gains(played: Mapping[str, Played], tasks: tuple[str, ...]) -> pd.DataFrame:
    """Differences on common environment seeds: each agent's ceiling in each task, what it learned, and large − small.

    Columns: kind ("ceiling", "learned", "growth"), agent, parameters, task, value, low, high (95 %, all rows together),
    n; of "learned" also `reached`, `reached_low`, `reached_high`: its share of the ceiling (Fieller's interval over
    learning runs), NaN where the ceiling's own interval does not lie above 0. Growth is the ceiling of the largest
    model less that of the smallest.
    """
    found: list[tuple[str, str, str, pd.Series]] = []
    for task in tasks:
        ceilings = {name: _difference(each, task, RIGHT) for name, each in played.items()}
        found += [("ceiling", name, task, values) for name, values in ceilings.items()]
        found += [("learned", name, task, _difference(each, task, OWN)) for name, each in played.items()]
        if len(played) > 1:
            small, *_, large = ceilings.values()
            found.append(("growth", list(played)[-1], task, (large - small).dropna()))
    found = [each for each in found if len(each[3])]
    rows = [
        _row(name, played[name].parameters, task, _interval(values, task, len(found))) | {"kind": kind}
        for kind, name, task, values in found
    ]
    table = pd.DataFrame(rows)
    ceilings = table[table["kind"] == "ceiling"].set_index(["agent", "task"])["low"] if len(table) else {}
    shares = [
        _reached(played[row["agent"]], row["task"])
        if row["kind"] == "learned" and ceilings[row["agent"], row["task"]] > 0
        else (np.nan,) * 3
        for row in rows
    ]
    return table.assign(**dict(zip(("reached", "reached_low", "reached_high"), np.array(shares).T, strict=True)))


def _by_cluster(found: Played, task: str) -> dict[str, pd.Series]:
    """Mean returns in a task by environment seed; of what was learned by learning run."""
    own, keys = found.own[found.own["task"] == task], ["learning_run", "env_seed"]
    given = {name: table[table["task"] == task] for name, table in found.given.items()}
    wrong = [_answered(table, "given", keys) for name, table in given.items() if name != task]
    return {
        NONE: _answered(own, "none", keys),
        RIGHT: _answered(given[task], "given", keys),
        WRONG: pd.concat(wrong, axis=1).mean(axis=1) if wrong else pd.Series(dtype=float),
        OWN: _answered(own, "self", keys[:1]),
    }


def _answered(table: pd.DataFrame, arm: str, keys: list[str]) -> pd.Series:
    return table[(table["arm"] == arm) & table["error"].isna()].groupby(keys, observed=True)["return"].mean()


def _difference(found: Played, task: str, series: str) -> pd.Series:
    """Against no memory, by environment seed, or by learning run of what was learned."""
    values = _by_cluster(found, task)
    base = values[NONE].groupby("learning_run").mean() if series == OWN else values[NONE]
    return (values[series] - base).dropna()


def _reached(found: Played, task: str) -> tuple[float, float, float]:
    """What was learned as a share of the ceiling, both by learning run."""
    learned = _difference(found, task, OWN)
    ceiling = _difference(found, task, RIGHT).groupby("learning_run").mean().reindex(learned.index)
    share = fieller(learned.to_numpy(float), ceiling.to_numpy(float), LEVEL)
    return share.estimate, share.low, share.high


def _interval(values: pd.Series, task: str, family: int) -> Interval:
    low, high = _range(task)
    return mean_intervals(values.to_numpy(float)[None], _resampler(family), Scale(low - high, high - low))[0]


def _resampler(family: int) -> Resampler:
    return Resampler(np.random.default_rng(0), level=1 - (1 - LEVEL) / family)


def _range(task: str) -> tuple[float, float]:
    return find_environment(task).reward_range


def _row(agent: str, parameters: int, task: str, each: Interval) -> dict[str, Any]:
    ends = {"value": each.estimate, "low": each.low, "high": each.high, "n": each.clusters}
    return {"agent": agent, "parameters": parameters, "task": task, **ends}
