"""One episode under random well-formed moves, written down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from pettingzoo import AECEnv

from environments.grammar import Grammar
from environments.sampling import sample


class Move(NamedTuple):
    """A seat's turn. At the end every seat has one more, without an action."""

    seat: str
    observation: str
    grammar: Grammar
    action: str | None
    reward: float
    """Received since the seat's last move."""
    invalid: int
    """The seat's illegal moves before this one."""


@dataclass(frozen=True, slots=True)
class Playthrough:
    """What happened; `ends` holds the last info of each seat that was told that its game was over."""

    moves: tuple[Move, ...]
    rules: str
    """As the first seat to move was told them."""
    ends: dict[str, dict[str, Any]]
    truncated: bool
    running: bool
    """The limit came before the end."""

    def total(self, seat: str) -> float:
        return sum(move.reward for move in self.moves if move.seat == seat)

    def decisions(self, seat: str) -> int:
        return sum(move.action is not None for move in self.moves if move.seat == seat)


def random_moves(env: AECEnv[str, Any, Any], rng: np.random.Generator) -> Iterator[Move]:
    """Play an environment that has been reset to its end. Each move is made when the next one is asked for."""
    for seat in env.agent_iter():
        observation, reward, terminated, truncated, info = env.last()
        action = None if terminated or truncated else sample(info["grammar"], rng)
        text = "" if observation is None else observation["text"]
        yield Move(seat, text, info["grammar"], action, float(reward), info["invalid"])
        env.step(action)


def play_randomly(env: AECEnv[str, Any, Any], seed: int, limit: int) -> Playthrough:
    """Play game number `seed`, at most `limit` turns of it; the same seed makes the same moves."""
    env.reset(seed=seed)
    rules = env.infos[env.agent_selection]["rules"]
    moves: list[Move] = []
    ends: dict[str, dict[str, Any]] = {}
    truncated = False
    for move in random_moves(env, np.random.default_rng(seed)):
        moves.append(move)
        if move.action is None:
            ends[move.seat] = dict(env.infos[move.seat])
            truncated |= env.truncations[move.seat]
        elif len(moves) >= limit:
            break
    return Playthrough(tuple(moves), rules, ends, truncated, bool(env.agents))
