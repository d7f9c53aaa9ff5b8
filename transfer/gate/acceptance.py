"""Acceptance: when a candidate is good enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from transfer.gate.objective import Objective


class Acceptance(Protocol):
    """When a candidate is good enough: `excess` over what is asked, in units of J."""

    def excess(self, found: Objective) -> float: ...


@dataclass(frozen=True)
class PositiveObjective:
    """Paper: J(ω') > 0 (as released: > .001). Accepts an unchanged skill whenever the batch is above its baseline."""

    threshold: float = 0.0

    def excess(self, found: Objective) -> float:
        return found.after - self.threshold


@dataclass(frozen=True)
class Improvement:
    """ΔJ = J(ω') − J(ω) > margin."""

    margin: float = 0.0

    def excess(self, found: Objective) -> float:
        return found.change - self.margin


@dataclass(frozen=True)
class ConfidentImprovement:
    """ΔJ above `z` of its standard errors over trajectories."""

    z: float = 1.0

    def excess(self, found: Objective) -> float:
        return found.change - self.z * found.stderr if np.isfinite(found.stderr) else -np.inf


AcceptanceFactory = Callable[[float], Acceptance]
"""Makes an acceptance rule from the margin: in units of J, or in standard errors for "confident-improvement"."""

ACCEPTANCES: dict[str, AcceptanceFactory] = {
    "objective": PositiveObjective,
    "improvement": Improvement,
    "confident-improvement": ConfidentImprovement,
}
