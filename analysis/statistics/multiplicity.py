"""Several claims at once: p values adjusted within a declared family.

A claim that could not be tested (NaN) stays NaN and stays in the count: what failed must not ease the rest.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from analysis.statistics.bootstrap import Array


def holm(p: Array) -> Array:
    """Holm's (1979) step-down adjustment: controls the chance of any false claim, under any dependence."""
    counted = _counted(p)
    order = np.argsort(counted)
    adjusted = np.empty_like(counted)
    adjusted[order] = np.maximum.accumulate(counted[order] * np.arange(len(p), 0, -1))
    return np.where(np.isnan(p), np.nan, np.minimum(adjusted, 1.0))


def benjamini_hochberg(p: Array) -> Array:
    """Benjamini & Hochberg's (1995) step-up adjustment: controls the share of false claims among the claims made."""
    return np.where(np.isnan(p), np.nan, stats.false_discovery_control(_counted(p)))


def e_holm(e: Array) -> Array:
    """e-Holm (Vovk & Wang 2021): e-values adjusted for a family; the claim holds where they reach 1/α, under any
    dependence. Of largest e-values so far it controls the chance that any false claim is ever made."""
    with np.errstate(divide="ignore"):
        return 1 / holm(np.minimum(1 / e, 1.0))


def e_benjamini_hochberg(e: Array) -> Array:
    """e-BH (Wang & Ramdas 2022): e-values adjusted so that claims at 1/α keep the share of false ones at α, under any
    dependence. Of e-values at one stopping time, not of their peaks."""
    counted = np.where(np.isnan(e), 0.0, e)
    order = np.argsort(-counted)
    adjusted = np.empty_like(counted)
    shares = counted[order] * np.arange(1, len(e) + 1) / len(e)
    adjusted[order] = np.maximum.accumulate(shares[::-1])[::-1]
    return np.where(np.isnan(e), np.nan, adjusted)


def _counted(p: Array) -> Array:
    """What has no p counts as 1."""
    return np.where(np.isnan(p), 1.0, p)
