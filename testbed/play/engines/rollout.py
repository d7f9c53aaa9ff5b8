"""`play`: the episode loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from anyio import to_thread

from agents.agent import SkillAgent
from agents.decision import Decision, Observation
from environments import grammar as grammars
from environments.games.game import GameError
from environments.games.payment import check_return, check_reward
from environments.games.watchdog import Watched
from environments.spec import EnvSpec
from transfer.memory.experience import Step, Trajectory


async def play(
    spec: EnvSpec, players: Mapping[str, SkillAgent], env_seed: int, *, trial: str, names: Mapping[str, str]
) -> dict[str, Trajectory]:
    """Play one episode to its end; a trajectory per seat.

    `players` maps each of the game's seats to its agent, `names` each seat to what the agent is called in records.
    An agent's `decide` is asked, which its `on_messages` wraps into AutoGen's messages: those cost more than the game.
    Raises GameError where the game breaks its contract, a return outside its declared range among it; whatever else a
    player or the environment raises goes through. The notes of a player's error name its seat.
    """
    env = Watched(spec)
    notes = {seat: _Notes(spec.recorded) for seat in players}
    try:
        await _wait(spec, partial(env.reset, seed=env_seed))
        for seat in env.agent_iter():
            observation, reward, terminated, truncated, info = env.last()
            note = notes[seat]
            check_reward(spec, seat, reward)
            note.pay(float(reward))
            if terminated or truncated:
                note.close(info)
                env.step(None)
                continue
            if len(note.moves) >= spec.horizon:
                raise GameError(f"{spec.id} did not stop {seat} at its horizon of {spec.horizon} moves")
            observed = Observation(
                text=observation["text"] if observation is not None else "",
                rules=info["rules"],
                grammar=grammars.dump(info.get("grammar", spec.grammar)),
            )
            try:
                decision = await players[seat].decide(observed)
            except Exception as error:
                error.add_note(seat)  # so that the failure is laid at the right door
                raise
            note.add(observed, decision)
            await _wait(spec, partial(env.step, decision.action))
    finally:
        env.close()
        for player in players.values():
            await player.close()
    for seat, note in notes.items():
        if not note.closed:
            raise GameError(f"{spec.id} let {seat} go without saying that its game was over")
        check_return(spec, seat, note.total)
    return {seat: note.trajectory(f"{trial}/{seat}", names[seat], spec.id, env_seed) for seat, note in notes.items()}


async def _wait(spec: EnvSpec, move: Callable[[], None]) -> None:
    """Have the game move; while another process does it, other episodes go on."""
    if spec.remote:
        await to_thread.run_sync(move)
    else:
        move()


@dataclass
class _Notes:
    """One seat's steps while they are being played; a reward belongs to the decision before it.

    What is paid before the seat's first decision (or to a seat that never has one) counts in the total alone.
    """

    recorded: tuple[str, ...] = ()
    """Which infos are kept."""
    rules: str = ""
    moves: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    """What was observed, and the fields of the decision, in order: a model of them takes ten times the memory, and
    thousands of episodes are in flight."""
    rewards: list[float] = field(default_factory=list)
    total: float = 0.0
    solved: bool = False
    invalid: int = 0
    reason: str = ""
    infos: Mapping[str, str] = field(default_factory=dict[str, str])
    closed: bool = False

    def pay(self, reward: float) -> None:
        self.total += reward
        if self.rewards:
            self.rewards[-1] += reward

    def add(self, observed: Observation, decision: Decision) -> None:
        self.rules = observed.rules
        self.moves.append((observed.text, tuple(vars(decision).values())))
        self.rewards.append(0.0)

    def close(self, info: Mapping[str, object]) -> None:
        self.solved = bool(info.get("solved", False))
        self.invalid = int(info.get("invalid", 0))  # pyright: ignore[reportArgumentType]
        self.reason = str(info.get("reason", ""))
        self.infos = {name: str(info[name]) for name in self.recorded if name in info}
        self.closed = True

    def trajectory(self, id: str, agent: str, task: str, env_seed: int) -> Trajectory:
        steps = tuple(
            Step(observation=observed, reward=reward, **dict(zip(Decision.model_fields, decision, strict=True)))
            for (observed, decision), reward in zip(self.moves, self.rewards, strict=True)
        )
        return Trajectory(
            id=id,
            agent=agent,
            task=task,
            env_seed=env_seed,
            rules=self.rules,
            steps=steps,
            total=self.total,
            solved=self.solved,
            invalid=self.invalid,
            reason=self.reason,
            infos=self.infos,
        )
