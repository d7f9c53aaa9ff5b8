"""What tests of memories share: episodes by hand, seats, and a learner that learns from them. The evolver is a fake."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import anyio
import numpy as np

from agents.embedding import Embedder, LexicalEmbedder
from agents.guide import Guide, NoGuide, State
from agents.models.model import Model, Request
from agents.skill import Skill
from tests.support.fake_evolver import FakeModel, kind_of
from transfer.memories.kinds import MEMORIES
from transfer.memories.lessons import Means
from transfer.memory.events.event import Event
from transfer.memory.experience import Step, Trajectory
from transfer.memory.learner import Play, unplayable
from transfer.memory.memory import Memory, Seat
from transfer.memory.pool import SkillPool
from transfer.memory.state import MemoryState

RULES = "Find the key."
ROOM = 100_000


def episode(
    id: str, *moves: str, solved: bool, seed: int = 0, sight: str = "A hall.", units: Sequence[str] = ()
) -> Trajectory:
    """An episode of these moves that pays 1 at its end where it is solved; `units` stood in its prompts."""
    steps = tuple(
        Step(
            observation=sight if index == 0 else f"{sight} After {move}.",
            action=move,
            reward=float(solved and index == len(moves) - 1),
            units=tuple(units),
        )
        for index, move in enumerate(moves)
    )
    won = {"solved": solved, "total": float(solved), "reason": "won" if solved else "lost"}
    return Trajectory(id=f"{id}/player_0", agent="a", task="T", env_seed=seed, rules=RULES, steps=steps, **won)


def fake(answer: Callable[[str, str], Any]) -> FakeModel:
    """An evolver whose answer is the JSON of `answer(kind of question, prompt)`; a text is given as it is."""

    def reply(request: Request) -> str:
        given = answer(kind_of(request), "\n".join(message.content for message in request.messages))
        return given if isinstance(given, str) else json.dumps(given)

    return FakeModel(reply, name="fake evolver")


def silent(kind: str, prompt: str) -> str:
    raise AssertionError(f"nobody should be asked for {kind}")


class Learned(NamedTuple):
    """After some iterations: the state, and what was said of the last one."""

    state: MemoryState
    events: Sequence[Event]

    @property
    def memory(self) -> Any:
        return self.state.memory


def learn(
    name: str,
    *iterations: Sequence[Trajectory],
    evolver: Model | None = None,
    choices: Mapping[str, Any] = {},
    start: MemoryState | None = None,
    play: Play = unplayable,
    embedder: Embedder | None = None,
    seed: int = 7,
) -> Learned:
    """One iteration for each batch of episodes, by the memory of that name in `MEMORIES`."""
    models = (FakeModel(name="actor"), evolver or fake(silent))
    means = Means(*models, embedder or LexicalEmbedder(), np.random.SeedSequence(seed))
    learner = MEMORIES[name].make(means, choices)
    known = {trajectory.id: trajectory for batch in iterations for trajectory in batch}
    state, events = start or learner.begin(SkillPool()), list[Event]()
    for batch in iterations:
        state, events = anyio.run(learner.iterate, state, batch, known.__getitem__, play)
    return Learned(state, events)


def replay(answer: Callable[[Memory | None, int, int], Trajectory]) -> tuple[Play, list[tuple[Memory | None, int]]]:
    """A `Play` that gives `answer(memory, environment seed, number)`, and the list of what was asked of it."""
    asked: list[tuple[Memory | None, int]] = []

    async def play(memory: Memory | None, env_seeds: Sequence[int], /, *, paired: bool = False) -> list[Trajectory]:
        played: list[Trajectory] = []
        for seed in env_seeds:
            asked.append((memory, seed))
            played.append(answer(memory, seed, len(asked)))
        return played

    return play, asked


def seat(model: Model | None = None, *, room: int = ROOM, **about: Any) -> Seat:
    """A seat in an evaluated game, unless `env_seed` is None."""

    def options(skills: Sequence[Skill]) -> Guide:
        return NoGuide()

    given: dict[str, Any] = {"env_seed": 999} | about
    return Seat(
        model or FakeModel(name="actor"),
        LexicalEmbedder(),
        np.random.default_rng(0),
        options,
        lambda state: room,
        **given,
    )


def advice(memory: Memory, sight: str = "A hall.", **about: Any) -> str:
    """What the memory says at the start of a game that looks like this."""
    return anyio.run(memory.guide(seat(**about)).guide, State(RULES, (), sight)).text


def said(events: Iterable[Event], kind: str) -> list[Any]:
    return [event for event in events if event.kind == kind]
