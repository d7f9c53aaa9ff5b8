"""What a verdict hangs on: any one learning run, the prior, the margin; and what the study could have found at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.findings import ALPHA, Finding, add_detectable
from analysis.matrix.contrasts import Contrast
from analysis.matrix.robustness.detectable import detectable_effect
from analysis.matrix.robustness.posterior import posterior
from analysis.statistics.bootstrap import Array
from analysis.statistics.cell_means import Pivot
from analysis.statistics.estimates import SHARE_DIFFERENCE, Scale
from analysis.tables.run import CELL, Ranges, Tables
from analysis.tables.scales import difference_scale

COLUMNS = (
    "contrast", "outcome", "clusters", "mde", "low90", "high90", "smallest_margin", "loo_low", "loo_high", "loo_run",
    "prior_sd", "posterior", "posterior_low", "posterior_high", "p_positive", "p_within_margin", "sceptic_p_positive",
)  # fmt: skip
SCEPTIC = 0.25
"""The sceptic's prior is this much narrower."""


@dataclass(frozen=True)
class Sensitivity:
    """Second opinions, and the data they rest on."""

    table: pd.DataFrame
    """One row per declared contrast and outcome: COLUMNS."""
    values: pd.DataFrame
    """contrast, outcome, task, learning_run, value: the datum of every learning run, to be looked at where few."""


def sensitivity(
    seeds: pd.DataFrame,
    declared: Sequence[Contrast],
    findings: Sequence[Finding],
    span: float,
    *,
    margin: float,
    ranges: Ranges = {},
) -> Sensitivity:
    """Second opinions on every declared contrast that has data.

    `span` is the width of the reward range; the prior's standard deviation is half of it. mde: the difference found
    with 80 % power at .05 divided by the number of contrasts. low90, high90: the interval whose place inside ±margin is
    the equivalence test; smallest_margin: the one that would have passed. loo: the estimate without any one learning
    run, and the run that moves it most.
    """
    known = {each.id: each for each in findings if each.kind == "contrast"}
    rows: list[dict[str, object]] = []
    values: list[pd.DataFrame] = []
    for outcome, scale, bound in (("return", span / 2, margin), ("solved", 0.5, np.nan)):
        for contrast in declared:
            found = known.get(f"contrast:{outcome}:{contrast.key}")
            runs = contrast.differences(seeds, outcome)
            if found is None or runs.empty:
                continue
            named = {"contrast": contrast.name, "outcome": outcome}
            bounds = difference_scale(ranges, runs["task"]) if outcome == "return" else SHARE_DIFFERENCE
            rows.append(
                named
                | {"clusters": found.n_clusters, "mde": detectable(found, len(declared))}
                | _inner_interval(found, bounds)
                | leave_one_out(runs)
                | _believed(run_values(runs, found.n_clusters), scale, bound, bounds)
            )
            by_task = runs.groupby(["task", "learning_run"], observed=True)["difference"].mean().rename("value")
            values.append(by_task.reset_index().assign(**named).astype({"task": "str"}))
    columns = ["contrast", "outcome", "task", "learning_run", "value"]
    points = pd.concat(values, ignore_index=True)[columns] if values else pd.DataFrame(columns=columns)
    return Sensitivity(pd.DataFrame(rows, columns=list(COLUMNS)), points)


def add_sensitivity(findings: Sequence[Finding], table: pd.DataFrame) -> list[Finding]:
    """Findings with their minimum detectable effect; declared contrasts also with their range without any one run."""
    rows = {(row["contrast"], row["outcome"]): row for row in table.to_dict("records")}
    answers: list[Finding] = []
    for each in findings:
        row = rows.get((each.subject, each.outcome)) if each.kind == "contrast" else None
        known = {"mde": detectable(each, 1)} if row is None else {name: float(row[name]) for name in _OF_FINDINGS}
        answers.append(add_detectable(replace(each, **known)))
    return answers


_OF_FINDINGS = ("mde", "loo_low", "loo_high")


def reward_span(tables: Tables) -> float:
    """Width of the widest reward range; of the returns seen, where no range is known; 1 where all are equal."""
    widths = [high - low for low, high in tables.ranges.values()]
    returns = tables.episodes["return"].dropna()
    seen = float(returns.max() - returns.min()) if len(returns) else 0.0
    return max(widths) if widths else seen or 1.0


def detectable(found: Finding, comparisons: int) -> float:
    """The difference that this many learning runs, as unlike as these, would show with 80 % power."""
    return detectable_effect(found.error, found.freedom, alpha=ALPHA / comparisons)


def leave_one_out(runs: pd.DataFrame) -> dict[str, object]:
    """Smallest and largest estimate with one learning run left out, and the run that moves it most.

    `runs`: differences by treated cell and learning run. Nothing where a cell rests on one run.
    """
    if int(runs.groupby(CELL, observed=True).size().min()) < 2:
        return {}
    whole = average(runs)
    left = {run: average(runs[runs["learning_run"] != run]) for run in sorted(runs["learning_run"].unique())}
    most = max(left, key=lambda run: abs(left[run] - whole))
    return {"loo_low": min(left.values()), "loo_high": max(left.values()), "loo_run": int(most)}


def average(runs: pd.DataFrame) -> float:
    """The estimate: learning runs weigh the same in their cell, cells in their task, tasks in the mean."""
    cells = runs.groupby(CELL, observed=True)["difference"].mean()
    return float(cells.groupby("task", observed=True).mean().mean())


def run_values(runs: pd.DataFrame, clusters: int) -> Array:
    """One value per independent cluster: differences between tasks are no noise, every task is moved to the mean.

    A cluster is a learning run of one task where there are as many of these as clusters, else of all tasks together.
    """
    cells = runs["difference"] - runs.groupby(CELL, observed=True)["difference"].transform("mean") + average(runs)
    keys = [runs["task"].astype("str"), runs["learning_run"]]
    by_task = cells.groupby(keys).mean()
    values = by_task if len(by_task) == clusters else by_task.groupby("learning_run").mean()
    return values.to_numpy(float)


def _inner_interval(found: Finding, bounds: Scale) -> dict[str, object]:
    single = (np.array([value]) for value in (found.estimate, found.error, found.freedom, found.skewness))
    estimate, error, freedom, skewness = single
    low, high = (float(end[0]) for end in Pivot(estimate, error, freedom, skewness).interval(1 - 2 * ALPHA))
    if not np.isfinite(low):
        return {}
    low, high = max(low, bounds.low), min(high, bounds.high)
    return {"low90": low, "high90": high, "smallest_margin": max(abs(low), abs(high))}


def _believed(values: Array, scale: float, margin: float, bounds: Scale) -> dict[str, object]:
    wide = posterior(values, scale, margin=margin)
    return {
        "prior_sd": scale,
        "posterior": wide.estimate,
        "posterior_low": max(wide.low, bounds.low),
        "posterior_high": min(wide.high, bounds.high),
        "p_positive": wide.positive,
        "p_within_margin": wide.within,
        "sceptic_p_positive": posterior(values, SCEPTIC * scale).positive,
    }
