"""Oracles know the truth and say it; the study shows which of them pays."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from agents.guide import State
from agents.models.model import Message, Request, Sampling
from agents.prompts import skill_text
from agents.skill import Skill
from environments.grammar import Choices
from testbed.bench.experiments import oracles
from testbed.bench.experiments.bottleneck import AS_IT_IS, PARTS, bottleneck, sentence, variants
from testbed.bench.experiments.oracles import TRUTHS, TrueGate, TrueProposer, Truth, obedient, told
from testbed.cli.main import app
from testbed.config.reading.load import parse_study
from testbed.config.study import ConfigError
from testbed.play.models import build_tasks
from tests.support.fake_evolver import skill
from transfer.gate.gate import Evidence
from transfer.nppo.aggregation import AggregateGradient
from transfer.nppo.proposal import EvolutionRequest

RULE = {"owl": "green", "key": "blue", "bell": "black", "ship": "red"}
STUDY = {
    "study": "matrix",
    "seed": 3,
    "learning_runs": 3,
    "evaluation_episodes": 4,
    "agents": [{"name": "a", "model": "scripted:suggestible"}],
    "tasks": [{"environment": "Doors-v0"}],
    "skills": {"embedder": "lexical"},
    "learning": {"learner": "nppo", "iterations": 1, "episodes": 6, "choices": {"batch": 2, "gate": "none"}},
}


def says(procedure: str) -> Skill:
    return skill("s", procedure, activation="Always.")


@pytest.mark.parametrize(
    ("text", "sign", "colour"),
    [
        ("If the sign shows owl, answer green. If key, blue.", "owl", "green"),
        ("If the sign shows owl, answer green. If key, blue.", "key", "blue"),
        ("If the sign shows owl, answer green. If key, blue.", "bell", None),
        ("owl: never red, take green", "owl", "green"),
        ("Owl key: blue", "owl", None),
        ("Always open the black door.", "ship", "black"),
        ("Always open the black door.", "", "black"),
        ("Plan ahead.", "owl", None),
    ],
)
def test_a_skill_is_read_as_a_person_would(text, sign, colour):
    assert told(text, sign) == colour


def test_the_true_candidate_is_worth_everything_and_passes_the_true_gate():
    truth = Truth(RULE)
    request = EvolutionRequest(
        says("Plan."), "", "REFINE", AggregateGradient(activation="", procedure="", termination=""), ()
    )
    (best,) = asyncio.run(TrueProposer(truth)(request, [1, 2])).skills
    assert truth.worth(best) == 1.0
    assert truth.worth(says("Plan.")) == 0.25
    wrong, half = says("owl: red, key: red, bell: red"), says("owl: green, key: blue, bell: red, ship: blue")
    assert truth.worth(half) == 0.5
    verdicts = asyncio.run(TrueGate(truth).judge(says("Plan."), [best, wrong, half], Evidence((), ())))
    assert [each.outcome for each in verdicts] == ["accepted", "rejected", "accepted"]
    assert verdicts[0].objective == 0.75


def test_the_true_selector_takes_the_skill_that_knows_this_round():
    selector = oracles.PLAIN_SELECTOR(None, None, {})
    owl, key, lie = says("owl: green"), says("key: blue"), says("always red")
    state = State("", (), "Right. The right door for owl was green. The sign shows: key. Which door?")

    def choose(*skills):
        return asyncio.run(selector.select(state, skills, np.random.default_rng(0))).skill

    assert choose(owl, key, lie) is key
    assert choose(owl, lie) is owl  # which says nothing of keys
    assert choose(lie) is None


def test_the_obedient_actor_does_what_the_skill_says_and_else_guesses():
    doors = Choices(("[red]", "[green]", "[blue]", "[black]"))

    def moves(system, seen):
        request = Request((Message("system", system), Message("user", seen)), doors, Sampling())
        return {
            asyncio.run(obedient().generate(Request(request.messages, doors, Sampling(seed=seed)))).text
            for seed in range(30)
        }

    rules = "Four doors: red, green, blue and black."
    assert moves(f"{rules}\n\n{skill_text(says('owl: green'))}", "The sign shows: owl.") == {"[green]"}
    assert len(moves(f"{rules}\n\n{skill_text(says('owl: green'))}", "The sign shows: key.")) == 4
    assert len(moves(rules, "The sign shows: owl.")) == 4


@pytest.mark.parametrize("task", sorted(TRUTHS))
def test_every_variant_is_a_study_whose_names_mean_something(task):
    config = parse_study(STUDY | {"tasks": [{"environment": task}]}, "test")
    found = variants(config)
    assert list(found) == [AS_IT_IS, *PARTS]
    assert len({each.digest for each in found.values()}) == len(found)
    for variant in found.values():
        build_tasks(variant)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tasks": [{"environment": "Doors-v0-chance"}]}, "has no oracles"),
        ({"tasks": [{"environment": "Doors-v0"}, {"environment": "OneDoor-v0"}]}, "one agent and one task"),
        ({"learning": {"learner": "keep-best"}}, "not of 'keep-best'"),
    ],
)
def test_a_study_without_oracles_is_refused_in_a_sentence(changes, complaint):
    with pytest.raises(ConfigError, match=complaint):
        variants(parse_study(STUDY | changes, "test"))


def frame(values):
    rows = [{"arm": "self", "learning_run": run, "return": value} for run, value in enumerate(values)]
    return pd.DataFrame(rows)


def test_gains_are_paired_by_learning_run_and_the_largest_comes_first():
    base = np.array([0.2, 0.5, 0.3, 0.4])
    parts = {"gradient": base + np.array([0.02, -0.02, 0.01, -0.01]), "gate": base + np.array([0.4, 0.41, 0.39, 0.42])}
    table = bottleneck({name: frame(each) for name, each in {AS_IT_IS: base, **parts}.items()}, "Doors-v0")
    assert table["part"].tolist() == ["gate", "gradient"]
    assert table["gain"].tolist() == pytest.approx([0.405, 0.0])
    assert table["low"][0] > 0.3
    assert table["low"][1] < 0 < table["high"][1]
    assert sentence(table).startswith("A better gate would pay most: +0.405")
    assert "not told apart" not in sentence(table)
    assert sentence(table.iloc[1:]).startswith("Undecided")


def test_one_command_finds_the_bottleneck_and_the_same_command_resumes(tmp_path):
    """An actor that obeys and an evolver that writes nonsense: a better candidate is what pays."""
    file = tmp_path / "study.toml"
    file.write_text(
        """
        seed = 3
        study = "matrix"
        learning_runs = 3
        evaluation_episodes = 4
        [[agents]]
        name = "a"
        model = "testbed.bench.experiments.oracles:obedient"
        [[tasks]]
        environment = "Doors-v0"
        [skills]
        embedder = "lexical"
        selector = "random"
        [learning]
        learner = "nppo"
        iterations = 2
        episodes = 8
        pool_size = 2
        choices = { batch = 2, gate = "none" }
        """
    )
    command = ["bottleneck", str(file), "--out", str(tmp_path / "runs"), "--plugins", "--json"]
    first, second = CliRunner().invoke(app, command), CliRunner().invoke(app, command)
    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    assert first.stdout == second.stdout
    found = json.loads(first.stdout)
    assert found["parts"][0]["part"] == "candidate"
    assert found["parts"][0]["gain"] > 0.1
    assert len(set(found["runs"].values())) == 6
    assert set(found["as it is"]) == {"none", "seed", "self"}
