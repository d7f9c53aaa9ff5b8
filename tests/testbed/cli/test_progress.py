"""The bar of a run: what is done, who thinks, what failed, and how long it may take."""

from __future__ import annotations

import io
import logging

import pytest

from agents.models.adapters.metered import Account, Charge
from testbed.cli import progress
from testbed.cli.progress import EpisodeProgress
from testbed.cli.terminal import Terminal
from testbed.play.course import pace
from testbed.records.trial import Episode, Trial
from transfer.memory.experience import Trajectory


def episode(number: int, *, error: str | None = None) -> Episode:
    trial = Trial(phase="learn", arm="learn", agent="a", task="t", learning_run=0, episode=number, env_seed=number)
    played = Trajectory(id="x", agent="a", task="t", env_seed=1, rules="", steps=(), total=0.5)
    return Episode(trial=trial, seats={} if error else {"player_0": played}, focal="player_0", error=error)


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(pace, "time", clock)
    return clock


def shown(bar: EpisodeProgress) -> tuple[str, str, float]:
    task = bar._bar.tasks[0]
    return task.description.strip(), task.fields["left"], task.completed


def test_the_bar_moves_with_episodes_and_learners_and_tells_the_time_left(clock):
    out = io.StringIO()
    with EpisodeProgress(Terminal(file=out, width=120), learning=8, evaluation=8, steps=4) as bar:
        bar.advance(episode(0))
        bar.advance(episode(1))  # two of a step's episodes were there before, and their learner's step with them
        bar.begins()
        assert shown(bar) == ("learn    · mean return 0.50", "?", 3.0)
        bar.starts(episode(2).trial)
        clock.now += 10
        bar.advance(episode(2))
        assert shown(bar)[1:] == ("≥ 0:02:40", 4.0)  # 16 of 20 parts to come, 10 s each as far as is known
        bar.thinks("a")
        assert shown(bar)[0] == "learn    · mean return 0.50 · 1 thinking"
        clock.now += 30
        bar.thought("a")
        assert shown(bar)[1:] == ("≥ 0:04:30", 5.0)  # 5 of 10 s, 2 of 30 s, 8 evaluations as those are in the mean
        bar.thinks(pace.EXCHANGE)
        bar.thought(pace.EXCHANGE)
        assert shown(bar)[2] == 5.0
        logging.getLogger("agents.somewhere").warning("a server is slow \x1b[31m")
    assert "a server is slow \\x1b[31m" in out.getvalue()


def test_the_bar_moves_while_a_learner_thinks(clock):
    """By its models' answers, by likelihoods, and by the time that a step usually takes."""
    with EpisodeProgress(Terminal(file=io.StringIO()), learning=8, evaluation=0, steps=2) as bar:
        bar.begins()
        bar.thinks("a")
        clock.now += 20
        bar.thought("a")
        bar.thinks("a")
        answer = Account(calls=1, prompt_tokens=100, completion_tokens=20)
        for _ in range(3):
            clock.now += 2
            bar.charged(Charge("a", "m", "learn", answer))
        assert shown(bar) == ("starting · 1 thinking (3 answers)", "≥ 0:02:54", 1.3)
        bar.scored(512, 2048)
        clock.now += 1
        bar.scored(1024, 2048)
        assert shown(bar)[0].endswith("1 thinking (3 answers) · likelihoods 50%")
        bar.thought("a")
        assert "thinking" not in shown(bar)[0]


def test_what_failed_is_counted_until_it_is_made_good(clock):
    with EpisodeProgress(Terminal(file=io.StringIO()), learning=8, evaluation=0, steps=0) as bar:
        for _ in range(3):
            bar.advance(episode(0, error="Outage: gone"))
        bar.advance(episode(1, error="Refused: no"))
        assert (bar.failed, bar.finished, shown(bar)[0]) == (2, 0, "learn    · 2 failed")
        bar.advance(episode(0))
        assert (bar.failed, bar.finished) == (1, 1)
