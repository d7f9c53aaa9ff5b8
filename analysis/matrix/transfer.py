"""Transfer metrics of every cell: gain, regret, ratio to the target's own pool, retention of the source's gain."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.findings import Finding, judge
from analysis.matrix.contrasts import Contrast, difference
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import Interval, fieller, pooled_intervals
from analysis.statistics.multiplicity import benjamini_hochberg
from analysis.tables.measure import Measure
from analysis.tables.run import CELL, Ranges
from analysis.tables.scales import difference_scale
from analysis.tables.units import TARGET, aggregate, paired, relation, wide

TOKEN_COLUMNS = ("arm", "gain", "extra_prompt_tokens", "memory_tokens", "gain_per_1000_tokens")


def gain_runs(seeds: pd.DataFrame) -> pd.DataFrame:
    """Gain over no memory of every self and transfer cell in every learning run: column `difference`."""
    return pd.concat([paired(seeds, arm, "none", "return") for arm in ("self", "transfer")], ignore_index=True)


def transfer_table(seeds: pd.DataFrame, by: Resampler) -> pd.DataFrame:
    """One row per transfer cell. gain = T − none; own = gain of the target's own pool there; home = gain of the pool
    where it was learned; ratio = gain / own; retention = gain / home; difficulty = return without memory.

    Ratios carry Fieller's interval and are suppressed (NaN, with the reason) where the denominator's interval covers 0.
    """
    gains = gain_runs(seeds)
    if gains.empty or not bool((gains["arm"] == "transfer").any()):
        return pd.DataFrame(columns=[*CELL, "gain", "own", "home", "difficulty", "ratio", "retention"])
    table = wide(gains, "difference")
    own = {
        tuple(map(str, key[3:])): row
        for key, row in zip(table.index.tolist(), table.to_numpy(float), strict=True)
        if key[0] == "self"
    }
    base = seeds[seeds["arm"] == "none"].groupby(TARGET, observed=True)["return"].mean()
    rows: list[dict[str, object]] = []
    for key, gain in zip(table.index.tolist(), table.to_numpy(float), strict=True):
        cell = dict(zip(CELL, map(str, key), strict=True))
        if cell["arm"] != "transfer":
            continue
        target, source = (cell["agent"], cell["task"]), (cell["source_agent"], cell["source_task"])
        row: dict[str, object] = {
            **cell,
            "gain": float(np.nanmean(gain)),
            "difficulty": float(base.get(target, np.nan)),
        }
        for name, ratio, other in (("own", "ratio", own.get(target)), ("home", "retention", own.get(source))):
            row[name] = np.nan if other is None else float(np.nanmean(other))
            row |= _named(ratio, _ratio(gain, other, by.level))
        rows.append(row)
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Asymmetry(Contrast):
    """Gain of one agent's pool for another less the gain of the other's pool for the first."""

    agents: tuple[str, str] = ("", "")

    @property
    def learned(self) -> tuple[bool, bool]:
        return True, True

    @property
    def key(self) -> str:
        return "pair"

    @property
    def name(self) -> str:
        first, second = self.agents
        return f"{first} → {second} less {second} → {first}"


def asymmetry(seeds: pd.DataFrame, by: Resampler, ranges: Ranges = {}) -> list[Finding]:
    """Gain of i's pool for j less gain of j's pool for i, per task; the null is that the two directions gain alike.

    Gains, not returns, because the two targets differ in skill. Verdict better: the first direction transfers more.
    """
    gains = gain_runs(seeds)
    gains = gains[(gains["arm"] == "transfer") & (gains["source_task"].astype("str") == gains["task"].astype("str"))]
    if gains.empty:
        return []
    measure = replace(Measure.of(seeds, "return", math.nan, ranges), outcome="gain", differences=2)
    found: list[Finding] = []
    for (first, second, task), part in _both_ways(gains).groupby(["source_agent", "agent", "task"], sort=True):
        contrast = Asymmetry("transfer", "none", "asymmetry", agents=(str(first), str(second)))
        cell = {"source_agent": str(first), "agent": str(second), "task": str(task)}
        found.append(difference(contrast, part, measure, by, cell))
    p = benjamini_hochberg(np.array([each.p for each in found], float)).tolist()
    family = f"asymmetry of {len(found)} pairs"
    return [judge(each, q, family, "Benjamini–Hochberg") for each, q in zip(found, p, strict=True)]


def _both_ways(gains: pd.DataFrame) -> pd.DataFrame:
    """One row per pair of agents, task and learning run, columns as of `paired`: forward less back.

    A side's `reference` is what it would have returned with the other's gain. The two skewnesses weigh alike, as of two
    directions that vary alike.
    """
    texts = gains.astype({"source_agent": "str", "agent": "str", "task": "str"})
    forward = texts[texts["source_agent"] < texts["agent"]]
    values = ["difference", "difference_skewness", "n", "once", "treated", "reference"]
    turned = texts.rename(columns={"source_agent": "agent", "agent": "source_agent"})
    keys = ["task", "learning_run", "source_agent", "agent"]
    both = forward.merge(turned[[*keys, *values]], on=keys, suffixes=("", "_back"))
    skewed = (both["difference_skewness"] - both["difference_skewness_back"]) / np.sqrt(8)
    return both.assign(
        difference=both["difference"] - both["difference_back"],
        difference_skewness=skewed,
        n=both["n"] + both["n_back"],
        once=both["once"] + both["once_back"],
        treated=both["reference_back"] + both["difference"],
        reference=both["reference"] + both["difference_back"],
    )


def relation_gains(seeds: pd.DataFrame, by: Resampler, ranges: Ranges = {}) -> pd.DataFrame:
    """Mean gain by relation of source and target (in-domain, cross-task, cross-agent, cross-both), with intervals."""
    gains = gain_runs(seeds)
    if gains.empty:
        return pd.DataFrame(columns=["relation", "gain", "gain_low", "gain_high", "gain_method"])
    gains = gains.assign(relation=relation(gains))
    rows: list[dict[str, object]] = []
    for name, part in gains.groupby("relation", sort=True):
        sample = aggregate(part, "difference")
        each = pooled_intervals(sample.cells, by, difference_scale(ranges, part["task"]))[0]
        rows.append({"relation": name, "episodes": sample.episodes, "clusters": each.clusters} | _named("gain", each))
    return pd.DataFrame(rows)


def token_efficiency(seeds: pd.DataFrame, arms: pd.DataFrame, by: Resampler, ranges: Ranges = {}) -> pd.DataFrame:
    """Per arm: gain over no memory, extra prompt tokens an episode, gain per 1,000 of them, Δprompt tokens a step.

    `arms` is `arms.arm_table`. The audit against retrieval is the row of the arm `rag`, where a study has one.
    """
    prompts = dict(zip(arms["arm"].tolist(), arms["prompt_tokens"].tolist(), strict=True))
    memory = dict(zip(arms["arm"].tolist(), arms["memory_tokens"].tolist(), strict=True))
    rows: list[dict[str, object]] = []
    for arm in [name for name in prompts if name != "none" and "none" in prompts]:
        runs = paired(seeds, arm, "none", "return")
        if runs.empty:
            continue
        scale = difference_scale(ranges, runs["task"])
        each = pooled_intervals(aggregate(runs, "difference").cells, by, scale)[0]
        extra = prompts[arm] - prompts["none"]
        rate = 1000 * each.estimate / extra if extra > 0 else np.nan
        spent = {"extra_prompt_tokens": extra, "memory_tokens": memory[arm], "gain_per_1000_tokens": rate}
        rows.append({"arm": arm} | _named("gain", each) | spent)
    return pd.DataFrame(rows, columns=None if rows else [*TOKEN_COLUMNS])


def _ratio(gain: np.ndarray, other: np.ndarray | None, level: float) -> Interval:
    if other is None:
        return Interval(np.nan, np.nan, np.nan, level, "no denominator was run", 0)
    known = ~np.isnan(gain) & ~np.isnan(other)
    return fieller(gain[known], other[known], level)


def _named(name: str, each: Interval) -> dict[str, object]:
    return {name: each.estimate, f"{name}_low": each.low, f"{name}_high": each.high, f"{name}_method": each.method}
