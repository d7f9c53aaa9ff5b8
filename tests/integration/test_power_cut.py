"""A power cut at any moment, on a simulated disk: nothing committed is lost, and the same study ends the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from testbed.records.check.find import check_run
from testbed.records.lines import IterationCommit
from testbed.records.run_directory import RunDirectory
from tests.integration.test_resume import content
from tests.support.power_cut import LOSSES, Step, lose_power, recorded

CUTS = 24
"""Of some two hundred moments, each with three kinds of loss; all of them with `pytest -m slow`."""


@pytest.fixture(scope="module")
def config(study):
    return study(study="learn", learning_runs=1, tasks=[{"environment": "GuessTheNumber-v0"}])


@pytest.fixture(scope="module")
def whole(config, run_in, tmp_path_factory) -> tuple[RunDirectory, list[Step]]:
    """A run to its end, and every step of its writing; a mark wherever it had promised something more."""
    root = tmp_path_factory.mktemp("whole")
    with recorded(root) as steps, pytest.MonkeyPatch.context() as patch:
        create, commit = RunDirectory.create.__func__, RunDirectory._commit

        def created(cls, *args):
            run = create(cls, *args)
            steps.append(Step("mark", "begun"))
            return run

        def committed(self, lines):
            commit(self, lines)
            steps.append(Step("mark", "committed"))

        patch.setattr(RunDirectory, "create", classmethod(created))
        patch.setattr(RunDirectory, "_commit", committed)
        run = run_in(root / "runs", config)
    return run, steps


def cut(whole: tuple[RunDirectory, list[Step]], config, run_in, out: Path, moment: int, loss) -> None:
    run, steps = whole
    lose_power(steps[:moment], loss, out)
    path = out / "runs" / run.path.name
    promised = [step.place for step in steps[:moment] if step.kind == "mark"]
    if "begun" in promised:
        after = RunDirectory.open(path)
        assert after.study() == run.study()
        commits = sum(isinstance(line, IterationCommit) for line in after.events())
        assert commits >= promised.count("committed")
        played = {episode.trial.id for episode in after.episodes()}
        for state in after.learner_states().values():
            assert after.pool(state.state.pool.digest) == state.state.pool
        owed = [episode for episode in run.episodes() if episode.trial.id not in played]
        assert all(episode.trial.iteration >= committed_iterations(after, episode) for episode in owed)
    finished = run_in(out / "runs", config)
    assert content(finished) == content(run)
    assert [fault for fault in check_run(finished.path) if fault.severity == "error"] == []


def committed_iterations(run: RunDirectory, episode) -> int:
    trial = episode.trial
    state = run.learner_states().get(f"{trial.agent}/{trial.task}/{trial.learning_run}")
    return state.committed if state else 0


def test_the_power_goes_at_any_moment(whole, config, run_in, tmp_path):
    rng = random.Random(8)
    for number in range(CUTS):
        moment = rng.randrange(len(whole[1]) + 1)
        cut(whole, config, run_in, tmp_path / str(number), moment, LOSSES[number % 3])


def test_the_power_goes_when_all_is_done(whole, config, run_in, tmp_path):
    """What has printed its result has lost nothing."""
    run, steps = whole
    lose_power(steps, "everything", tmp_path)
    assert content(RunDirectory.open(tmp_path / "runs" / run.path.name)) == content(run)


@pytest.mark.slow
def test_the_power_goes_at_every_moment(whole, config, run_in, tmp_path):
    for moment in range(len(whole[1]) + 1):
        for loss in LOSSES:
            cut(whole, config, run_in, tmp_path / f"{moment}-{loss}", moment, loss)
