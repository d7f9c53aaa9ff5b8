"""What every memory of the field must keep to (U1 to U6), whatever it learns. The evolvers are fakes: one writes random
text in the form asked for, one writes nonsense.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import numpy as np
import pytest
from scipy import stats

from agents.agent import SkillAgent
from agents.decision import Decision, Observation
from agents.guide import NoGuide
from agents.models.model import Completion, Request
from agents.prompts import conversation, fingerprint
from environments.sampling import sample
from tests.support.fake_evolver import FakeModel
from tests.support.lessons import Learned, episode, learn, replay, said, seat
from transfer.gate.influence import exposures
from transfer.gate.replay import ActingPolicy
from transfer.memories.kinds import MEMORIES
from transfer.memory.experience import Step, Trajectory
from transfer.memory.memory import Memory
from transfer.registry import load_memory

ROOT = Path(__file__).parents[3]
SIGHTS = ("A cellar with a red door.", "A garden with a blue gate.", "A hall.")
SEEN = (*SIGHTS, "A red door.")
OTHERWISE: dict[str, list[dict[str, Any]]] = {
    "a_mem": [{"note": "step", "recall": "step", "query": "observation"}],
    "awm": [{"writing": "append", "k": 2}],
    "cheatsheet": [{"form": "retrieval-synthesis"}],
    "expel": [{"while_gathering": True}],
    "g_memory": [{"failures": 1, "rank": "likeness", "merged": "third"}],
    "long_context": [{"order": "best", "keep": "successes"}],
    "playbook": [{"rounds": 1, "budget": 40}],
    "rag": [{"keep": "all", "recall": "step"}],
    "reasoning_bank": [{"signal": "judge", "n": 2}],
    "reflexion": [{"form": "carried"}],
    "library": [{"form": "episode", "signal": "critic"}],
    "memp": [{"build": "round", "key": "facts", "form": "both", "repeated": "keep", "credit": "all"}],
    "skill_opt": [{"steps": 2, "slow": "gated", "metric": "solved", "games": 2}],
}
"""MemoryChoices that make a memory go another way, beside everybody's defaults."""


class Case(NamedTuple):
    """A memory and its choices."""

    name: str
    choices: dict[str, Any]

    def __str__(self) -> str:
        return " ".join([self.name, *map(str, self.choices.values())])


CASES = [Case(name, choices) for name in sorted(MEMORIES) for choices in ({}, *OTHERWISE.get(name, []))]
every_memory = pytest.mark.parametrize("case", CASES, ids=str)


def batch(number: int) -> list[Trajectory]:
    """Twelve episodes of six games; some are solved, and two games are seen twice with another end."""
    return [
        episode(
            f"{number}-{index}",
            *("north", "take key", "open")[: 1 + index % 3],
            solved=index % 3 == 1,
            seed=100 * number + index % 6,
            sight=SIGHTS[index % 3],
        )
        for index in range(12)
    ]


BATCHES = (batch(1), batch(2))


class Author(FakeModel):
    """Writes random text in the form asked for: a function of the request alone, after a wait that is not."""

    def __init__(self, haste: int = 0) -> None:
        super().__init__(lambda request: sample(request.grammar, np.random.default_rng(request.sampling.seed)))  # pyright: ignore[reportArgumentType]
        self._haste = np.random.default_rng(haste)

    async def generate(self, request: Request) -> Completion:
        for _ in range(int(self._haste.integers(4))):
            await anyio.lowlevel.checkpoint()
        return await super().generate(request)


def again(memory: Memory | None, env_seed: int, number: int) -> Trajectory:
    """Every other game that is played again is solved."""
    return episode(f"again-{number}", "north", "open", solved=number % 2 == 0, seed=env_seed, sight=SIGHTS[number % 3])


def learned(case: Case, evolver: FakeModel | None = None) -> Learned:
    play, _ = replay(again)
    return learn(case.name, *BATCHES, evolver=evolver or Author(), choices=case.choices, play=play)


