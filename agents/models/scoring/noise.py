"""How far a model's likelihoods can be trusted: the noise floor that a gate holds its ratios against."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    utterances: Sequence[Utterance],
    rng: np.random.Generator,
    *,
    reference: Model | None = None,
    sample: int = 8,
) -> NoiseFloor:
    """Score `sample` utterances all in one call, and each in a call of its own by `reference` (default: `model`).

    Alone they are packed otherwise, which shows what the kernels make of it. Kernels that round alike in every
    packing show nothing: for a model in bfloat16 give the same weights in float32 as the reference.
    Raises what the models' `score` raises.
    """
    size = min(sample, len(utterances))
    chosen = [utterances[i] for i in rng.choice(len(utterances), size=size, replace=False)] if size else []
    together = await model.score(chosen)
    alone = [(await (reference or model).score([utterance]))[0] for utterance in chosen]
    return NoiseFloor.between(together, alone)
