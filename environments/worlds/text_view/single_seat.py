"""`SingleSeat`: a Gymnasium environment as a PettingZoo one with a single agent."""

from __future__ import annotations

from typing import Any

import gymnasium
from pettingzoo import AECEnv

SEAT = "player_0"


class SingleSeat(AECEnv[str, Any, Any]):
    """One agent, `player_0`, at whose every step the environment moves and pays. Infos pass through."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__()
        self.metadata = {"name": str(env), "render_modes": [], "is_parallelizable": False}
        self.possible_agents = [SEAT]
        self.agents: list[str] = []
        self._env = env

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        self._seen, info = self._env.reset(seed=seed, options=options)
        self.agents = [SEAT]
        self.agent_selection = SEAT
        self._arrive(0.0, False, False, info)

    def step(self, action: Any) -> None:
        if self.terminations[SEAT] or self.truncations[SEAT]:
            self._was_dead_step(action)
            return
        self._seen, reward, terminated, truncated, info = self._env.step(action)
        self._arrive(reward, terminated, truncated, info)

    def _arrive(self, reward: Any, terminated: bool, truncated: bool, info: dict[str, Any]) -> None:
        self.rewards = {SEAT: reward}
        self._cumulative_rewards = {SEAT: reward}
        self.terminations = {SEAT: terminated}
        self.truncations = {SEAT: truncated}
        self.infos = {SEAT: info}

    def observe(self, agent: str) -> Any:
        return self._seen

    def observation_space(self, agent: str) -> Any:
        return self._env.observation_space

    def action_space(self, agent: str) -> Any:
        return self._env.action_space

    def close(self) -> None:
        self._env.close()
