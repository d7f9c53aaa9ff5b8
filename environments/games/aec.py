"""`TextEnv`: any `Game` behind PettingZoo's AEC API."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv

from environments.games.game import Game, GameError, Note, Turn
from environments.grammar import Grammar
from environments.sampling import sample

LONGEST_ACTION = 1000
"""Characters of an action that reach the game; the rest is cut. Some games parse with patterns of quadratic cost
and pass the text on to the other seats."""
LONGEST_OBSERVATION = 100_000
NOTHING_NEW = "Your move."
_LONG_GAP = re.compile(r"\s{10,}")
"""Shortened to one space: SimpleNegotiation's pattern is cubic in the length of a gap (3 s for 1000 blanks)."""


class AnyText(spaces.Text):
    """Every text up to a length: games print, and models write, whatever they like."""

    def __init__(self, max_length: int) -> None:
        super().__init__(max_length, min_length=0, charset=string.printable)

    def contains(self, x: Any) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length


class ActionText(AnyText):
    """Every text is an action, but `sample` draws a well-formed one: `grammar` gives that of the moment."""

    def __init__(self, grammar: Callable[[], Grammar]) -> None:
        super().__init__(max_length=1_000_000)
        self.grammar = grammar

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        return sample(self.grammar(), self.np_random)


class TextEnv(AECEnv[str, dict[str, str], str | None]):
    """One seat after the other plays a `Game`; see `EnvSpec` for what observations and infos hold.

    `game` builds one episode's game; each `reset` builds a new one. `render_mode` may be "ansi".
    A seat that has taken `horizon` decisions and is to move again ends the episode for all (truncation).
    Raises GameError where the game pays outside `reward_range`, and ValueError for an action that is no text.
    """

    def __init__(
        self,
        game: Callable[[], Game],
        *,
        id: str,
        seats: int,
        grammar: Grammar,
        horizon: int,
        reward_range: tuple[float, float],
        render_mode: str | None = None,
    ) -> None:
        super().__init__()
        self.metadata = {"name": id, "render_modes": ["ansi"], "is_parallelizable": False, "render_fps": 1}
        self.render_mode = render_mode
        self.possible_agents = [f"player_{index}" for index in range(seats)]
        self.agents: list[str] = []
        self.infos: dict[str, dict[str, Any]] = {}
        self._build, self._grammar, self._horizon, self._range = game, grammar, horizon, reward_range
        self._rng = np.random.default_rng()
        # Spaces are made when asked for: building them costs more than an episode's bookkeeping.
        self._observations: dict[str, spaces.Dict] = {}
        self._actions: dict[str, ActionText] = {}

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start a new game: game number `seed`, or the next one of a row that the last seed began."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        else:
            seed = int(self._rng.integers(2**31))
        self._game = self._build()
        rules, turn = self._game.begin(seed)
        self.agents = list(self.possible_agents)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self._totals = dict.fromkeys(self.agents, 0.0)
        self._decisions = dict.fromkeys(self.agents, 0)
        self._inbox: dict[str, list[Note]] = {seat: [] for seat in self.agents}
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {
            seat: {"rules": text, "grammar": self._grammar, "invalid": 0}
            for seat, text in zip(self.agents, rules, strict=True)
        }
        self._take(turn)

    def step(self, action: str | None) -> None:
        seat = self.agent_selection
        if self.terminations[seat] or self.truncations[seat]:
            self._was_dead_step(action)
            return
        if not isinstance(action, str):
            raise ValueError(f"{self}: an action is a text, not {type(action).__name__}")
        self._cumulative_rewards[seat] = 0.0
        self._clear_rewards()
        self._decisions[seat] += 1
        self._inbox[seat].clear()
        turn = self._game.play(_LONG_GAP.sub(" ", action)[:LONGEST_ACTION])
        if turn.invalid:
            self.infos[seat]["invalid"] += 1
        self._take(turn)
        self._accumulate_rewards()

    def _take(self, turn: Turn) -> None:
        """Pass a turn's notes, pay and legal moves on to the seats."""
        for seat, notes in zip(self.possible_agents, turn.notes, strict=True):
            for note in notes:
                _deliver(self._inbox[seat], note)
            self.infos[seat] |= turn.infos
        self._pay(turn.rewards)
        self.agent_selection = self.possible_agents[turn.seat]
        if turn.over:
            self._end(self.terminations, turn.reason, turn.solved)
        elif self._decisions[self.agent_selection] >= self._horizon:
            self._pay(self._game.cut_off())
            self._end(self.truncations, f"Stopped after {self._horizon} moves.")
        else:
            self.infos[self.agent_selection]["grammar"] = turn.grammar or self._grammar

    def _pay(self, rewards: tuple[float, ...]) -> None:
        for seat, reward in zip(self.possible_agents, rewards, strict=False):
            if not isinstance(reward, int | float) or not math.isfinite(reward):  # pyright: ignore[reportUnnecessaryIsInstance]  games pay what they like
                raise GameError(f"{self} paid {seat} {reward!r}, which is no finite number")
            self.rewards[seat] += float(reward)
            self._totals[seat] += float(reward)

    def _end(self, ended: dict[str, bool], reason: str, solved: tuple[bool, ...] = ()) -> None:
        low, high = self._range
        for index, (seat, total) in enumerate(self._totals.items()):
            if not low - 1e-9 <= total <= high + 1e-9:
                raise GameError(f"{self} paid {seat} {total}, outside its declared range {low} to {high}")
            ended[seat] = True
            self.infos[seat] |= {"solved": solved[index] if solved else total >= high - 1e-9, "reason": reason}
            if reason and all(note.text != reason for note in self._inbox[seat]):
                self._inbox[seat].append(Note(reason))

    def observe(self, agent: str) -> dict[str, str]:
        text = "\n".join(note.text for note in self._inbox[agent])
        return {"text": text or NOTHING_NEW}

    def observation_space(self, agent: str) -> spaces.Dict:  # pyright: ignore[reportIncompatibleMethodOverride]  gymnasium's Dict is a Space[dict[str, Any]]
        if agent not in self._observations:
            self._observations[agent] = spaces.Dict({"text": AnyText(LONGEST_OBSERVATION)})
        return self._observations[agent]

    def action_space(self, agent: str) -> ActionText:  # pyright: ignore[reportIncompatibleMethodOverride]
        if agent not in self._actions:
            self._actions[agent] = ActionText(lambda: self.infos.get(agent, {}).get("grammar", self._grammar))
        return self._actions[agent]

    def render(self) -> str | None:
        """The rules and the observation of the seat to move, in render mode "ansi"."""
        if self.render_mode != "ansi" or not self.agents:
            return None
        seat = self.agent_selection
        return f"{seat}\n\n{self.infos[seat]['rules']}\n\n{self.observe(seat)['text']}"

    def close(self) -> None:
        self.agents = []
        vars(self).pop("_game", None)  # whatever it holds is free


def _deliver(inbox: list[Note], note: Note) -> None:
    """Add a note; of several boards only the newest is of use, and only if it says something new."""
    if note.board:
        inbox[:] = [old for old in inbox if not old.board]
        if any(old.text == note.text for old in inbox):
            return
    inbox.append(note)
