"""Several claims at once: p values adjusted within a declared family."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .estimates import Array


def holm(p: Array) -> Array:
    """Holm's (1979) step-down adjustment: controls the chance of any false claim. NaN stays NaN and is not counted."""
    return _adjust(p, lambda ordered, n: np.maximum.accumulate(ordered * (n - np.arange(n))))


def benjamini_hochberg(p: Array) -> Array:
    """Benjamini & Hochberg's (1995) step-up adjustment: controls the share of false claims among the claims made."""
    return _adjust(p, lambda ordered, n: np.minimum.accumulate((ordered * n / np.arange(1, n + 1))[::-1])[::-1])


def max_t(values: Array, rng: Generator, resamples: int = 10_000) -> Array:
    """Westfall & Young's step-down max-T by sign flips: adjusted p (contrasts,) of values (contrasts, clusters).

    A flip turns all contrasts of a cluster together, so that their dependence is kept. NaN (a contrast without that
    cluster) counts as no evidence. Up to 14 clusters every pattern is tried, else `resamples` random ones.
    """
    present = np.nan_to_num(values)
    counts = np.maximum((~np.isnan(values)).sum(axis=1, keepdims=True), 1)
    clusters = values.shape[1]
    if clusters <= 14:
        bits = (np.arange(2 ** (clusters - 1))[:, None] >> np.arange(clusters)) & 1
        signs = 1.0 - 2.0 * bits
    else:
        signs = rng.choice(np.array([-1.0, 1.0]), size=(resamples, clusters))
        signs[0] = 1.0
    squares = (present**2).sum(axis=1, keepdims=True)
    means = present @ signs.T / counts
    variance = np.maximum(squares / counts - means**2, 1e-12 * (squares / counts + 1e-300))
    statistics = np.abs(means) / np.sqrt(variance / counts)
    observed = statistics[:, 0]
    order = np.argsort(-observed)
    later = np.maximum.accumulate(statistics[order][::-1], axis=0)[::-1]
    p = (later >= observed[order][:, None] * (1 - 1e-9)).mean(axis=1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p)
    return adjusted


def _adjust(p: Array, rule) -> Array:
    answer = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    if len(known):
        order = known[np.argsort(p[known], kind="stable")]
        answer[order] = np.clip(rule(p[order], len(order)), 0, 1)
    return answer
