"""What a study will cost: episodes exactly, the rest within reason."""

from __future__ import annotations

import pytest

from testbed.config.study import ConfigError
from testbed.studies.cost.forecast import count_episodes, forecast


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"skills": {"embedder": "lexical", "termination": "age", "selector": "model"}},
        {"agents": [{"name": "a", "model": "scripted:random", "reasoning": "cot"}]},
        {"tasks": [{"environment": "Mastermind-v0"}], "learning_runs": 1},
    ],
)
def test_the_forecast_is_near_the_truth(study, run, changes):
    config = study(**changes)
    cost = forecast(config)
    episodes = list(run(config).episodes())
    steps = [step for episode in episodes for step in episode.trajectory.steps]
    assert cost.episodes == len(episodes)
    assert cost.steps == pytest.approx(len(steps), rel=0.35)
    assert cost.calls == pytest.approx(sum(step.calls for step in steps), rel=0.45)
    # A scripted model's tokens are words and marks, the forecast's are four characters: the order must be right.
    assert 0.3 < cost.prompt_tokens / sum(step.prompt_tokens for step in steps) < 3


def test_a_study_that_only_learns_evaluates_nothing(study):
    learning, evaluation = count_episodes(study(study="learn"))
    assert (learning, evaluation) == (2 * 2 * 2 * 2 * 2, 0)


def test_a_game_that_cannot_be_played_is_said(study):
    with pytest.raises(ConfigError, match=r"Fragile-v0 failed in a trial game: .*; try `procmem check env`"):
        forecast(study(tasks=[{"environment": "tests.support.third_party:fragile"}]))
