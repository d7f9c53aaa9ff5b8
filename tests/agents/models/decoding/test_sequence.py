"""A token is drawn as from the whole vocabulary in order of weight, though that is hardly ever sorted."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.models.decoding.sequence import _draw  # pyright: ignore[reportPrivateUsage]


def _sorted(weights: NDArray[np.float64], top_p: float, rng: np.random.Generator) -> int:
    order = np.argsort(-weights, kind="stable")
    summed = np.cumsum(weights[order])
    kept = summed[: int(np.searchsorted(summed, top_p * weights.sum() * (1 - 1e-12))) + 1]
    return int(order[np.searchsorted(kept, rng.random() * kept[-1], side="right").clip(max=len(kept) - 1)])


@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.6])
@pytest.mark.parametrize("tokens", [1, 3, 1024, 1025, 5000])
def test_the_same_token_as_from_all_in_order(tokens: int, top_p: float):
    for seed in range(60):
        rng = np.random.default_rng(seed)
        weights = np.exp(rng.normal(0, (0.1, 1, 6)[seed % 3], tokens))
        weights[1::2] *= seed % 5 > 0  # many that cannot be drawn
        draws = (np.random.default_rng(seed) for _ in range(2))
        assert _draw(weights, float(weights.sum()), top_p, next(draws)) == _sorted(weights, top_p, next(draws))


def test_the_frequencies_are_the_weights():
    rng, weights = np.random.default_rng(0), np.array([5.0, 0.0, 3.0, 2.0])
    counts = np.bincount([_draw(weights, 10.0, 1.0, rng) for _ in range(4000)], minlength=4)
    assert counts[1] == 0
    assert counts / 4000 == pytest.approx(weights / 10, abs=0.04)
