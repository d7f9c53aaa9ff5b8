"""Several episodes of one environment seed made one number: pass@k and its kin, from counts alone."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.special import gammaln

from analysis.statistics.bootstrap import Array


def pass_at(k: int, solved: Array, episodes: Array) -> Array:
    """Chance that at least one of k episodes drawn without replacement solves: 1 − C(n − c, k) / C(n, k).

    Unbiased (Chen et al. 2021, eq. 1). `solved` and `episodes` have one entry per seed; NaN where it has fewer than k.
    """
    return _known(1 - _share(episodes - solved, episodes, k), episodes, k)


def pass_all(k: int, solved: Array, episodes: Array) -> Array:
    """Chance that all of k episodes drawn without replacement solve: C(c, k) / C(n, k) (pass^k, Yao et al. 2024)."""
    return _known(_share(solved, episodes, k), episodes, k)


def at_least(k: int, of: int, solved: Array, episodes: Array) -> Array:
    """Chance that at least k of `of` episodes drawn without replacement solve (hypergeometric).

    One of them is `pass_at`, all of them `pass_all`. NaN where a seed has fewer episodes than `of`.
    """
    enough = np.maximum(episodes, of)
    return _known(np.asarray(stats.hypergeom.sf(k - 1, enough, solved, of), float), episodes, of)


def majority(solved: Array, episodes: Array) -> Array:
    """1 where more than half of a seed's episodes solve, 0 where fewer do, ½ in a tie."""
    return np.sign(2 * solved - episodes) / 2 + 0.5


def _share(chosen: Array, of: Array, k: int) -> Array:
    """C(chosen, k) / C(of, k)."""
    possible = chosen >= k
    logs = _log_choose(np.where(possible, chosen, k), k) - _log_choose(np.maximum(of, k), k)
    return np.where(possible, np.exp(logs), 0.0)


def _known(share: Array, episodes: Array, k: int) -> Array:
    return np.where(episodes >= k, share, np.nan)


def _log_choose(n: Array, k: int) -> Array:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
