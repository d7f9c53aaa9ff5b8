"""Inspect's own reader opens what was written of a run."""

from __future__ import annotations

import pytest

from testbed.records.run_directory import RunDirectory
from testbed.reports.export.inspect_logs import InspectLogs

log = pytest.importorskip("inspect_ai.log")


def test_every_episode_is_a_sample(run, study, one_agent, tmp_path):
    done = run(study(**one_agent))
    files = list(InspectLogs(RunDirectory.open(done.path), tmp_path / "logs").write())
    read = [log.read_eval_log(str(file)) for file in files]
    samples = {sample.id: (each, sample) for each in read for sample in each.samples}
    episodes = list(done.episodes())
    assert len(samples) == len(episodes) == sum(each.results.total_samples for each in read)
    for episode in episodes:
        where, sample = samples[episode.trial.id]
        assert (where.eval.task, where.eval.metadata["arm"]) == (episode.trial.task, episode.trial.arm)
        assert where.eval.model == "scripted:random"
        assert sample.scores["return"].value == episode.trajectory.total
        assert sample.metadata["env_seed"] == episode.trial.env_seed
        system, *turns = sample.messages
        assert system.text == episode.trajectory.rules
        assert [turn.text for turn in turns[::2]] == [step.observation for step in episode.trajectory.steps]
        assert [turn.text for turn in turns[1::2]] == [step.action for step in episode.trajectory.steps]
    evaluated = next(each for each in read if each.eval.metadata["arm"] == "none")
    (mean,) = [score.metrics["mean"].value for score in evaluated.results.scores if score.name == "return"]
    own = [episode.trajectory.total for episode in episodes if episode.trial.arm == "none"]
    assert mean == pytest.approx(sum(own) / len(own))


def test_a_lost_episode_is_a_sample_with_its_error(run, study, one_agent, tmp_path):
    done = run(study(**{**one_agent, "fail_at": 100, "tasks": [{"environment": "tests.support.third_party:fragile"}]}))
    read = [log.read_eval_log(str(file)) for file in InspectLogs(done, tmp_path).write()]
    errors = [sample.error.message for each in read for sample in each.samples if sample.error]
    assert errors
    assert set(errors) == {"RuntimeError: the coin rolled away"}
