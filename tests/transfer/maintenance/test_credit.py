from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_evolver import skill, trajectory
from tests.support.reference import maintenance as reference
from transfer.maintenance.credit import MovingAverage, PerCall, RunningMean, StepMean, observe
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState

OLD = skill()
returns = st.lists(st.floats(-10, 10), min_size=1, max_size=12)


@given(returns, st.integers(0, 12))
def test_running_mean_is_the_mean_however_it_is_cut(values, cut):
    rule = RunningMean()
    whole = rule.update(None, values)
    head, tail = values[:cut], values[cut:]
    first = rule.update(None, head) if head else None
    parts = rule.update(first, tail) if tail else first
    assert parts.n == whole.n == len(values)
    assert parts.mean == pytest.approx(math.fsum(values) / len(values))


def test_moving_average_starts_at_the_first_batch():
    rule = MovingAverage(0.1)
    first = rule.update(None, [1.0, 3.0])
    assert first.mean == 2.0
    assert rule.update(first, [12.0]).mean == pytest.approx(3.0)


def test_terminal_return_is_shared_over_the_steps():
    played = trajectory("t", [("[a]", 0.0), ("[a]", 0.0), ("[b]", 0.9)], OLD)
    assert StepMean()(played, 0.3)[OLD.id].gain == pytest.approx(0.2)


def test_pay_along_the_way_goes_to_the_steps_that_earned_it():
    first, second = skill("first", "1. One."), skill("second", "1. Two.")
    left = trajectory("t", [("[a]", 1.0), ("[a]", 1.0)], first)
    right = trajectory("t", [("[b]", 0.0), ("[b]", 0.0)], second)
    played = left.model_copy(update={"steps": (*left.steps, *right.steps)})
    gains = StepMean()(played, 2.0)
    assert gains[first.id].gain == pytest.approx(1.0 - 0.5)
    assert gains[second.id].gain == pytest.approx(0.0 - 0.5)
    assert gains[first.id].calls == gains[second.id].calls == 1


def test_per_call_shares_the_advantage_among_the_calls():
    played = trajectory("t", [("[a]", 0.0), ("[a]", 1.0)], OLD)
    twice = played.model_copy(update={"steps": tuple(s.model_copy(update={"started": True}) for s in played.steps)})
    score = PerCall()(twice, 0.5)[OLD.id]
    assert (score.gain, score.n) == (pytest.approx(0.5), 2)


@given(st.permutations(range(6)))
def test_credit_does_not_depend_on_the_order_of_episodes(order):
    played = [trajectory(f"t{i}", [("[a]", i / 10)], OLD) for i in range(6)]
    state = LearnerState.begin(SkillPool.of([OLD]))
    one, _ = observe(state, played, StepMean(), RunningMean())
    other, _ = observe(state, [played[i] for i in order], StepMean(), RunningMean())
    assert other.score(OLD.id).value == pytest.approx(one.score(OLD.id).value)
    assert other.baselines["T"].mean == pytest.approx(one.baselines["T"].mean)


def test_one_episode_is_no_gain_over_its_own_baseline():
    state, _ = observe(
        LearnerState.begin(SkillPool.of([OLD])), [trajectory("t", [("[a]", 1.0)], OLD)], StepMean(), RunningMean()
    )
    assert state.score(OLD.id).value == 0.0
    assert state.score(OLD.id).n == 1


def test_unusable_trajectories_are_skipped_and_said_so():
    nan = trajectory("t1", [("[a]", math.nan)], OLD)
    empty = trajectory("t2", [], OLD)
    state, events = observe(LearnerState.begin(SkillPool.of([OLD])), [nan, empty], StepMean(), RunningMean())
    assert state.buffer == {}
    assert state.baselines == {}
    assert [(event.kind, event.trajectories) for event in events] == [("skipped", ("t1",)), ("skipped", ("t2",))]
    assert [event.payload for event in events] == [{"why": "no steps or a non-finite reward"}] * 2


def test_skills_that_have_left_the_pool_are_not_scored():
    state, _ = observe(
        LearnerState.begin(SkillPool.of([skill("other")])),
        [trajectory("t", [("[a]", 1.0)], OLD)],
        StepMean(),
        RunningMean(),
    )
    assert state.scores == {}


@st.composite
def played_in_stretches(draw):
    """An episode under two skills and none, some of whose stretches follow each other."""
    first, second = skill("first", "1. One."), skill("second", "1. Two.")
    paid = draw(st.lists(st.sampled_from([0.0, 0.0, 0.4, -1.0]), min_size=1, max_size=6))
    whole = trajectory("t", [("[a]", value) for value in paid], first)
    steps = []
    for step in whole.steps:
        active = draw(st.sampled_from([first.id, second.id, None]))
        started = active is not None and draw(st.booleans())
        steps.append(step.model_copy(update={"skill": active, "started": started}))
    return whole.model_copy(update={"steps": tuple(steps)})


@pytest.mark.parametrize(("kind", "rule"), [("step-mean", StepMean()), ("per-call", PerCall())])
@given(played=played_in_stretches(), baseline=st.sampled_from([0.0, 0.3, -2.0]))
def test_credit_equals_the_second_implementation(kind, rule, played, baseline):
    found = {id: (score.gain, score.n, score.calls, score.steps) for id, score in rule(played, baseline).items()}
    expected = reference.credit(kind, played, baseline)
    assert found.keys() == expected.keys()
    for id, score in found.items():
        tally = expected[id]
        assert score == pytest.approx((tally.gain, tally.n, tally.calls, tally.steps))


@pytest.mark.parametrize(
    ("kind", "alpha", "rule"),
    [
        ("running-mean", 0.0, RunningMean()),
        ("moving-average", 0.1, MovingAverage()),
        ("moving-average", 0.6, MovingAverage(0.6)),
    ],
)
@given(batches=st.lists(returns, min_size=1, max_size=4))
def test_baselines_equal_the_second_implementation(kind, alpha, rule, batches):
    known, expected = None, None
    for batch in batches:
        known, expected = rule.update(known, batch), reference.follow(kind, alpha, expected, batch)
        assert (known.mean, known.n) == pytest.approx(expected, abs=1e-9)


def test_scores_add_up_over_iterations_and_tasks_keep_their_own_baselines():
    state = LearnerState.begin(SkillPool.of([OLD]))
    for returned in (1.0, 0.0):
        played = [
            trajectory("t", [("[a]", 0.0), ("[b]", returned)], OLD),
            trajectory("u", [("[a]", 5.0)], OLD, task="U"),
        ]
        state, events = observe(state, played, StepMean(), RunningMean())
    assert {task: (each.mean, each.n) for task, each in state.baselines.items()} == {"T": (0.5, 2), "U": (5.0, 2)}
    score = state.score(OLD.id)
    assert (score.gain, score.n, score.calls, score.steps) == (pytest.approx(-0.25), 4, 4, 6)
    assert state.buffer == {OLD.id: ("t", "u", "t", "u")}
    assert [event.payload for event in events[:2]] == [
        {"task": "T", "mean": 0.5, "n": 2},
        {"task": "U", "mean": 5.0, "n": 2},
    ]
    assert events[2].skill == OLD.id
    assert events[2].payload == score.model_dump() | {"value": score.value}
