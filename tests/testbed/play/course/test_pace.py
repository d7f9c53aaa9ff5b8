"""The time left: right where work takes what it took, at any concurrency, with steps that take long."""

from __future__ import annotations

import pytest

from testbed.play.course import pace as module
from testbed.play.course.pace import Pace, kind_of


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def play(pace: Pace, clock: Clock, kind, seconds: float, at_once: int, times: int) -> None:
    for group in range(times):
        for index in range(at_once):
            pace.starts(kind, (kind, group, index))
        clock.now += seconds
        for index in range(at_once):
            pace.ends(kind, (kind, group, index))


def test_work_to_come_over_what_is_done_at_once(clock):
    pace = Pace(learning=40, evaluation=80, steps=4)
    pace.begins()
    assert pace.left is None
    play(pace, clock, "learn", 10, at_once=4, times=5)
    assert pace.left.at_least  # no step and no evaluation has been seen
    play(pace, clock, "step", 60, at_once=4, times=1)
    assert pace.done["step"] == 4
    assert pace.left.seconds == pytest.approx(
        (20 * 10 + 80 * (10 + 60) / 2) / 4
    )  # evaluations taken for as long as the rest
    assert pace.left.at_least
    play(pace, clock, "learn", 10, at_once=4, times=5)
    play(pace, clock, "evaluate", 5, at_once=4, times=10)
    assert pace.left == (pytest.approx(40 * 5 / 4), False)


def test_what_is_under_way_counts_by_the_time_it_has_taken(clock):
    pace = Pace(learning=3, evaluation=0, steps=0)
    pace.begins()
    play(pace, clock, "learn", 10, at_once=1, times=2)
    pace.starts("learn", "last")
    clock.now += 6
    assert pace.left.seconds == pytest.approx(4)
    assert pace.completed == pytest.approx(2.6)
    clock.now += 60  # longer than any before: nothing says how long still
    assert pace.left.seconds == 0
    assert pace.completed == pytest.approx(2.9)


def test_a_step_that_has_not_ended_yet_is_as_long_as_it_has_taken(clock):
    pace = Pace(learning=8, evaluation=0, steps=2)
    pace.begins()
    play(pace, clock, "learn", 1, at_once=1, times=4)
    pace.starts("step", "first")
    clock.now += 100
    assert pace.left.seconds == pytest.approx((4 * 1 + 100) * 104 / 104)
    assert pace.left.at_least


def test_what_was_there_before_is_done_but_not_measured(clock):
    pace = Pace(learning=8, evaluation=8, steps=4)
    for index in range(5):
        pace.ends("learn", index)
    pace.begins()
    assert (pace.done["step"], pace.left) == (2, None)
    pace.starts("learn", "again")
    clock.now += 3
    pace.ends("learn", "again", good=False)
    assert (pace.done["learn"], pace.left) == (5, None)


def test_a_league_is_played_to_evaluate(clock):
    assert [kind_of(phase) for phase in ("learn", "evaluate", "league")] == ["learn", "evaluate", "evaluate"]
