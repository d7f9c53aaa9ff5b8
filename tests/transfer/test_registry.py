"""The wiring: `paper`, `as-released` and every named choice, whole iterations, against the second implementation."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.minds import Arena, Compass, Mind, Referee
from tests.support.reference.algorithm import Iteration
from tests.support.reference.presets import PRESETS
from tests.support.scenario import TEMPERATURE, Scenario
from transfer.memory.pool import SkillPool
from transfer.memory.state import Baseline, LearnerState, Score
from transfer.nppo.config import ChoiceError, NPPOConfig, make_config
from transfer.registry import LEARNERS, PARTS, LearnerModels, nppo, ours

OTHERS: dict[str, tuple[Any, ...]] = {
    "critic": ("hindsight", "neutral-summary"),
    "aggregation": ("consolidate", "juxtapose"),
    "gate": ("ppo", "ppo", "none", "race", "likelihood+race"),
    "advantage": ("return-to-go", "per-step-share", "step-baseline"),
    "gamma": (1.0, 0.9, 0.5, 0.0),
    "likelihood": ("sum", "per-token-mean"),
    "reduction": ("per-trajectory", "per-step"),
    "acceptance": ("objective", "improvement", "confident-improvement"),
    "margin": (0.0, 0.001, 0.05, -0.05, 0.3, 1.0),
    "clip": (0.2, 0.1, 0.4),
    "scorer": ("actor", "evolver", "receiver", "panel"),
    "whose": ("policy", "raw"),
    "reasoning": ("given", "omitted"),
    "maintenance": ("always", "over-capacity", "lower-bound", "fifo"),
    "evidence": (1, 2, 3, 9),
    "priority": ("potential", "as-released"),
    "credit": ("step-mean", "per-call"),
    "baseline": ("running-mean", "moving-average"),
    "alpha": (0.1, 0.37),
    "batch": (2, 3, 4, 6),
    "candidates": (1, 3, 5),
    "parents": (1, 2, 3),
    "related": (0.5, 0.0, 0.75, 1.0),
    "cooldown": (0, 3, 1),
    "duel_level": (0.05, 0.2),
    "duel_margin": (0.0, 0.3),
    "duel_pairs": (24, 5, 1),
    "duel_look": (2, 1, 3),
    "duel_test": ("symmetric", "betting"),
    "duel_opponent": ("parent", "none"),
    "screen": (2.0, 0.0, 9.0),
}


def state_of(memory: Any) -> LearnerState:
    return LearnerState(
        pool=SkillPool.of(memory.skills.values(), memory.capacity),
        iteration=memory.iteration,
        scores={id: Score(gain=s.gain, n=s.n, calls=s.calls, steps=s.steps) for id, s in memory.scores.items()},
        baselines={task: Baseline(mean=mean, n=n) for task, (mean, n) in memory.baselines.items()},
        buffer=memory.buffer,
        cooldowns=memory.cooldowns,
        born=memory.born,
        deaths=memory.deaths,
        outcomes=memory.outcomes,
        returns=memory.returns,
    )


def remembered(memory: Any) -> dict[str, Any]:
    """What two states are compared by."""
    return {
        "pool": memory.pool,
        "parents": {id: tuple(skill.parents) for id, skill in memory.skills.items()},
        "iteration": memory.iteration,
        "scores": {id: [s.gain, s.n, s.calls, s.steps] for id, s in memory.scores.items()},
        "baselines": {task: list(each) for task, each in memory.baselines.items()},
        "buffer": dict(memory.buffer),
        "cooldowns": dict(memory.cooldowns),
        "born": dict(memory.born),
        "deaths": dict(memory.deaths),
        "outcomes": dict(memory.outcomes),
        "returns": list(memory.returns),
        "extra": memory.extra,
    }


def learnt(state: LearnerState) -> dict[str, Any]:
    return {
        "pool": list(state.pool.ids),
        "parents": {skill.id: skill.parents for skill in state.pool.each()},
        "iteration": state.iteration,
        "scores": {id: [s.gain, s.n, s.calls, s.steps] for id, s in state.scores.items()},
        "baselines": {task: [each.mean, each.n] for task, each in state.baselines.items()},
        "buffer": dict(state.buffer),
        "cooldowns": dict(state.cooldowns),
        "born": dict(state.born),
        "deaths": dict(state.deaths),
        "outcomes": dict(state.outcomes),
        "returns": list(state.returns),
        "extra": state.extra,
    }


def same(one: Any, other: Any) -> bool:
    """Equal, floats up to rounding."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9) or (math.isnan(one) and math.isnan(other))
    return type(one) is type(other) and one == other


