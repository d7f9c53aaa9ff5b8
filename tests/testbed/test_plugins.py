"""Names stand for our objects, or for anybody's."""

from __future__ import annotations

import importlib.metadata

import anyio
import pytest

from testbed.build import build_cast, build_tasks
from testbed.config import ConfigError
from testbed.plugins import resolve

KNOWN = {"similarity": 1, "random": 2}


def test_a_known_name_comes_first():
    assert resolve(KNOWN, "random", "skills.selector") == 2


def test_anybodys_by_module_and_name():
    assert resolve({}, "third_party:SIDES", "x").options == ("[heads]", "[tails]")


def test_an_installed_entry_point(monkeypatch):
    found = importlib.metadata.EntryPoint("mine-for-this-test", "third_party:SIDES", "procmem.skills.selector")
    monkeypatch.setattr("testbed.plugins.entry_points", lambda *, group, name: [found] if name == found.name else [])
    assert resolve({}, "mine-for-this-test", "skills.selector").options == ("[heads]", "[tails]")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("similarty", "skills.selector: unknown 'similarty'; did you mean 'similarity'?"),
        ("zzz", "skills.selector: unknown 'zzz'; there are: similarity, random"),
        ("nowhere:thing", "skills.selector: cannot import 'nowhere:thing' .No module named 'nowhere'.*PYTHONPATH"),
        ("third_party:absent", "skills.selector: cannot import 'third_party:absent'"),
        (":x", "skills.selector: cannot import ':x'"),
        ("third_party:", "skills.selector: cannot import 'third_party:'"),
        ("", "skills.selector: unknown ''"),
    ],
)
def test_a_name_that_means_nothing(name, said):
    with pytest.raises(ConfigError, match=said):
        resolve(KNOWN, name, "skills.selector")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": [{"environment": "Mastermnd-v0"}]}, "'Mastermnd-v0'; the nearest are Mastermind-v0"),
        ({"tasks": [{"environment": "nowhere:thing"}]}, "cannot be imported"),
        ({"tasks": [{"environment": "third_party:SIDES"}]}, "gives a Choices, not an EnvSpec"),
        ({"tasks": [{"environment": "third_party:unmakeable"}]}, "cannot be set up: FileNotFoundError: no coin"),
        ({"tasks": [{"environment": "third_party:misnamed"}]}, "must call its 1 seats player_0"),
        (
            {"tasks": [{"environment": "third_party:COIN"}, {"environment": "third_party:coin_again"}]},
            "tasks.1: 'third_party:coin_again' is the game 'Coin-v0', which stands there twice",
        ),
        ({"skills": {"selector": "likelyhood"}}, "skills.selector: unknown 'likelyhood'; did you mean 'likelihood'?"),
        ({"skills": {"termination": "never"}}, "skills.termination: unknown 'never'; there are: judgement, age"),
        ({"learning": {"learner": "keep-bst"}}, "learning.learner: unknown 'keep-bst'; did you mean 'keep-best'?"),
    ],
)
def test_wrong_names_are_found_before_anything_is_loaded(study, changes, said):
    config = study(**{"agents": [{"name": "a", "model": "third_party:must_not_be_loaded"}], **changes})
    for find_out in (lambda: build_tasks(config), lambda: anyio.run(build_cast, config)):
        with pytest.raises((ConfigError, LookupError)) as caught:
            find_out()
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("scripted:randm", "no scripted model is called 'randm'; there are: random"),
        ("smollm2-135m-instrct", "smollm2-135m-instruct"),
        ("nowhere:thing", "agents.model: cannot import 'nowhere:thing'"),
        ("third_party:NOT_A_FACTORY", "agents.model: 'third_party:NOT_A_FACTORY'"),
        ("third_party:fragile", "agents.model: 'third_party:fragile'"),
    ],
)
def test_a_model_that_is_not_there(study, model, said):
    with pytest.raises(Exception, match=said) as caught:
        anyio.run(build_cast, study(agents=[{"name": "a", "model": model}]))
    assert type(caught.value).__module__.split(".")[0] in ("agents", "testbed")


def test_a_whole_study_of_plugged_in_parts(study, run):
    made = run(
        study(
            agents=[{"name": "mine", "model": "third_party:Silent"}, {"name": "ours", "model": "scripted:random"}],
            tasks=[{"environment": "third_party:COIN"}, {"environment": "GuessTheNumber-v0"}],
            skills={"embedder": "lexical", "selector": "third_party:last", "termination": "third_party:at_once"},
        )
    )
    episodes = list(made.episodes())
    assert {episode.error for episode in episodes} == {None}
    assert {episode.trial.task for episode in episodes} == {"Coin-v0", "GuessTheNumber-v0"}
    evaluated = [e for e in episodes if e.trial.arm == "self"]
    for episode in evaluated:
        last = list(made.pool(episode.trial.pool).each())[-1].id
        assert all(step.skill == last and step.started for step in episode.trajectory.steps)
