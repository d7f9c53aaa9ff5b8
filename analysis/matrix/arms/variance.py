"""Where the spread of returns comes from: the learning run, the environment seed, or the sampling of one episode."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.tables.run import CELL
from analysis.tables.units import RUN, SEED

COLUMNS = ("arm", "outcome", "run", "seed", "sampling", "seed_and_sampling", "run_share")


def variance_table(episodes: pd.DataFrame) -> pd.DataFrame:
    """One row per arm and outcome: variance components, averaged over the arm's cells.

    Columns: arm, outcome, run (between learning runs), seed (between environment seeds of a run), sampling (between
    episodes of a seed), seed_and_sampling (their sum: all that one episode per seed can show), run_share (intraclass
    correlation: the run's part of the whole). NaN where the design cannot tell; negative estimates become 0.
    """
    answered = episodes[episodes["error"].isna()]
    rows: list[dict[str, object]] = []
    for outcome in ("return", "solved"):
        cells = nested_components(answered[[*SEED, outcome]].rename(columns={outcome: "value"}))
        means = cells.groupby("arm", observed=True, sort=True)[["run", "seed", "sampling", "seed_and_sampling"]].mean()
        for arm, parts in zip(means.index.tolist(), means.to_numpy(float), strict=True):
            run, seed, sampling, rest = parts.tolist()
            row: dict[str, object] = {"arm": str(arm), "outcome": outcome, "run": run, "seed": seed}
            share = run / (run + rest) if run + rest > 0 else np.nan
            rows.append(row | {"sampling": sampling, "seed_and_sampling": rest, "run_share": share})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def nested_components(values: pd.DataFrame) -> pd.DataFrame:
    """Components of each cell from the mean squares of a nested design, unbalanced or not (Searle et al. 1992, 3.6).

    `values` has the columns of a seed and `value`. Columns of the answer: the cell, run, seed, sampling,
    seed_and_sampling.
    """
    values = values.assign(square=values["value"] ** 2)
    seeds = values.groupby(SEED, observed=True).agg(n=("value", "size"), s=("value", "sum"), q=("square", "sum"))
    seeds = seeds.assign(n2=seeds["n"] ** 2, ss=seeds["s"] ** 2 / seeds["n"])
    runs = seeds.groupby(RUN, observed=True).agg(
        n=("n", "sum"), s=("s", "sum"), q=("q", "sum"), n2=("n2", "sum"), ss=("ss", "sum"), seeds=("n", "size")
    )
    runs = runs.assign(inner=runs["n2"] / runs["n"], square=runs["n"] ** 2, sr=runs["s"] ** 2 / runs["n"])
    cells = runs.groupby(CELL, observed=True).agg(
        n=("n", "sum"), s=("s", "sum"), q=("q", "sum"), n2=("n2", "sum"), ss=("ss", "sum"), sr=("sr", "sum"),
        inner=("inner", "sum"), square=("square", "sum"), seeds=("seeds", "sum"), runs=("n", "size"),
    )  # fmt: skip
    total = cells["s"] ** 2 / cells["n"]
    free = {"sampling": cells["n"] - cells["seeds"], "seed": cells["seeds"] - cells["runs"], "run": cells["runs"] - 1}
    squares = {"sampling": cells["q"] - cells["ss"], "seed": cells["ss"] - cells["sr"], "run": cells["sr"] - total}
    mean = {name: squares[name] / free[name].where(free[name] > 0) for name in free}
    of_seed = (cells["n"] - cells["inner"]) / free["seed"].where(free["seed"] > 0)
    seed = (mean["seed"] - mean["sampling"]) / of_seed
    seed_in_run = (cells["inner"] - cells["n2"] / cells["n"]) / free["run"].where(free["run"] > 0)
    per_run = (cells["n"] - cells["square"] / cells["n"]) / free["run"].where(free["run"] > 0)
    # one episode per seed: the mean square between seeds is all there is, and it holds both
    both = mean["seed"].where(mean["sampling"].isna(), mean["sampling"] + seed.clip(lower=0))
    noise = mean["seed"].where(mean["sampling"].isna(), mean["sampling"] + seed_in_run * seed)
    found = {"run": (mean["run"] - noise) / per_run, "seed": seed, "sampling": mean["sampling"]}
    answer = pd.DataFrame(found | {"seed_and_sampling": both}).clip(lower=0)
    return answer.reset_index()