def both(preset: str, changes: dict[str, Any], seed: int) -> tuple[Any, Any]:
    """One iteration by the production code and by the reference: (state, events) of each."""
    world = Scenario(seed)
    minds = LearnerModels(
        Mind(world, "actor"),
        Mind(world, "evolver"),
        Compass(),
        panel=(Mind(world, "first"), Mind(world, "second")),
        temperature=TEMPERATURE,
        duel_tests={name: lambda task, level, name=name: Referee(name, level) for name in OTHERS["duel_test"]},
    )
    arena = Arena(world)
    learner = nppo(minds, np.random.SeedSequence(seed), make_config(preset, changes))
    state, events = asyncio.run(learner.iterate(state_of(world.memory), world.fresh, world.stored.__getitem__, arena))
    said = [
        (each.kind, each.iteration, each.skill, each.parents, each.trajectories, numbered(each.payload, arena))
        for each in events
        if each.kind != "warning"
    ]
    told = Iteration(PRESETS[preset] | changes, world)
    memory = told.run(world.memory, world.fresh)
    return (learnt(state), said), (remembered(memory), told.events)


def numbered(payload: dict[str, Any], arena: Arena) -> dict[str, Any]:
    """The games of a duel by the order in which they were met, as the reference counts them."""
    games = {"env_seeds": [arena.numbers[seed] for seed in payload["env_seeds"]]} if "env_seeds" in payload else {}
    return payload | games


def assert_same(preset: str, changes: dict[str, Any], seed: int) -> None:
    (state, said), (memory, told) = both(preset, changes, seed)
    for one, other in zip(said, told, strict=False):
        assert same(one, other), f"{one}\n{other}"
    assert len(said) == len(told), (said[len(told) :], told[len(said) :])
    assert same(state, memory), f"{state}\n{memory}"


@pytest.mark.parametrize("preset", PRESETS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_presets_do_what_the_paper_and_the_official_code_say(preset, seed):
    assert_same(preset, {}, seed)


@given(seed=st.integers(0, 2**32), preset=st.sampled_from(sorted(PRESETS)))
@settings(max_examples=600, deadline=None, derandomize=True)
def test_every_choice_reaches_what_it_names(preset, seed):
    rng = Random(seed)
    assert_same(preset, {name: rng.choice(values) for name, values in OTHERS.items() if rng.random() < 0.5}, seed)


def test_presets_are_those_of_the_paper_and_of_the_official_code():
    assert {name: make_config(name).model_dump() for name in PRESETS} == PRESETS
    assert set(OTHERS) == set(NPPOConfig.model_fields)


def test_a_strangers_parts_enter_by_the_resolver():
    """Each part is asked for under its own group, and made from what ours are made from."""
    asked: dict[str, str] = {}
    made: dict[str, tuple[Any, ...]] = {}

    def resolve(known: Any, name: str, *, group: str) -> Any:
        asked[group.removeprefix("learning.choices.")] = name

        def make(*given: Any) -> Any:
            made[group.removeprefix("learning.choices.")] = given
            return name

        return make

    choices = make_config(
        "paper", {part: f"theirs:{part}" for part in PARTS} | {"gamma": 0.5, "margin": 2.0, "alpha": 0.3}
    )
    evolver = Mind(Scenario(0), "evolver")
    learner = nppo(
        LearnerModels(evolver, evolver, Compass(), temperature=0.4, resolve=resolve), np.random.SeedSequence(0), choices
    )
    own_gate = made["gate"][0]()
    assert asked == {part: f"theirs:{part}" for part in PARTS}
    assert (learner.advantage, learner.gate, learner.maintenance) == (
        "theirs:advantage",
        "theirs:gate",
        "theirs:maintenance",
    )
    assert (own_gate.acceptance, own_gate.voice) == ("theirs:acceptance", "theirs:whose")
    assert {part: given for part, given in made.items() if part != "gate"} == {
        "critic": (evolver,),
        "aggregation": (evolver,),
        "advantage": (0.5,),
        "acceptance": (2.0,),
        "whose": (0.4, True),
        "maintenance": (3,),
        "priority": (2,),
        "credit": (),
        "baseline": (0.3,),
    }


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_finds_its_parts_where_the_study_says(name):
    asked: list[str] = []

    def resolve(known: Mapping[str, Any], name: str, *, group: str) -> Any:
        asked.append(group)
        return known[name]

    world = Scenario(0)
    minds = LearnerModels(Mind(world, "actor"), Mind(world, "evolver"), Compass(), resolve=resolve)
    LEARNERS[name](minds, np.random.SeedSequence(0))
    assert {"learning.choices.credit", "learning.choices.baseline"} <= set(asked)


@pytest.mark.parametrize("scorer", ["receiver", "panel"])
def test_other_scorers_need_other_agents(scorer):
    world = Scenario(0)
    alone = LearnerModels(Mind(world, "actor"), Mind(world, "evolver"), Compass())
    with pytest.raises(ChoiceError, match=f'scorer = "{scorer}" needs another agent to score'):
        nppo(alone, np.random.SeedSequence(0), make_config("paper", {"scorer": scorer}))


def test_a_part_that_does_not_exist_is_answered_by_those_that_do():
    with pytest.raises(ChoiceError) as refused:
        ours({"one": 1, "two": 2}, "three", group="learning.choices.gate")
    assert str(refused.value) == "learning.choices.gate: no such choice as 'three'; there are: one, two"
