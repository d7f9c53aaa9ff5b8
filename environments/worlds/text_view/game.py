"""`ArrayGame`: an AEC environment of arrays, seen through a `TextView`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pettingzoo import AECEnv

from environments.games.game import GameError, Note, Turn
from environments.worlds.text_view.actions import Actions, Offer, actions_of
from environments.worlds.text_view.view import TextView

T = TypeVar("T")
MASK = "action_mask"


class ArrayGame:
    """One episode of an AEC environment with discrete or continuous (Box) actions.

    Seats are the environment's agents in the order of `possible_agents`. Legal are the actions of the "action_mask",
    which PettingZoo's environments keep in the observation and Gymnasium's in the info; all where there is no mask.
    A seat that is done is dismissed and the others play on. A first illegal answer costs nothing; a second in a row
    ends the game: whoever gave it is paid the least there is, and what it lost is shared out among the others.

    GameError, in one sentence, for an environment that does not fit the view, crashes, selects an agent that has left,
    drops one without ending it, leaves one no action, or pays what is no number.
    """

    def __init__(
        self, env: AECEnv[Any, Any, Any], id: str, view: TextView, seats: int, reward_range: tuple[float, float]
    ) -> None:
        self._env, self._id, self._view = env, id, view
        self._low, self._high = reward_range
        agents = [str(agent) for agent in env.possible_agents]
        if len(agents) != seats:
            raise GameError(f"{id} has {len(agents)} agents, not {seats}")
        self._seats: Mapping[Any, int] = {agent: seat for seat, agent in enumerate(env.possible_agents)}

    def begin(self, seed: int) -> tuple[tuple[str, ...], Turn]:
        self._guard("reset", lambda: self._env.reset(seed=seed))
        self._actions = [self._fitted(agent) for agent in self._seats]
        self._gone: set[int] = set()
        self._totals = [0.0] * len(self._seats)
        self._cut = self._stumbled = False
        return (self._view.manual,) * len(self._seats), self._read()

    def play(self, action: str) -> Turn:
        move = self._offer.read(action)
        if move is None:
            return self._stumble(action)
        self._stumbled = False
        self._guard(f"the action {move.words}", lambda: self._env.step(move.action))
        return self._read()

    def cut_off(self) -> tuple[float, ...]:
        """What the environment has paid already, but not yet handed out."""
        paid = [0.0] * len(self._seats)
        for agent in self._env.agents:
            seat = self._seats[agent]
            if seat != self._seat:  # the seat to move has had its own
                paid[seat] = self._number(agent, self._env._cumulative_rewards[agent])  # pyright: ignore[reportPrivateUsage]  the AEC contract keeps it there
        return tuple(paid)

    def _read(self) -> Turn:
        """Who moves next, after everybody who is done has been dismissed with what it has earned."""
        notes: list[tuple[Note, ...]] = [()] * len(self._seats)
        paid = [0.0] * len(self._seats)
        while self._env.agents:
            agent = self._env.agent_selection
            self._seat = seat = self._chosen(agent)
            observation, reward, terminated, truncated, info = self._guard("an observation", self._env.last)
            paid[seat] = self._number(agent, reward)
            self._totals[seat] += paid[seat]
            seen, mask = _unmasked(observation, info)
            told = "" if seen is None else self._guard("an observation", lambda: self._view.describe(seen, seat))  # noqa: B023  called at once
            if not (terminated or truncated):
                self._offer = self._offered(seat, mask)
                notes[seat] = (Note("\n".join(filter(None, (told, self._offer.told))), board=True),)
                return Turn(seat, tuple(notes), self._offer.grammar, tuple(paid))
            notes[seat] = (Note(told, board=True),) if told else ()
            self._gone.add(seat)
            self._cut |= bool(truncated)
            self._guard("the leave of a seat", lambda: self._env.step(None))
        dropped = [str(agent) for agent, seat in self._seats.items() if seat not in self._gone]
        if dropped:
            raise GameError(f"{self._id} dropped {', '.join(dropped)} without saying that its game is over")
        return self._end(tuple(notes), tuple(paid), "Stopped at the limit." if self._cut else "The game is over.")

    def _end(
        self, notes: tuple[tuple[Note, ...], ...], paid: tuple[float, ...], words: str, invalid: bool = False
    ) -> Turn:
        judge = self._view.solved
        ended = not self._cut and not invalid
        return Turn(
            self._seat,
            notes,
            rewards=paid,
            invalid=invalid,
            over=True,
            reason=f"{words} {_paid(self._totals)}",
            solved=() if judge is None else tuple(judge(total, ended) for total in self._totals),
        )

    def _stumble(self, action: str) -> Turn:
        silent = ((),) * len(self._seats)
        if not self._stumbled:
            self._stumbled = True
            told = Note(self._offer.objection(action))
            notes = tuple((told,) if seat == self._seat else () for seat in self._seats.values())
            return Turn(self._seat, notes, self._offer.grammar, invalid=True)
        others = len(self._seats) - 1
        lost = self._totals[self._seat] - self._low
        totals = [
            self._low if seat == self._seat else min(total + pending + lost / others, self._high)
            for seat, (total, pending) in enumerate(zip(self._totals, self.cut_off(), strict=True))
        ]
        paid = tuple(after - before for after, before in zip(totals, self._totals, strict=True))
        self._totals = totals
        return self._end(silent, paid, f"player_{self._seat} gave two invalid answers in a row.", invalid=True)

    def _chosen(self, agent: Any) -> int:
        if agent not in self._seats or self._seats[agent] in self._gone:
            raise GameError(f"{self._id} asks {agent} to move, which is not in the game")
        return self._seats[agent]

    def _fitted(self, agent: Any) -> Actions:
        try:
            return actions_of(str(agent), self._env.action_space(agent), self._view.actions)
        except ValueError as error:
            raise GameError(f"{self._id} {error}") from None

    def _offered(self, seat: int, mask: NDArray[Any] | None) -> Offer:
        try:
            return self._actions[seat].offer(mask)
        except ValueError as error:
            raise GameError(f"{self._id} {error}") from None

    def _number(self, agent: Any, reward: Any) -> float:
        try:
            return float(reward)
        except (TypeError, ValueError):
            raise GameError(f"{self._id} paid {agent} {reward!r}, which is no number") from None

    def _guard(self, what: str, ask: Callable[[], T]) -> T:
        """What the environment or its view gives; whatever they raise becomes a sentence."""
        try:
            return ask()
        except GameError:
            raise
        except Exception as error:
            raise GameError(f"{self._id} crashed on {what}: {error!r}") from error


def _unmasked(observation: Any, info: Mapping[str, Any]) -> tuple[Any, NDArray[Any] | None]:
    """What there is to see, and the action mask."""
    if isinstance(observation, Mapping) and MASK in observation:
        return observation.get("observation", observation), np.asarray(observation[MASK])
    return observation, np.asarray(info[MASK]) if MASK in info else None


def _paid(totals: list[float]) -> str:
    if len(totals) == 1:
        return f"It paid {totals[0]:g} in all."
    return f"It paid {', '.join(f'player_{seat} {total:+g}' for seat, total in enumerate(totals))}."
