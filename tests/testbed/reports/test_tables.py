"""A run's records as tables: nothing lost, nothing invented."""

from __future__ import annotations

import math

import pytest

from testbed.records.append_only import StoreError
from testbed.reports.rows.transcript import transcript
from testbed.reports.tables import load_run


@pytest.fixture(scope="module")
def finished(study, run_in, tmp_path_factory):
    """Half of the coin's games fail."""
    tasks = [{"environment": "GuessTheNumber-v0"}, {"environment": "tests.support.third_party:fragile"}]
    run = run_in(
        tmp_path_factory.mktemp("runs"), study(tasks=tasks, learning_runs=1, evaluation_episodes=4, fail_at=100)
    )
    return run, load_run(run.path)


def test_one_row_an_evaluated_episode(finished):
    run, tables = finished
    evaluated = [episode for episode in run.episodes() if episode.trial.phase == "evaluate"]
    assert len(tables.episodes) == len(evaluated)
    good = [episode.trajectory for episode in evaluated if episode.error is None]
    assert tables.episodes["return"].sum() == pytest.approx(math.fsum(each.total for each in good))
    assert tables.episodes["steps"].sum() == sum(len(each.steps) for each in good)
    assert tables.episodes["calls"].sum() == sum(step.calls for each in good for step in each.steps)
    assert len(tables.learning) == len(list(run.episodes())) - len(evaluated)


def test_a_failed_episode_is_missing_and_never_zero(finished):
    _, tables = finished
    failed = tables.episodes[tables.episodes["error"].notna()]
    assert 0 < len(failed) < len(tables.episodes)
    assert failed["return"].isna().all()
    assert failed["steps"].isna().all()
    assert set(failed["task"]) == {"Fragile-v0"}
    assert failed["error"].str.contains("rolled away").all()


def test_pools_and_invocations_speak_of_the_same_skills(finished):
    _, tables = finished
    own = tables.invocations[tables.invocations["arm"].isin(["self", "transfer", "random"])]
    assert set(own["unit"]) <= set(tables.pools["unit"])
    assert (
        own["calls"].sum()
        == tables.episodes.loc[tables.episodes["arm"].isin(["self", "transfer", "random"]), "skill_calls"].sum()
    )
    assert set(tables.pools["origin"]) == {"seed"}
    assert (tables.pools["tokens"] > 0).all()
    digests = tables.episodes.loc[tables.episodes["arm"] == "self", "pool"]
    assert set(digests) <= set(tables.pools["pool"])


def test_events_carry_the_lineage(finished):
    _, tables = finished
    assert {"seeded", "baseline", "scored"} <= set(tables.events["kind"])
    assert tables.events["order"].is_monotonic_increasing


def test_a_transcript_reads_like_the_game(finished):
    run, _ = finished
    episode = next(e for e in run.episodes() if e.trial.arm == "self" and e.error is None)
    lines = transcript(episode).lines
    assert lines[0] == ("rules", episode.trajectory.rules)
    assert [what for who, what in lines if who == "action"] == [step.action for step in episode.trajectory.steps]
    assert ("skill started", episode.trajectory.steps[0].skill) in lines
    assert lines[-1][0] == "end"
    failed = next(e for e in run.episodes() if e.error is not None)
    assert transcript(failed).lines == (("error", failed.error),)


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(StoreError, match="not a run directory"):
        load_run(tmp_path)
