"""The study `learn`: iterations one after the other, each committed whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.config.study import LearningConfig
from testbed.play.seeds import environment_seed, stream
from testbed.records.lines import Recorded
from testbed.studies.learn import epsilon


def test_every_source_learns_and_commits_each_iteration(study, run):
    config = study(study="learn")
    made = run(config)
    states = made.learner_states()
    assert set(states) == {f"{a}/{t}/{n}" for a in "ab" for t in ("GuessTheNumber-v0", "KuhnPoker-v0") for n in (0, 1)}
    for committed in states.values():
        assert committed.committed == committed.state.iteration == 2
        assert committed.tokens.keys() == set(committed.state.pool.ids)
        assert made.pool(committed.state.pool.digest) == committed.state.pool
    kinds = {event.kind for event in made.events() if isinstance(event, Recorded)}
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
