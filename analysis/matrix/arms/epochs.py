"""Several episodes per environment seed (`epochs`): at least one, most, or all of them solved."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.matrix.arms.reducers import at_least, majority, pass_all, pass_at
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import SHARE, pooled_intervals
from analysis.tables.units import RUN, SEED, aggregate


def epoch_table(episodes: pd.DataFrame, by: Resampler) -> pd.DataFrame:
    """One row per arm, reducer and k, with the interval of its mean over seeds, learning runs, cells and tasks.

    Columns: arm, reducer (pass@k, pass^k, at least k of as many as there are, majority), k, seeds, share, share_low,
    share_high, share_method. Empty where every seed was played once.
    """
    columns = ["arm", "reducer", "k", "seeds", "share", "share_low", "share_high", "share_method"]
    answered = episodes[episodes["error"].isna() & episodes["solved"].notna()]
    seeds = answered.groupby(SEED, observed=True, sort=True)["solved"].agg(["sum", "size"]).reset_index()
    most = int(seeds["size"].max()) if len(seeds) else 0
    if most < 2:
        return pd.DataFrame(columns=columns)
    solved, size = seeds["sum"].to_numpy(float), seeds["size"].to_numpy(float)
    reduced = {("pass@k", k): pass_at(k, solved, size) for k in _ks(most)}
    reduced |= {("pass^k", k): pass_all(k, solved, size) for k in _ks(most) if k > 1}
    reduced |= {(f"at least k of {most}", k): at_least(k, most, solved, size) for k in range(2, most)}
    reduced |= {("majority", most): np.where(size == most, majority(solved, size), np.nan)}
    rows: list[dict[str, object]] = []
    for arm in seeds["arm"].astype("str").unique().tolist():
        for (name, k), values in reduced.items():
            of_arm = seeds.assign(value=values, n=1)[(seeds["arm"] == arm) & ~np.isnan(values)]
            if of_arm.empty:
                continue
            runs = of_arm.groupby(RUN, observed=True, sort=True).agg(value=("value", "mean"), n=("n", "sum"))
            each = pooled_intervals(aggregate(runs.reset_index(), "value").cells, by, SHARE)[0]
            row: dict[str, object] = {"arm": arm, "reducer": name, "k": k, "seeds": len(of_arm)}
            ends = {"share": each.estimate, "share_low": each.low, "share_high": each.high, "share_method": each.method}
            rows.append(row | ends)
    return pd.DataFrame(rows, columns=columns)


def _ks(most: int) -> list[int]:
    """1, 2, 4, … and the most there are."""
    return sorted({*(2**power for power in range(most.bit_length()) if 2**power <= most), most})
