"""What a game pays, held against what its spec promises."""

from __future__ import annotations

import math

from environments.games.game import GameError
from environments.spec import EnvSpec


def check_reward(spec: EnvSpec, seat: str, reward: float) -> None:
    """Raises GameError for a reward that is no finite number: a sum with it says nothing."""
    if not math.isfinite(reward):
        raise GameError(f"{spec.id} paid {seat} {reward}, which is no finite number")


def check_return(spec: EnvSpec, seat: str, total: float) -> None:
    """Raises GameError for a return that is none of this game's: every difference and scale would be its."""
    low, high = spec.reward_range
    slack = 1e-9 * max(1.0, abs(low), abs(high))
    if not low - slack <= total <= high + slack:
        raise GameError(f"{spec.id} paid {seat} {total:g} in all, outside the range it declares, {low:g} to {high:g}")
