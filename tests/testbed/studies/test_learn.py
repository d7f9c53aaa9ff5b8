"""The study `learn`: iterations one after the other, each committed whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.config.study import LearningConfig
from testbed.play.course.failures import ModelGone, StudyStopped
from testbed.play.seeds import environment_seed, stream
from testbed.records.lines import EventLine
from testbed.records.run_directory import RunDirectory
from testbed.studies.schedule import epsilon
from transfer.memory.events.course import EpisodesMissing


def test_every_source_learns_and_commits_each_iteration(study, run):
    config = study(study="learn")
    made = run(config)
    states = made.learner_states()
    assert set(states) == {f"{a}/{t}/{n}" for a in "ab" for t in ("GuessTheNumber-v0", "KuhnPoker-v0") for n in (0, 1)}
    for committed in states.values():
        assert committed.committed == committed.state.iteration == 2
        assert committed.tokens.keys() == set(committed.state.pool.ids)
        assert made.pool(committed.state.pool.digest) == committed.state.pool
    kinds = {line.event.kind for line in made.events() if isinstance(line, EventLine)}
    assert {"seeded", "baseline", "scored"} <= kinds
    episodes = list(made.episodes())
    assert len(episodes) == 8 * 2 * 2
    assert {episode.trial.phase for episode in episodes} == {"learn"}
    assert {episode.trial.seat for episode in episodes if episode.trial.task == "KuhnPoker-v0"} == {0, 1}
    for episode in episodes:
        assert made.pool(episode.trial.pool).digest == episode.trial.pool


def test_exploration_falls_from_start_to_end():
    learning = LearningConfig(iterations=4, epsilon_start=0.3, epsilon_end=0.06)
    assert [epsilon(iteration, learning) for iteration in range(4)] == [0.3, 0.22, 0.14, 0.06]
    assert epsilon(0, LearningConfig(iterations=1)) == 0.3


KEYS = st.lists(st.text(max_size=5) | st.integers(0, 99), max_size=4)


@given(st.integers(0, 99), KEYS, KEYS)
def test_no_game_is_met_in_learning_and_in_evaluation(seed, one, other):
    learn, evaluate = environment_seed(seed, "learn", *one), environment_seed(seed, "evaluate", *other)
    assert learn != evaluate
    assert 0 <= learn < 2**31
    assert 0 <= evaluate < 2**31


@given(st.integers(0, 99), KEYS, KEYS)
def test_streams_depend_on_their_keys_alone(seed, one, other):
    draw = stream(seed, *one).integers(2**62)
    stream(seed, *other).integers(2**62)
    assert stream(seed, *one).integers(2**62) == draw
    if list(map(str, one)) != list(map(str, other)):
        assert stream(seed, *other).integers(2**62) != draw


def test_seeds_are_the_same_in_every_process():
    """Golden values: whoever changes them changes every result."""
    assert environment_seed(7, "evaluate", "Mastermind-v0", 0, 3) == 612898151
    assert int(stream(7, "play", "x").integers(2**31)) == 184480532


def test_no_iterations_is_no_learning(study, run):
    made = run(study(study="learn", learning={"iterations": 0}))
    assert list(made.episodes()) == []
    assert made.learner_states() == {}


@pytest.mark.parametrize("learner", ["fixed", "keep-best"])
def test_the_pool_never_exceeds_its_size(study, run, one_agent, learner):
    made = run(study(study="learn", **one_agent, learning={"iterations": 4, "learner": learner, "pool_size": 4}))
    sizes = [len(pool) for pool in made.pools().values()]
    assert max(sizes) == 4
    assert (min(sizes) < 4) == (learner == "keep-best")


COINS = {"tasks": [{"environment": "tests.support.third_party:COIN"}], "learning_runs": 2}


def told(made) -> tuple[list[str], list[str], set[str]]:
    """All that a run says, but for the order of things and for what failed on the way."""
    return (
        sorted(episode.model_dump_json() for episode in made.episodes()),
        sorted(made.events_file.read_text().splitlines()),
        {path.name for path in (made.path / "pools").iterdir()},
    )


def test_nothing_is_learned_from_an_outage(study, run_in, tmp_path, monkeypatch):
    """The model is away for its first calls, which are all that the first iteration needs."""
    config = study(study="learn", **COINS, agents=[{"name": "a", "model": "tests.support.third_party:Away"}])
    whole = run_in(tmp_path / "whole", config)
    monkeypatch.setenv("FAKE_AWAY", "6")
    disturbed = run_in(tmp_path / "disturbed", config)
    assert told(disturbed) == told(whole)
    assert len(list(disturbed.stored())) == len(list(whole.stored())) + 6
    monkeypatch.setenv("FAKE_AWAY", "20")
    for stops in range(3):
        try:
            resumed = run_in(tmp_path / "resumed", config)
        except ModelGone:
            committed = RunDirectory.open(tmp_path / "resumed" / whole.path.name).learner_states()
            assert committed == {}
            monkeypatch.setenv("FAKE_AWAY", str(20 - 8 * (stops + 1)))
        else:
            break
    assert stops == 2
    assert told(resumed) == told(whole)


def test_a_refused_prompt_costs_one_episode_and_is_named(study, outcome, tmp_path):
    """Not the study: its iteration is committed, an event says what it lacks, and so does the outcome."""
    agents = [{"name": "a", "model": "tests.support.third_party:Refusing"}]
    made, shortfall = outcome(
        tmp_path, study(study="learn", **COINS, agents=agents, learning={"episodes": 8}, fail_at=50)
    )
    lost = [episode for episode in made.episodes() if episode.error is not None]
    assert 0 < len(lost) < 32
    assert {episode.error for episode in lost} == {"PromptRefused: the content filter refuses this prompt"}
    lines = [line for line in made.events() if isinstance(line, EventLine)]
    events = [line.event for line in lines if isinstance(line.event, EpisodesMissing)]
    assert sum(event.episodes for event in events) == len(lost)
    assert {event.of for event in events} == {8}
    assert (shortfall.missing, shortfall.learned_without) == (len(lost), len(lost))
    assert bool(shortfall)
    assert f"{len(lost)} of 64 episodes are missing ({len(lost)} by PromptRefused: " in shortfall.sentence
    size = made.episodes_file.stat().st_size
    again, same = outcome(tmp_path, made.config())
    assert again.episodes_file.stat().st_size == size  # learned without them: nothing can make them good
    assert same == shortfall
    assert "plays again" not in same.sentence


def test_an_iteration_that_lost_too_much_is_not_committed(study, run_in, tmp_path):
    agents = [{"name": "a", "model": "tests.support.third_party:Broken"}]
    config = study(study="learn", **COINS, agents=agents, learning={"episodes": 2, "iterations": 9}, fail_at=0.9)
    with pytest.raises(StudyStopped, match=r"a/Coin-v0/\d: 2 of the 2 episodes of one iteration were lost"):
        run_in(tmp_path, config)
    (path,) = tmp_path.iterdir()
    assert RunDirectory.open(path).learner_states() == {}


@pytest.mark.parametrize("keep", [None, True])
def test_the_gate_rebuilds_prompts_in_which_thoughts_stayed(study, run, keep):
    """Thoughts by a random policy in closed form; the proposals are its, too, drawn in the form asked for."""
    agent = {"name": "a", "model": "scripted:random", "reasoning": "react", "keep_thoughts": keep}
    learning = {"iterations": 2, "episodes": 6, "learner": "nppo", "choices": {"batch": 2}}
    changing = {"skills": {"embedder": "lexical", "max_age": 2}, "tasks": [{"environment": "Doors-v0-long"}]}
    made = run(study(study="learn", learning_runs=1, agents=[agent], learning=learning, **changing))
    verdicts = [line.event for line in made.events() if isinstance(line, EventLine) and line.event.kind == "verdict"]
    measured = [verdict.rebuilt for verdict in verdicts if verdict.rebuilt is not None]
    assert measured
    assert set(measured) == {1.0}
