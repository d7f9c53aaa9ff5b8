"""Influence: how much what a memory showed changed the likelihood of what was done, by memory and arm.

Per exposed step log p(move | units) − log p(move | without), in nats, by the model that acted. Where moves are drawn,
its expectation is a divergence of two policies: near 0, units were not heeded; above it they were, for good or ill.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from analysis.matrix.arms.given import by_environment_seed
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import pooled_intervals
from analysis.tables.run import Tables
from analysis.tables.units import aggregate, run_means, seed_means

COLUMNS = (
    *("memory", "arm", "n", "clusters", "influence", "influence_low", "influence_high", "influence_method"),
    *("events_per_step", "exposed_per_step", "measured", "error"),
)


def influence_table(learned: Mapping[str, Tables], given: Mapping[str, Tables], by: Resampler) -> pd.DataFrame | None:
    """A row per memory and arm; None where nothing was measured.

    `learned`: tables by memory, the study's own pool among them; clusters are learning runs. Of `given` memories they
    are environment seeds. Of an episode it is the mean over its measured steps, of a cell the mean over its episodes.
    """
    rows = [row for name, tables in learned.items() for row in _rows(name, tables, by, is_given=False)]
    rows += [row for name, tables in given.items() for row in _rows(name, tables, by, is_given=True)]
    return pd.DataFrame(rows, columns=list(COLUMNS)) if rows else None


def _rows(name: str, tables: Tables, by: Resampler, *, is_given: bool) -> Iterator[dict[str, object]]:
    answered = tables.episodes[tables.episodes["error"].isna()]
    for arm in answered["arm"].cat.categories:
        episodes = answered[answered["arm"] == arm]
        known = episodes[episodes["influence"].notna()]
        if known.empty:
            continue
        # The one measure whose clusters, runs and cells all of `units` knows is called "return".
        seeds = seed_means(known.assign(**{"return": known["influence"]}))
        sample = aggregate(run_means(by_environment_seed(seeds) if is_given else seeds), "return")
        interval = pooled_intervals(sample.cells, by)[0]
        row: dict[str, object] = {"memory": name, "arm": str(arm), "n": len(known), "clusters": interval.clusters}
        row |= {"influence": interval.estimate, "influence_low": interval.low, "influence_high": interval.high}
        yield row | {"influence_method": interval.method} | _counts(episodes, known)


def _counts(episodes: pd.DataFrame, known: pd.DataFrame) -> dict[str, object]:
    """Over all episodes of the arm; the error over the steps of those in which it is known."""
    steps = max(float(episodes["steps"].sum()), 1.0)
    exposed = float(episodes["skill_steps"].sum())
    judged = known[known["influence_error"].notna()]
    weights = judged["influence_steps"]
    square = float((judged["influence_error"] ** 2 * weights).sum()) / max(float(weights.sum()), 1.0)
    return {
        "events_per_step": float(episodes["skill_calls"].sum()) / steps,
        "exposed_per_step": exposed / steps,
        "measured": float(episodes["influence_steps"].sum()) / max(exposed, 1.0),
        "error": np.sqrt(square) if len(judged) else np.nan,
    }
