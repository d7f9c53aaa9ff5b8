"""FINCH's first partition on points whose first neighbours are seen at a glance."""

from __future__ import annotations

import numpy as np
import pytest

from transfer.memories.notes.finch import first_partition


def at(*degrees: float):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("degrees", "clusters"),
    [
        ((0,), [[0]]),
        ((0, 5, 90, 95), [[0, 1], [2, 3]]),
        ((0, 90, 5, 95), [[0, 2], [1, 3]]),
        ((0, 4, 9, 15), [[0, 1, 2, 3]]),  # each is nearest to the one before it: a chain
        ((0, 5, 90, 95, 91), [[0, 1], [2, 3, 4]]),
        ((0, 0, 0), [[0, 1, 2]]),
        ((0, 10, 60, 70, 20, 170, 180), [[0, 1, 4], [2, 3], [5, 6]]),
    ],
)
def test_first_neighbours_make_the_clusters(degrees, clusters):
    assert first_partition(at(*degrees)) == clusters


def test_of_nothing_there_are_none():
    assert first_partition(np.zeros((0, 3), dtype=np.float32)) == []
