"""How far a model's likelihoods can be trusted: the noise floor that a gate holds its ratios against."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agents.models.model import Likelihood, Model, Utterance


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """Differences (nats) between two computations of the same summed log-probabilities, over `n` utterances.

    `sd` is their root mean square, `worst` the largest. A log importance ratio is a difference of two sums, under
    two prompts, and each brings its own error: expect √2 · `sd` of it.
    """

    sd: float
    worst: float
    n: int

    @classmethod
    def between(cls, ones: Sequence[Likelihood], others: Sequence[Likelihood]) -> NoiseFloor:
        """Utterances impossible under both are left out: they say −inf twice."""
        totals = [(one.total, other.total) for one, other in zip(ones, others, strict=True)]
        gaps = [abs(one - other) for one, other in totals if one != other or math.isfinite(one)]
        if not gaps:
            return cls(0.0, 0.0, 0)
        return cls(math.sqrt(sum(gap * gap for gap in gaps) / len(gaps)), max(gaps), len(gaps))


async def noise_floor(
    model: Model,
    scored: Mapping[Utterance, float],
    repeats: int,
    likelihood: Callable[[Likelihood], float] = lambda each: each.total,
) -> float:
    """Root mean square difference (nats) to a second scoring of `repeats` utterances, spread over `scored`.

    By themselves and in reverse order they are packed otherwise, which shows what the kernels make of it; kernels that
    round alike in every packing show nothing. 0 where nothing was repeated. Raises what the model's `score` raises.
    """
    utterances = list(scored)
    count = min(repeats, len(utterances))
    if not count:
        return 0.0
    chosen = [utterances[i] for i in np.unique(np.linspace(0, len(utterances) - 1, count).astype(int))[::-1]]
    again = np.array([likelihood(each) for each in await model.score(chosen)])
    first = np.array([scored[each] for each in chosen])
    both = np.isfinite(again) & np.isfinite(first)
    return float(np.sqrt(np.mean((again[both] - first[both]) ** 2))) if both.any() else 0.0
