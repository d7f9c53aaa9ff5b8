"""The whole loop on the control family: real games, real agents and options, real Algorithm 1.

Only the two minds are fakes: an actor that follows an instruction it is given, and an evolver that reads the replies.
Whether real models can do either is another question; here it is shown that nothing else stands in the way.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from agents.agent import SkillAgent
from agents.embedding import LexicalEmbedder
from agents.models.model import Sampling
from agents.models.scripted import ScriptedModel
from agents.options import ByAge, EpsilonGreedy, SkillOptions
from agents.selection import TopKValue, Value
from environments.grammar import Choices
from environments.registry import ENVIRONMENTS
from testbed.play.engines.rollout import play
from tests.support.fake_evolver import FakeModel, kind_of
from transfer.memory.lineage import Lineage
from transfer.memory.pool import SkillPool
from transfer.memory.seed_pool import seed_pool
from transfer.nppo.config import make_config
from transfer.registry import LearnerModels, nppo

EMBED = LexicalEmbedder()
SAMPLING = Sampling(temperature=1.0)
CHOICES = make_config("paper", {"advantage": "step-baseline", "gamma": 0.0, "acceptance": "improvement"})


def follower(messages, grammar):
    """Does what "If … shows X, answer [Y]" says for the X it sees; else anything."""
    assert isinstance(grammar, Choices)
    said = dict(re.findall(r"shows (\w+), answer (\[\w+\])", messages[0].content))
    seen = re.findall(r"(?:shows|stamp): (\w+)", messages[-1].content)
    advice = said.get(seen[-1]) if seen else None
    weights = {option: 8.0 if option == advice else 1.0 for option in grammar.options}
    return {option: weight / sum(weights.values()) for option, weight in weights.items()}


def reader(request):
    """Reads the right doors out of whatever it is shown, and writes them down as instructions."""
    text = request.messages[-1].content
    told = re.findall(r"right door for (\w+) was (\w+)", text) + re.findall(r"shows (\w+), answer \[(\w+)\]", text)
    lines = [f"If the sign shows {sign}, answer [{door}]." for sign, door in dict(told).items()]
    match kind_of(request):
        case "Attribution":
            parts = {"diagnosis": "The replies tell.", "is_related": True, "activation": "", "termination": ""}
            return json.dumps(parts | {"procedure": lines[:8]})
        case "Consolidation":
            return json.dumps({"activation": "", "procedure": lines[:8], "termination": ""})
        case _:
            parts = {"name": "Doors", "activation": "A sign is shown.", "termination": "The game ends."}
            return json.dumps(parts | {"procedure": lines or ["Think."]})


def episodes(environment, pool, values, seeds, *, epsilon=0.0, tag="x"):
    """Plays with a pool, greedily on value but for ε."""
    actor = ScriptedModel("follower", follower)
    out = []
    for seed in seeds:
        rng = np.random.default_rng([seed, 1])
        skills = list(pool.each()) if pool else []
        guide = SkillOptions(skills, TopKValue(EMBED, values, k=9), ByAge(), rng, exploration=EpsilonGreedy(epsilon))
        agent = SkillAgent("p", actor, guide, rng, sampling=replace(SAMPLING))
        names = {"player_0": "p"}
        out.append(
            asyncio.run(play(ENVIRONMENTS[environment], {"player_0": agent}, seed, trial=f"{tag}{seed}", names=names))
        )
    return [each["player_0"] for each in out]


def learned(environment, iterations=8, count=8):
    """A pool learned from the six seeds, and its events."""
    minds = LearnerModels(ScriptedModel("follower", follower), FakeModel(reader), EMBED, temperature=1.0)
    learner = nppo(minds, np.random.SeedSequence(3), CHOICES)
    state, log, history = learner.begin(seed_pool(7)), [], {}
    for iteration in range(iterations):
        values = {skill: Value(score.value, score.n) for skill, score in state.scores.items()}
        seeds = range(1000 * iteration, 1000 * iteration + count)
        fresh = episodes(environment, state.pool, values, seeds, epsilon=0.3, tag="learn")
        history |= {trajectory.id: trajectory for trajectory in fresh}
        state, events = asyncio.run(learner.iterate(state, fresh, history.__getitem__))
        log += events
    return state, log


def mean_return(environment, state=None, count=60):
    values = {skill: Value(score.value, score.n) for skill, score in state.scores.items()} if state else {}
    played = episodes(environment, state.pool if state else SkillPool(), values, range(90_000, 90_000 + count))
    return float(np.mean([trajectory.total for trajectory in played]))


@pytest.fixture(scope="module")
def doors():
    return learned("Doors-v0")


def test_the_rule_is_found_and_pays(doors):
    state, log = doors
    alone, after = mean_return("Doors-v0"), mean_return("Doors-v0", state)
    assert alone < 0.4
    assert after > alone + 0.25
    lineage = Lineage.of(log)
    winner = max(state.pool.ids, key=lambda skill: state.score(skill).value)
    assert "If the sign shows owl, answer [green]." in lineage.lives[winner].texts.procedure
    assert lineage.lives[winner].evidence
    assert (lineage.lives[winner].change or 0.0) > 0


def test_transfer_has_the_known_signs(doors):
    state, _ = doors
    gain = {
        name: mean_return(name, state) - mean_return(name)
        for name in ("Doors-v0-reworded", "Doors-v0-long", "Doors-v0-inverted", "Doors-v0-chance")
    }
    assert gain["Doors-v0-reworded"] > 0.2
    assert gain["Doors-v0-long"] > 0.2
    assert gain["Doors-v0-inverted"] < -0.1
    assert abs(gain["Doors-v0-chance"]) < 0.12


def test_nothing_is_learned_from_chance():
    state, _ = learned("Doors-v0-chance", iterations=4)
    assert abs(mean_return("Doors-v0-chance", state) - mean_return("Doors-v0-chance")) < 0.12
