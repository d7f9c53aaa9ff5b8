"""Advantages: how much better than usual the historical actions turned out (paper section 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from transfer.memory.experience import Segment

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Advantage(Protocol):
    """Â_t of every step of every segment: one array per segment, as long as it."""

    def __call__(self, spans: Sequence[Segment], baselines: Sequence[float]) -> list[Floats]:
        """`baselines` holds R̄ of each segment's task."""
        ...


@dataclass(frozen=True)
class ReturnToGo:
    """Paper: Â_t = G_t − R̄ on the skill's segment.

    With pay along the way, late steps get a lower Â than early ones whatever is done in them: see `StepBaseline`.
    """

    gamma: float = 1.0

    def __call__(self, spans: Sequence[Segment], baselines: Sequence[float]) -> list[Floats]:
        return [
            np.array(span.trajectory.returns_to_go(self.gamma)[span.start : span.stop]) - baseline
            for span, baseline in zip(spans, baselines, strict=True)
        ]


@dataclass(frozen=True)
class PerStepShare:
    """As released: (R(τ) − R̄)/|τ| on every step."""

    def __call__(self, spans: Sequence[Segment], baselines: Sequence[float]) -> list[Floats]:
        return [
            np.full(span.stop - span.start, (span.trajectory.total - baseline) / len(span.trajectory.steps))
            for span, baseline in zip(spans, baselines, strict=True)
        ]


@dataclass(frozen=True)
class StepBaseline:
    """Ours: Â_t = G_t − Ḡ_t + (R̄_B − R̄), with Ḡ_t and R̄_B the batch's means.

    With a terminal return it equals the paper's; with pay along the way it compares a step with others of its time.
    With γ = 0 only the pay of the step itself counts, which suits games whose rounds do not hang together.
    """

    gamma: float = 1.0

    def __call__(self, spans: Sequence[Segment], baselines: Sequence[float]) -> list[Floats]:
        if not spans:
            return []
        unique = {span.trajectory.id: span.trajectory for span in spans}
        to_go: dict[str, Floats] = {
            id: np.array(trajectory.returns_to_go(self.gamma)) for id, trajectory in unique.items()
        }
        longest = max(map(len, to_go.values()))
        at = [[values[t] for values in to_go.values() if t < len(values)] for t in range(longest)]
        usual: Floats = np.array([float(np.mean(values)) for values in at])
        mean = float(np.mean([trajectory.total for trajectory in unique.values()]))
        drift = 1.0 if self.gamma else 0.0
        return [
            to_go[span.trajectory.id][span.start : span.stop]
            - usual[span.start : span.stop]
            + drift * (mean - baseline)
            for span, baseline in zip(spans, baselines, strict=True)
        ]


AdvantageFactory = Callable[[float], Advantage]
"""Makes an advantage from the discount γ."""

ADVANTAGES: dict[str, AdvantageFactory] = {
    "return-to-go": ReturnToGo,
    "per-step-share": lambda gamma: PerStepShare(),
    "step-baseline": StepBaseline,
}
