"""FINCH (Sarfraz et al. 2019, 1902.11266): clusters without parameters, from first neighbours alone."""

from __future__ import annotations

import numpy as np

from agents.embedding import Rows


def first_partition(rows: Rows) -> list[list[int]]:
    """Clusters of n unit vectors (n × d) in the order of their first members: who shares a first neighbour, or is it.

    This is FINCH's first and finest partition; likeness is rounded to 10⁻⁶, and of equal neighbours the first counts.
    """
    likeness = np.round(rows.astype(np.float64) @ rows.T, 6)
    np.fill_diagonal(likeness, -np.inf)
    cluster = list(range(len(rows)))
    for member, neighbour in enumerate(np.argmax(likeness, axis=1) if len(rows) > 1 else []):
        kept, gone = sorted((cluster[member], cluster[neighbour]))
        cluster = [kept if each == gone else each for each in cluster]
    return [[member for member, each in enumerate(cluster) if each == name] for name in dict.fromkeys(cluster)]
