"""The bottleneck study: where would a better part pay most? One study again and again, each time with one oracle.

Only games whose truth is known have oracles; see `testbed.bench.experiments.oracles`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import Scale, mean_intervals
from testbed.bench.experiments.oracles import TRUTHS
from testbed.config.agent import AgentConfig
from testbed.config.plugins import find_environment
from testbed.config.study import ConfigError, StudyConfig

AS_IT_IS = "as it is"
PARTS: Mapping[str, str] = {
    "gradient": "every trajectory is explained by the whole truth",
    "candidate": "one candidate, which says the truth",
    "gate": "lets in what truly improves on its parent",
    "selector": "the skill that says most about the round",
    "actor": "does what the skill says, guesses where it says nothing",
}
"""What stands in for each part."""
LEVEL = 0.95
"""Of all intervals together (Bonferroni)."""


def variants(config: StudyConfig) -> dict[str, StudyConfig]:
    """The study as it is, and with an oracle in place of each part. Raises ConfigError for one that has none."""
    if len(config.agents) != 1 or len(config.tasks) != 1:
        raise ConfigError("a bottleneck study has one agent and one task; keep one [[agents]] and one [[tasks]]")
    task, learning, (agent,) = config.tasks[0].environment, config.learning, config.agents
    if task not in TRUTHS:
        raise ConfigError(f"tasks.0.environment: {task!r} has no oracles; there are: {', '.join(TRUTHS)}")
    if learning.learner != "nppo":
        raise ConfigError(f'learning.learner: oracles stand in for the parts of "nppo", not of {learning.learner!r}')
    oracle = f"testbed.bench.experiments.oracles:{TRUTHS[task]}"
    base = _changed(config, study="matrix", arms=("none", "seed", "self"), memories=(), pools=(), budget=None)
    evolver = learning.evolver if isinstance(learning.evolver, AgentConfig) else agent
    obedient = agent.model_copy(update={"model": "testbed.bench.experiments.oracles:obedient", "base_url": ()})

    def learned(**changes: Any) -> StudyConfig:
        return _changed(base, learning=learning.model_copy(update=changes))

    return {
        AS_IT_IS: base,
        "gradient": learned(choices={**learning.choices, "critic": f"{oracle}_CRITIC"}),
        "candidate": learned(learner=f"{oracle}_CANDIDATES"),
        "gate": learned(choices={**learning.choices, "gate": f"{oracle}_GATE"}),
        "selector": _changed(base, skills=base.skills.model_copy(update={"selector": f"{oracle}_SELECTOR"})),
        "actor": _changed(
            base,
            agents=(obedient,),
            learning=learning.model_copy(update={"evolver": evolver.model_copy(update={"name": "evolver"})}),
        ),
    }


def _changed(config: StudyConfig, **changes: Any) -> StudyConfig:
    return config.model_copy(update=changes)


def bottleneck(episodes: Mapping[str, pd.DataFrame], task: str) -> pd.DataFrame:
    """What a better part would pay, from the evaluated episodes of each variant (`analysis.tables.run.EPISODES`).

    One row per part, the one that pays most first: `own` (mean return with the pool that was learned), `gain` over the
    study as it is, paired by learning run on common environment seeds, with `low` and `high` (simultaneous, over
    learning runs) and `runs`. NaN bounds where there are too few.
    """
    low, high = find_environment(task).reward_range
    by_run = {name: _means(table, "self") for name, table in episodes.items()}
    parts = [part for part in PARTS if part in by_run]
    runs = by_run[AS_IT_IS].index
    gains = np.stack([(by_run[part].reindex(runs) - by_run[AS_IT_IS]).to_numpy(float) for part in parts])
    by = Resampler(np.random.default_rng(0), level=1 - (1 - LEVEL) / len(parts))
    found = mean_intervals(gains, by, Scale(low - high, high - low))
    rows = [
        {
            "part": part,
            "own": by_run[part].mean(),
            "gain": each.estimate,
            "low": each.low,
            "high": each.high,
            "runs": each.clusters,
        }
        for part, each in zip(parts, found, strict=True)
    ]
    return pd.DataFrame(rows).sort_values("gain", ascending=False, ignore_index=True, kind="stable")


def baselines(episodes: pd.DataFrame) -> dict[str, float]:
    """Mean return of the study as it is without skills, with the seed pool, with its own pool."""
    return {arm: float(_means(episodes, arm).mean()) for arm in ("none", "seed", "self")}


def sentence(table: pd.DataFrame) -> str:
    """Where a better part would pay most, and whether that is sure."""
    best, others = table.iloc[0], table.iloc[1:]
    paid = f"{with_bounds(best['gain'], best['low'], best['high'])}, {best['runs']} learning runs"
    if not best["low"] > 0:
        return f"Undecided: the largest gain is the {best['part']}'s, {paid}."
    rivals = others[~(others["high"] < best["low"])]["part"].tolist()
    also = f"; not told apart from {', '.join(rivals)}" if rivals else ""
    return f"A better {best['part']} would pay most: {paid}{also}."


def with_bounds(gain: float, low: float, high: float) -> str:
    """A gain with its interval; runs that all agree, or a single one, give none."""
    return f"{gain:+.3f} ({low:+.3f} to {high:+.3f})" if np.isfinite(low) else f"{gain:+.3f} (no interval)"


def _means(episodes: pd.DataFrame, arm: str) -> pd.Series:
    """Mean return by learning run."""
    return episodes[episodes["arm"] == arm].groupby("learning_run")["return"].mean()
