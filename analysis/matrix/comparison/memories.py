"""The memories of one study side by side: does each help, is the skill pool better, and what does each cost?

Counting has one meaning for all of them. Events: decisions at which a memory chose anew what stands in the prompt.
Exposed: steps whose prompt holds a unit. Δprompt: tokens of memory in a prompt, over all steps, exposed or not.
Deployed tokens: of all units that recall may show; archive tokens: what only further learning needs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.findings import Finding
from analysis.matrix.arms.given import by_environment_seed
from analysis.matrix.contrasts import Contrast, overall
from analysis.matrix.reuse.coverage import coverage_runs
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import pooled_intervals
from analysis.tables.run import Tables
from analysis.tables.scales import return_scale
from analysis.tables.units import aggregate, run_means, seed_means

POOL = "skills"
"""What the study's own pool is called beside other memories."""
NATIVE, MATCHED = "native", "equal budget"
CONDITIONS = {"self": NATIVE, "matched": MATCHED, "given": NATIVE}
"""Arms by the budget of the prompt; a memory that was given has no other."""
COLUMNS = (
    *("memory", "budget", "n", "clusters", "return", "return_low", "return_high", "return_method", "units"),
    *("deployed_tokens", "archive_tokens", "events_per_step", "exposed_per_step", "delta_prompt", "coverage"),
    *("coverage_chance", "coverage_ceiling", "left_out", "reading_calls", "reading_tokens", "writing_calls"),
    *("writing_tokens",),
)


@dataclass(frozen=True)
class MemoryComparison:
    """What all memories of a study have in common, and the declared contrasts between them."""

    table: pd.DataFrame
    """A row per memory and budget: COLUMNS. Units, tokens and rates are means over learning runs or steps; clusters are
    learning runs, of a memory that was given environment seeds."""
    findings: tuple[Finding, ...]


def compare_memories(
    pool: Tables,
    memories: Mapping[str, Tables],
    by: Resampler,
    *,
    margin: float = math.nan,
    given: Mapping[str, Tables] = {},
) -> MemoryComparison:
    """`pool`: the study's own; each table holds the arm without memory, too. `given` have findings of their own."""
    every = {POOL: pool, **memories}
    seeds = _arms_by_memory(every)
    found = overall(seeds, _declared(list(memories), seeds), by, margin=margin, ranges=pool.ranges)
    rows = [row for name, tables in {**every, **given}.items() for row in _rows(name, tables, by)]
    return MemoryComparison(pd.DataFrame(rows, columns=list(COLUMNS)), tuple(found))


def _declared(memories: Sequence[str], seeds: pd.DataFrame) -> list[Contrast]:
    """One family: each memory against none, the pool against each (at an equal budget, too), and each where it was
    not learned."""
    there = set(seeds["arm"].astype("str"))
    helps = [Contrast(name, "none", f"Does the memory {name} help?") for name in (POOL, *memories)]
    better = [Contrast(POOL, name, f"Is the skill pool better than {name}?") for name in memories]
    travels = [
        Contrast(_elsewhere(name), "none", f"Does {name} help where it was not learned?") for name in (POOL, *memories)
    ]
    equal = [
        Contrast(_matched(POOL), _matched(name), f"Is the skill pool better than {name} at an equal budget?")
        for name in memories
    ]
    return [each for each in (*helps, *better, *equal, *travels) if set(each.arms) <= there]


def _elsewhere(name: str) -> str:
    return f"{name} transferred"


def _matched(name: str) -> str:
    return f"{name} within the budget"


def _arms_by_memory(every: Mapping[str, Tables]) -> pd.DataFrame:
    """Means by environment seed, in which each memory is an arm of its own."""
    parts: list[pd.DataFrame] = []
    for name, tables in every.items():
        arms = tables.episodes["arm"].astype("str")
        renamed = {"self": name, "transfer": _elsewhere(name), "matched": _matched(name)} | (
            {} if parts else {"none": "none"}
        )
        kept = tables.episodes[arms.isin(list(renamed))]
        parts.append(kept.assign(**{key: kept[key].astype("str") for key in ("source_agent", "source_task", "agent")}))
        parts[-1] = parts[-1].assign(arm=parts[-1]["arm"].astype("str").map(renamed), task=kept["task"].astype("str"))
    episodes = pd.concat(parts, ignore_index=True)
    return seed_means(episodes)


def _rows(name: str, tables: Tables, by: Resampler) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    answered = tables.episodes[tables.episodes["error"].isna()]
    for arm, condition in CONDITIONS.items():
        episodes = answered[answered["arm"].astype("str") == arm]
        if episodes.empty:
            continue
        seeds = seed_means(episodes)
        sample = aggregate(run_means(by_environment_seed(seeds) if arm == "given" else seeds), "return")
        interval = pooled_intervals(sample.cells, by, return_scale(tables.ranges, episodes["task"]))[0]
        row: dict[str, object] = {"memory": name, "budget": condition, "n": len(episodes)}
        row |= {"return": interval.estimate, "return_low": interval.low, "return_high": interval.high}
        row |= {"return_method": interval.method, "clusters": interval.clusters}
        rows.append(row | _recalled(tables, arm, episodes) | _written(tables))
    return rows


def _recalled(tables: Tables, arm: str, episodes: pd.DataFrame) -> dict[str, object]:
    """What recall did in an arm, per step of all its episodes, and how much of the memory it used."""
    steps = max(float(episodes["steps"].sum()), 1.0)
    events = float(episodes["skill_calls"].sum())
    coverage = coverage_runs(tables)
    used = coverage[coverage["arm"].astype("str") == arm]
    return {
        "units": used["units"].mean(),
        "deployed_tokens": used["stored_tokens"].mean(),
        "events_per_step": events / steps,
        "exposed_per_step": float(episodes["skill_steps"].sum()) / steps,
        "delta_prompt": float((episodes["memory_tokens"] * episodes["steps"]).sum()) / steps,
        "coverage": used["coverage"].mean(),
        "coverage_chance": used["expected"].mean(),
        "coverage_ceiling": used["ceiling"].mean(),
        "left_out": float(episodes["left_out"].sum()) / max(events, 1.0),
        "reading_calls": float(episodes["reading_calls"].sum()) / steps,
        "reading_tokens": float(episodes["reading_tokens"].sum()) / steps,
    }


def _written(tables: Tables) -> dict[str, object]:
    """What writing cost per episode learned from, and what is kept for it alone, per learning run."""
    learned = max(int(tables.learning["error"].isna().sum()), 1)
    last = tables.writing.sort_values("iteration").groupby(["agent", "task", "learning_run"]).tail(1)
    return {
        "archive_tokens": last["archive_tokens"].mean() if len(last) else 0.0,
        "writing_calls": float(tables.writing["calls"].sum()) / learned,
        "writing_tokens": float(tables.writing["tokens"].sum()) / learned,
    }
