"""Names stand for our objects, or for anybody's."""

from __future__ import annotations

import importlib.metadata

import anyio
import pytest

from testbed.config import plugins
from testbed.config.plugins import find_environment, resolve
from testbed.config.population import PolicyConfig
from testbed.config.reading.load import parse_study
from testbed.config.study import ConfigError
from testbed.play.learners import policy_parts
from testbed.play.models import build_players, build_tasks

KNOWN = {"similarity": 1, "random": 2}


def test_a_known_name_comes_first():
    assert resolve(KNOWN, "random", group="skills.selector") == 2


def test_anybodys_by_module_and_name():
    assert resolve({}, "tests.support.third_party:SIDES", group="x").options == ("[heads]", "[tails]")


@pytest.fixture
def install(monkeypatch):
    """Makes it look as if a package with this entry point were installed."""

    def install_(group: str, name: str, value: str) -> None:
        entry = importlib.metadata.EntryPoint(name, value, f"procmem.{group}")
        monkeypatch.setattr(plugins, "installed", lambda asked: {name: entry} if asked == group else {})

    return install_


@pytest.mark.parametrize("part", ["exchange", "admission", "poison"])
def test_an_installed_entry_point_of_a_policy(install, part):
    """The group is one thing, the place that an error names another."""
    install(f"population.{part}", "theirs", "tests.support.third_party:SIDES")
    settings = PolicyConfig.model_validate({"name": "p", "exchange": "ring", part: "theirs"})
    assert getattr(policy_parts(settings), part).options == ("[heads]", "[tails]")


def test_an_installed_entry_point(study, install):
    install("skills.selector", "theirs", "tests.support.third_party:SIDES")
    assert resolve({}, "theirs", group="skills.selector").options == ("[heads]", "[tails]")
    install("learning.learner", "theirs", "tests.support.third_party:SIDES")
    assert resolve({}, "theirs", group="learning.learner", place="policy p: learner").options == ("[heads]", "[tails]")
    with pytest.raises(ConfigError, match="policy p: learner: unknown 'their'; did you mean 'theirs'"):
        resolve({}, "their", group="learning.learner", place="policy p: learner")


def test_environments_by_path_and_by_entry_point(tmp_path, monkeypatch, install):
    (tmp_path / "my_worlds.py").write_text(
        "from dataclasses import replace\n"
        "from environments.registry import ENVIRONMENTS\n"
        "SPEC = replace(ENVIRONMENTS['Lever-v0'], id='Mine-v0')\n"
        "def factory(): return SPEC\n"
        "number = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert find_environment("Doors-v0").id == "Doors-v0"
    assert find_environment("my_worlds:SPEC").id == "Mine-v0"
    assert find_environment("my_worlds:factory").id == "Mine-v0"
    for name, said in (
        ("my_worlds:number", "gives a int, not an EnvSpec"),
        ("my_worlds:absent", "PYTHONPATH"),
        ("no_such_module:spec", "PYTHONPATH"),
        ("?", "tasks.0.environment: unknown '\\?'; there are: .*…"),
    ):
        with pytest.raises(ConfigError, match=said):
            find_environment(name, "tasks.0.environment")
    install("environments", "Theirs-v0", "my_worlds:factory")
    assert find_environment("Theirs-v0").id == "Mine-v0"


@pytest.mark.parametrize(
    "name", ["builtins:exit", "os:abort", "builtins:breakpoint", "this:s", "os.path:join", "sys:exit"]
)
def test_the_standard_library_is_never_a_plug_in(name, study):
    for reader in (lambda: resolve({}, name, group="x"), lambda: find_environment(name)):
        with pytest.raises(ConfigError, match="is of Python's own library"):
            reader()
    with pytest.raises(ConfigError, match="is of Python's own library"):
        anyio.run(build_players, study(agents=[{"name": "a", "model": name}]))


def test_everything_that_a_study_would_import_is_named():
    mine = "evil.module:f"
    config = parse_study(
        {
            "study": "population",
            "agents": [
                {"name": "a", "model": mine},
                {"name": "b", "model": "llama3:latest", "base_url": "http://x/v1"},
            ],
            "tasks": [{"environment": mine, "opponent": mine}, {"environment": "Doors-v0"}],
            "skills": {"selector": mine, "termination": mine},
            "learning": {"learner": mine, "choices": {"credit": mine}, "evolver": {"name": "e", "model": mine}},
            "population": {
                "policies": [
                    {"name": "p", "exchange": mine, "admission": mine, "poison": mine, "learner": mine},
                    {"name": "q", "exchange": "scripted:looks_like_it"},
                ]
            },
        },
        "test",
    )
    named = plugins.named_code(config)
    assert {place for place, name in named.items() if name == mine} == {
        "agents.0.model", "tasks.0.environment", "tasks.0.opponent", "skills.selector", "skills.termination",
        "learning.learner", "learning.choices.credit", "learning.evolver.model", "population.policies.0.exchange",
        "population.policies.0.admission", "population.policies.0.poison", "population.policies.0.learner",
    }  # fmt: skip
    assert set(named) - {place for place, name in named.items() if name == mine} == {"population.policies.1.exchange"}


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
        resolve(KNOWN, name, group="skills.selector")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": [{"environment": "Mastermnd-v0"}]}, "unknown 'Mastermnd-v0'; did you mean 'Mastermind-v0'?"),
        ({"tasks": [{"environment": "nowhere:thing"}]}, "cannot import"),
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
    for find_out in (lambda: build_tasks(config), lambda: anyio.run(build_players, config)):
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
        anyio.run(build_players, study(agents=[{"name": "a", "model": model}]))
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
