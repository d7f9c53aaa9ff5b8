"""Names stand for our objects, or for anybody's."""

from __future__ import annotations

import importlib.metadata

import anyio
import pytest

from testbed.config.plugins import resolve
from testbed.config.study import ConfigError
from testbed.play.models import build_cast, build_tasks

KNOWN = {"similarity": 1, "random": 2}


def test_a_known_name_comes_first():
    assert resolve(KNOWN, "random", "skills.selector") == 2


def test_anybodys_by_module_and_name():
    assert resolve({}, "tests.support.third_party:SIDES", "x").options == ("[heads]", "[tails]")


def test_an_installed_entry_point(monkeypatch):
    found = importlib.metadata.EntryPoint(
        "mine-for-this-test", "tests.support.third_party:SIDES", "procmem.skills.selector"
    )
    monkeypatch.setattr(
        "testbed.config.plugins.entry_points", lambda *, group, name: [found] if name == found.name else []
    )
    assert resolve({}, "mine-for-this-test", "skills.selector").options == ("[heads]", "[tails]")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("similarty", "skills.selector: unknown 'similarty'; did you mean 'similarity'?"),
        ("zzz", "skills.selector: unknown 'zzz'; there are: similarity, random"),
        ("nowhere:thing", "skills.selector: cannot import 'nowhere:thing' .No module named 'nowhere'.*PYTHONPATH"),
        ("tests.support.third_party:absent", "skills.selector: cannot import 'tests.support.third_party:absent'"),
        (":x", "skills.selector: cannot import ':x'"),
        ("tests.support.third_party:", "skills.selector: cannot import 'tests.support.third_party:'"),
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
        ({"tasks": [{"environment": "tests.support.third_party:SIDES"}]}, "gives a Choices, not an EnvSpec"),
        (
            {"tasks": [{"environment": "tests.support.third_party:unmakeable"}]},
            "cannot be set up: FileNotFoundError: no coin",
        ),
        ({"tasks": [{"environment": "tests.support.third_party:misnamed"}]}, "must call its 1 seats player_0"),
        (
            {
                "tasks": [
                    {"environment": "tests.support.third_party:COIN"},
                    {"environment": "tests.support.third_party:coin_again"},
                ]
            },
            "tasks.1: 'tests.support.third_party:coin_again' is the game 'Coin-v0', which stands there twice",
        ),
        ({"skills": {"selector": "likelyhood"}}, "skills.selector: unknown 'likelyhood'; did you mean 'likelihood'?"),
        ({"skills": {"termination": "never"}}, "skills.termination: unknown 'never'; there are: judgement, age"),
        ({"learning": {"learner": "keep-bst"}}, "learning.learner: unknown 'keep-bst'; did you mean 'keep-best'?"),
    ],
)
def test_wrong_names_are_found_before_anything_is_loaded(study, changes, said):
    config = study(**{"agents": [{"name": "a", "model": "tests.support.third_party:must_not_be_loaded"}], **changes})
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
        ("tests.support.third_party:NOT_A_FACTORY", "agents.model: 'tests.support.third_party:NOT_A_FACTORY'"),
        ("tests.support.third_party:fragile", "agents.model: 'tests.support.third_party:fragile'"),
    ],
)
def test_a_model_that_is_not_there(study, model, said):
    with pytest.raises(Exception, match=said) as caught:
        anyio.run(build_cast, study(agents=[{"name": "a", "model": model}]))
    assert type(caught.value).__module__.split(".")[0] in ("agents", "testbed")


def test_a_whole_study_of_plugged_in_parts(study, run):
    made = run(
        study(
            agents=[
                {"name": "mine", "model": "tests.support.third_party:Silent"},
                {"name": "ours", "model": "scripted:random"},
            ],
            tasks=[{"environment": "tests.support.third_party:COIN"}, {"environment": "GuessTheNumber-v0"}],
            skills={
                "embedder": "lexical",
                "selector": "tests.support.third_party:last",
                "termination": "tests.support.third_party:at_once",
            },
        )
    )
    episodes = list(made.episodes())
    assert {episode.error for episode in episodes} == {None}
    assert {episode.trial.task for episode in episodes} == {"Coin-v0", "GuessTheNumber-v0"}
    evaluated = [e for e in episodes if e.trial.arm == "self"]
    for episode in evaluated:
        last = list(made.pool(episode.trial.pool).each())[-1].id
        assert all(step.skill == last and step.started for step in episode.trajectory.steps)