async def _played(memory: Memory | None, model: FakeModel) -> list[Decision]:
    guide = NoGuide() if memory is None else memory.guide(seat(model))
    agent = SkillAgent("p", model, guide, np.random.default_rng(1))
    return [await agent.decide(Observation(text=sight, rules="Find the key.")) for sight in SEEN]


def played(memory: Memory | None, model: FakeModel | None = None) -> list[Decision]:
    """An episode of four moves, always the same ones."""
    return anyio.run(_played, memory, model or FakeModel(lambda request: "north" if request.grammar is None else "{}"))


@every_memory
def test_an_empty_memory_is_no_memory(case):
    """U1."""
    empty = learn(case.name, choices=case.choices).memory
    assert [step.prompt_digest for step in played(empty)] == [step.prompt_digest for step in played(None)]
    assert not any(step.units or step.reading_calls or step.memory_tokens for step in played(empty))


@every_memory
def test_every_exposed_prompt_is_rebuilt_from_the_memory_and_the_record(case):
    """Influence is measured under the very prompts that were sent, whatever the memory makes of its units."""
    memory = learned(case).memory
    writer = FakeModel(
        lambda request: "north" if request.grammar is None else sample(request.grammar, np.random.default_rng(0))
    )
    decisions = played(memory, writer)
    steps = [
        Step(**decision.model_dump(), observation=sight, reward=0.0)
        for sight, decision in zip(SEEN, decisions, strict=True)
    ]
    about: dict[str, Any] = {"agent": "a", "task": "T", "env_seed": 999, "rules": "Find the key.", "total": 0.0}
    trajectory = Trajectory(id="t/player_0", steps=tuple(steps), **about)
    trajectory = Trajectory.model_validate_json(trajectory.model_dump_json())
    found, left_out = exposures(trajectory, memory, ActingPolicy())
    exposed = [place for place, step in enumerate(steps) if step.units]
    assert (
        exposed or not memory.units or case.name in ("memp", "reflexion")
    )  # which keep silent in a game unlike theirs
    assert [each.step for each in found] == exposed
    assert not left_out
    for step, shown, hidden in found:
        assert fingerprint(shown.messages) == decisions[step].prompt_digest
        assert hidden.messages[1:] == shown.messages[1:]
        assert hidden.messages[0].content == "Find the key."


@every_memory
def test_evaluation_leaves_it_as_it_was(case):
    """U2."""
    memory = learned(case).memory
    before = memory.dumps()
    played(memory)
    assert memory.dumps() == before
    read = load_memory(before, case.name)
    assert read == memory
    assert read.dumps() == before


@every_memory
def test_the_same_seed_writes_the_same_units(case):
    """U3: however long each answer takes."""
    one, other = learned(case, Author(haste=1)), learned(case, Author(haste=2))
    assert one.memory.dumps() == other.memory.dumps()
    assert one.events == other.events


def test_no_order_of_a_set_enters(tmp_path):
    """U3: Python orders the texts of a set anew in every process."""
    code = f"from {__name__} import digests; print(digests())"
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]


def digests() -> str:
    """Of every memory, and of the prompts of an episode played with it."""
    memories = [learned(case).memory for case in CASES]
    prompts = [[step.prompt_digest for step in played(memory)] for memory in memories]
    return json.dumps([[memory.digest for memory in memories], prompts])


@every_memory
@pytest.mark.parametrize("nonsense", ["I would rather not.", '{"cut": "in the mid', "[]"])
def test_nonsense_changes_nothing_and_is_said(case, nonsense):
    """U4. Whole episodes may come in: nobody wrote them."""
    before = learned(case)
    evolver = FakeModel(lambda request: nonsense)
    play, _ = replay(again)
    after = learn(case.name, batch(3), evolver=evolver, choices=case.choices, start=before.state, play=play)
    assert wording(after.memory) == wording(before.memory)
    assert bool(said(after.events, "skipped")) == bool(evolver.requests)
    assert not [event for event in said(after.events, "unit") if event.of != "episode"]


def wording(memory: Memory) -> list[str]:
    """What a model wrote of it."""
    return [unit.text for unit in memory.units if unit.kind != "episode"]


