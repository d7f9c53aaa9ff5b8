"""A made-up environment of arrays with any number of seats, and subclasses that break one promise each."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv

from environments.spec import EnvSpec
from environments.worlds.text_view.view import TextView
from environments.worlds.text_view.worlds import aec_world


class Countdown(AECEnv[str, Any, Any]):
    """Each seat in turn takes 1 or 2 from a heap that the seed makes; whoever empties it is paid 1, the others -1."""

    names = ("ann", "bob")

    def __init__(self) -> None:
        super().__init__()
        self.metadata = {"name": "countdown"}
        self.possible_agents = list(self.names)
        self.agents: list[str] = []

    def observation_space(self, agent: str) -> Any:
        return spaces.Dict({"observation": spaces.Discrete(100), "action_mask": spaces.MultiBinary(2)})

    def action_space(self, agent: str) -> Any:
        return spaces.Discrete(2, start=1)

    def reset(self, seed: int | None = None, options: Any = None) -> None:
        self.heap = 4 + int(np.random.default_rng(seed).integers(4))
        self.agents = list(self.possible_agents)
        self.agent_selection = self.agents[0]
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: {} for agent in self.agents}

    def mask(self, agent: str) -> Any:
        return np.array([1, self.heap > 1], dtype=np.int8)

    def observe(self, agent: str) -> Any:
        return {"observation": self.heap, "action_mask": self.mask(agent)}

    def step(self, action: Any) -> None:
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        assert action in (1, 2)
        self.heap -= action
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards[agent] = 0.0
        if self.heap == 0:
            self.finish(agent)
        self.agent_selection = self.agents[(self.agents.index(agent) + 1) % len(self.agents)]
        self._accumulate_rewards()

    def finish(self, winner: str) -> None:
        self.rewards = {agent: 1.0 if agent == winner else -1.0 for agent in self.agents}
        self.terminations = dict.fromkeys(self.agents, True)


VIEW = TextView(
    rules="Take one or two from the heap; whoever empties it wins.",
    actions=("one", "two"),
    describe=lambda heap, seat: f"The heap has {heap}, says seat {seat}.",
)


def world(kind: type[AECEnv[Any, Any, Any]] = Countdown, view: TextView = VIEW, **facts: Any) -> EnvSpec:
    declared = {"seats": 2, "horizon": 14, "reward_range": (-1.0, 1.0), **facts}
    return aec_world("Countdown-v0", kind, view, **declared)


class Empty(Countdown):
    """Leaves nobody a move."""

    def mask(self, agent: str) -> Any:
        return np.zeros(2)


def unmovable() -> EnvSpec:
    return world(Empty)
