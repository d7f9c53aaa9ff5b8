"""Several claims at once: p values adjusted within a declared family."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analysis.statistics.bootstrap import Array, Resampler


def holm(p: Array) -> Array:
    """Holm's (1979) step-down adjustment: controls the chance of any false claim. NaN stays NaN and is not counted."""
    return _adjust(p, lambda ordered, n: np.maximum.accumulate(ordered * (n - np.arange(n))))


def benjamini_hochberg(p: Array) -> Array:
    """Benjamini & Hochberg's (1995) step-up adjustment: controls the share of false claims among the claims made."""
    return _adjust(p, lambda ordered, n: np.minimum.accumulate((ordered * n / np.arange(1, n + 1))[::-1])[::-1])


def max_t(terms: Array, by: Resampler) -> Array:
    """Westfall & Young's step-down max-T by sign flips: adjusted p (contrasts,).

    It controls the chance of any false claim. `terms` (contrasts, clusters) are the weighted differences whose sum is
    the estimate, 0 where a contrast lacks the cluster. A flip turns all contrasts of a cluster together, so that their
    dependence is kept. Up to 14 clusters every pattern is tried, else random ones, the observed among them.
    """
    clusters = terms.shape[1]
    if clusters <= 14:
        bits = (np.arange(2 ** (clusters - 1))[:, None] >> np.arange(clusters)) & 1
        signs = 1.0 - 2.0 * bits
    else:
        signs = by.rng.choice(np.array([-1.0, 1.0]), size=(by.resamples, clusters))
        signs[0] = 1.0
    counts = np.maximum((terms != 0).sum(axis=1, keepdims=True), 2)
    squares = (terms**2).sum(axis=1, keepdims=True)
    sums = terms @ signs.T
    # the sum of squares does not change with signs, so the variance follows from the sum
    variance = np.maximum(squares - sums**2 / counts, 1e-12 * squares + 1e-300)
    statistics = np.abs(sums) / np.sqrt(variance)
    observed = statistics[:, 0]
    order = np.argsort(-observed, kind="stable")
    later = np.maximum.accumulate(statistics[order][::-1], axis=0)[::-1]
    p = (later >= observed[order][:, None] * (1 - 1e-9)).mean(axis=1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p)
    return adjusted


def _adjust(p: Array, rule: Callable[[Array, int], Array]) -> Array:
    answer = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    if len(known):
        order = known[np.argsort(p[known], kind="stable")]
        answer[order] = np.clip(rule(p[order], len(order)), 0, 1)
    return answer