@every_memory
def test_tokens_of_memory_are_what_the_prompt_is_longer_by(case):
    """U5."""
    prompts: list[Request] = []

    def answer(request: Request) -> str:
        if request.grammar is None:
            prompts.append(request)
            return "north"
        return sample(request.grammar, np.random.default_rng(0))

    model = FakeModel(answer)
    steps = played(learned(case).memory, model)
    turns: list[tuple[str, str]] = []
    for step, request, sight in zip(steps, prompts, [*SIGHTS, "A red door."], strict=True):
        bare = conversation("Find the key.", "", turns, sight)
        assert step.memory_tokens == length(model, request.messages) - length(model, bare)
        assert bool(step.memory_tokens) == bool(step.units)
        turns.append((sight, "north"))


def length(model: FakeModel, messages) -> int:
    return sum(model.count(message.content) for message in messages)


@every_memory
def test_what_is_shown_is_held_and_fits(case):
    memory = learned(case).memory
    held = {unit.id for unit in memory.units}
    assert len(held) == len(memory.units), "two units of one id"
    assert all(set(step.units) <= held for step in played(memory))
    assert all(unit.text.strip() for unit in memory.units)


@every_memory
def test_a_game_that_is_evaluated_is_not_recalled(case):
    memory = learned(case).memory
    own = memory.holding([unit.model_copy(update={"env_seeds": (*unit.env_seeds, 999)}) for unit in memory.units])
    assert not any(step.units for step in played(own))


@every_memory
def test_without_episodes_nothing_is_asked(case):
    before = learned(case)
    silent = FakeModel(lambda request: pytest.fail("asked"))
    after = learn(case.name, [], evolver=silent, choices=case.choices, start=before.state)
    assert after.memory.digest == before.memory.digest


@every_memory
def test_where_nothing_can_be_learned_nothing_breaks(case, study, run):
    """U6: a whole study of one memory on the negative control, by a player that draws its doors blindly."""
    config = study(
        learning_runs=1,
        arms=["none", "self", "random", "shuffled"],
        agents=[{"name": "a", "model": "scripted:random"}],
        tasks=[{"environment": "Doors-v0-chance"}],
        learning={"learner": "fixed", "iterations": 2, "episodes": 2},
        memories=[{"name": "m", "learner": case.name, "choices": case.choices}],
    )
    finished = run(config)
    assert not [episode for episode in finished.episodes() if episode.error]
    (line,) = finished.memory_commits().values()
    assert finished.memory(line.memory).digest == line.memory


TYPE_I = 0.01
"""Chance that a house without fault fails the test below, over all memories together (Bonferroni)."""


def gains(differences: np.ndarray) -> bool:
    """Whether these games' differences from play without memory are a gain. Exact: in a game of chance the right door
    is drawn anew whatever is opened, so that a difference is as likely as its negative (a sign-flip test)."""
    test = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        alternative="greater",
        n_resamples=20_000,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return bool(test.pvalue <= TYPE_I / len(CASES))


def test_where_nothing_can_be_learned_nobody_gains(study, run):
    """U6: every memory in one study on the negative control, read by a player that does what it reads."""
    memories = [{"name": f"m{n}", "learner": case.name, "choices": case.choices} for n, case in enumerate(CASES)]
    config = study(
        learning_runs=1,
        evaluation_episodes=60,
        arms=["none", "self"],
        agents=[{"name": "a", "model": "scripted:obedient"}],
        tasks=[{"environment": "Doors-v0-chance"}],
        learning={"learner": "notes", "iterations": 2, "episodes": 4},
        memories=memories,
    )
    returns: dict[str, dict[int, float]] = {}
    for played in run(config).episodes():
        if played.trial.phase == "evaluate":
            name = played.trial.memory or played.trial.arm
            returns.setdefault(name, {})[played.trial.env_seed] = played.trajectory.total
    none = returns.pop("none")
    assert len(returns) == len(CASES) + 1
    differences = {name: np.array([each[game] - none[game] for game in none]) for name, each in returns.items()}
    assert not [name for name, each in differences.items() if gains(each)]
    assert all(gains(each - each.mean() + 0.25) for each in differences.values()), "a gain of a round would go unseen"
