"""Second opinions on the declared contrasts: other methods, other assumptions, never the verdict."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM

from analysis.matrix.contrasts import Contrast
from analysis.statistics.bootstrap import Resampler, bca
from analysis.statistics.significance import mcnemar, sign_flip, wilcoxon
from analysis.tables.run import CELL
from analysis.tables.units import aggregate, clusters, reference_keys

MIXED_MODEL_CELLS = 60
"""Cells up to which the mixed model is fitted; beyond, its fixed effects make it slow."""


def check_table(seeds: pd.DataFrame, declared: Sequence[Contrast], by: Resampler) -> pd.DataFrame:
    """One row per declared contrast: BCa interval, sign flips (no run has an effect) and Wilcoxon on run values, mixed
    model, McNemar (pairs taken as independent)."""
    rows: list[dict[str, object]] = []
    for contrast in declared:
        runs = contrast.differences(seeds, "return")
        if runs.empty:
            continue
        values, layout = aggregate(runs, "difference").cells.by_cluster()
        row: dict[str, object] = {"contrast": contrast.name, "estimate": float(values[0] @ layout.weights)}
        if min(layout.sizes) > 1:
            low, high = bca(values, layout, by.level, layout.resample(by))
            row |= {"bca_low": float(low[0]), "bca_high": float(high[0])}
        row |= {"sign_flip_p": sign_flip(values[0], by).p, "wilcoxon_p": wilcoxon(values[0], by).p}
        row |= mixed_model(runs) | _discordant(seeds, contrast)
        rows.append(row)
    return pd.DataFrame(rows)


def mixed_model(runs: pd.DataFrame) -> dict[str, object]:
    """Crossed mixed model of differences: cells as fixed effects (sum to zero), clusters as random effect.

    Gives mixed_estimate, mixed_se, mixed_p, or only mixed_note with the reason why not. The p is Student's with one
    degree of freedom less than clusters: Wald's rejects 8 % of true nulls at .05 with six to eight learning runs.
    """
    labels, cells = clusters(runs), runs.groupby(CELL, observed=True).ngroup().to_numpy()
    count = int(cells.max()) + 1
    if count > MIXED_MODEL_CELLS:
        return {"mixed_note": f"not fitted: {count} cells"}
    if len(np.unique(labels)) < 3 or len(runs) <= len(np.unique(labels)) + count:
        return {"mixed_note": "not fitted: too few learning runs per cell"}
    design = np.ones((len(runs), count))
    for cell in range(1, count):
        design[:, cell] = (cells == cell).astype(float) - (cells == 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = cast(Any, MixedLM(runs["difference"].to_numpy(float), design, groups=labels).fit(reml=True))
        except (np.linalg.LinAlgError, ValueError) as error:
            return {"mixed_note": f"not fitted: {error}"}
    return {
        "mixed_estimate": float(fit.fe_params[0]),
        "mixed_se": float(fit.bse_fe[0]),
        "mixed_p": float(2 * stats.t.sf(abs(fit.tvalues[0]), len(np.unique(labels)) - 1)),
    }


def _discordant(seeds: pd.DataFrame, contrast: Contrast) -> dict[str, object]:
    left, right = seeds[seeds["arm"] == contrast.treatment], seeds[seeds["arm"] == contrast.reference]
    keys = reference_keys(right, contrast.reference)
    both = left.merge(right[[*keys, "solved"]], on=keys, suffixes=("", "_reference"))
    gained = int(((both["solved"] == 1) & (both["solved_reference"] == 0)).sum())
    lost = int(((both["solved"] == 0) & (both["solved_reference"] == 1)).sum())
    return {"solved_gained": gained, "solved_lost": lost, "mcnemar_p": mcnemar(gained, lost).p}
