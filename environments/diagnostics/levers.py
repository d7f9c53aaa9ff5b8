"""Levers: a game whose expected return is known in closed form for every policy that ignores what it has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from environments.games.rounds import RoundGame, round_game
from environments.grammar import Choices
from environments.spec import EnvSpec

PULLS = 5
CHANCES: Mapping[str, float] = {"A": 0.1, "B": 0.3, "C": 0.5, "D": 0.7, "E": 0.9}
"""Probability that a pull of the lever pays."""
GRAMMAR = Choices(tuple(f"[{lever}]" for lever in CHANCES))


def expected_return(probabilities: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected return of pulling lever k with probability p_k at every pull: Σ_k p_k μ_k.

    `probabilities` has shape (…, 5), in the order of `CHANCES`; the result has shape (…).
    """
    return np.asarray(probabilities, dtype=np.float64) @ np.array(list(CHANCES.values()))


class Levers(RoundGame):
    """Five pulls at five levers; each pull pays 1/5 or nothing. A better lever pays whenever a worse one would have."""

    rounds = PULLS
    grammar = GRAMMAR
    rules = (
        f"There are five levers: {', '.join(CHANCES)}. You have {PULLS} pulls. Each lever pays with a chance of its "
        "own that never changes. Answer with a lever in square brackets, like [letter]. "
        f"Every pull that pays earns 1/{PULLS}."
    )

    def deal(self, rng: np.random.Generator) -> None:
        self._luck = rng.random(PULLS)

    def question(self, round: int) -> str:
        return f"Pull {round + 1} of {PULLS}: which lever?"

    def answer(self, round: int, move: str) -> tuple[str, float]:
        pays = bool(self._luck[round] < CHANCES[move])
        return f"Lever {move} paid{'' if pays else ' nothing'}.", pays / PULLS


LEVERS: tuple[EnvSpec, ...] = (
    round_game(
        "Lever-v0", Levers, rounds=PULLS, grammar=GRAMMAR, family="Lever", difficulty=0,
        summary="Pull levers of fixed chances; the return of any fixed policy is known in closed form.",
    ),
)  # fmt: skip
