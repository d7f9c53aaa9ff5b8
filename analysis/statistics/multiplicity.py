"""Several claims at once: p values adjusted within a declared family, by statsmodels.

A claim that could not be tested (NaN) stays NaN and stays in the count: what failed must not ease the rest.
"""

from __future__ import annotations

import numpy as np
from statsmodels.stats.multitest import multipletests

from analysis.statistics.bootstrap import Array


def holm(p: Array) -> Array:
    """Holm's (1979) step-down adjustment: controls the chance of any false claim, under any dependence."""
    return _adjusted(p, "holm")


def benjamini_hochberg(p: Array) -> Array:
    """Benjamini & Hochberg's (1995) step-up adjustment: controls the share of false claims among the claims made."""
    return _adjusted(p, "fdr_bh")


def _adjusted(p: Array, method: str) -> Array:
    if not len(p):
        return np.empty(0)
    unknown = np.isnan(p)
    answer = np.asarray(multipletests(np.where(unknown, 1.0, p), method=method)[1], np.float64)
    return np.where(unknown, np.nan, answer)
