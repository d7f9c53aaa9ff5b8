"""The study `matrix`: every cell of every arm, on the same environment seeds, with pools named by their digests."""

from __future__ import annotations

from collections import defaultdict

import pytest

from testbed.play.course.failures import PATIENCE
from testbed.records.trial import Episode
from testbed.reports.write import write_report
from testbed.studies.cost.forecast import count_episodes


@pytest.fixture(scope="module")
def finished(study, run_in, tmp_path_factory):
    config = study()
    return config, run_in(tmp_path_factory.mktemp("runs"), config)


def evaluated(run):
    return [episode for episode in run.episodes() if episode.trial.phase == "evaluate"]


def test_every_arm_has_every_cell(finished):
    config, run = finished
    cells = defaultdict(set)
    for trial in (episode.trial for episode in evaluated(run)):
        cells[trial.arm].add((trial.agent, trial.task, trial.source_agent, trial.source_task, trial.learning_run))
    assert set(cells) == set(config.arms)
    assert {arm: len(found) for arm, found in cells.items()} == {
        "none": 8, "seed": 8, "self": 8, "random": 8, "shuffled": 8, "transfer": 24,
    }  # fmt: skip
    assert all((a, t) == (sa, st) for arm in ("self", "random", "shuffled") for a, t, sa, st, _ in cells[arm])
    assert all((a, t) != (sa, st) for a, t, sa, st, _ in cells["transfer"])
    assert all(source is None for arm in ("none", "seed") for _, _, source, _, _ in cells[arm])


def test_the_forecast_counts_exactly(finished):
    config, run = finished
    assert sum(count_episodes(config)) == len(list(run.episodes()))
    assert count_episodes(config)[1] == len(evaluated(run))


def test_the_same_seeds_in_every_arm(finished):
    _, run = finished
    seeds = defaultdict(dict)
    for trial in (episode.trial for episode in evaluated(run)):
        cell = (trial.arm, trial.agent, trial.source_agent, trial.source_task)
        seeds[trial.task, trial.learning_run].setdefault(cell, []).append((trial.episode, trial.env_seed, trial.seat))
    for cells in seeds.values():
        assert len({tuple(sorted(found)) for found in cells.values()}) == 1
    assert len({tuple(sorted(cells.popitem()[1])) for cells in seeds.values()}) == len(seeds)


def test_learning_never_sees_an_evaluation_seed(finished):
    _, run = finished
    by_phase = defaultdict(set)
    for episode in run.episodes():
        by_phase[episode.trial.phase].add(episode.trial.env_seed)
    assert not by_phase["learn"] & by_phase["evaluate"]


def test_a_cell_names_its_pool_by_digest(finished):
    _, run = finished
    final = {key: committed.state.pool for key, committed in run.learner_states().items()}
    stored = run.pools()
    assert all(pool.digest == digest for digest, pool in stored.items())
    for trial in (episode.trial for episode in evaluated(run)):
        if trial.arm == "none":
            assert trial.pool is None
            continue
        assert trial.pool in stored
        if trial.arm in ("self", "random", "transfer"):
            assert trial.pool == final[f"{trial.source_agent}/{trial.source_task}/{trial.learning_run}"].digest
        if trial.arm == "shuffled":
            own = final[f"{trial.agent}/{trial.task}/{trial.learning_run}"]
            assert {skill.name for skill in stored[trial.pool].each()} == {skill.name for skill in own.each()}
            assert trial.pool != own.digest


def test_evaluation_is_greedy_and_the_arms_choose_as_they_say(finished):
    config, run = finished
    for episode in evaluated(run):
        assert episode.trial.epsilon == 0
        assert episode.trial.selector == {"none": "none", "random": "random"}.get(
            episode.trial.arm, config.skills.selector
        )
        steps = episode.trajectory.steps
        assert not any(step.explored for step in steps)
        if episode.trial.arm == "none":
            assert not any(step.units for step in steps)
            assert all(step.memory_tokens == 0 for step in steps)
        else:
            assert steps[0].started
            assert all(step.memory_tokens > 0 for step in steps if step.units)


def test_learning_explores(finished):
    _, run = finished
    learned = [episode for episode in run.episodes() if episode.trial.phase == "learn"]
    assert any(step.explored for episode in learned for step in episode.trajectory.steps)


def test_an_arm_can_be_left_out(study, run, one_agent):
    made = run(study(**one_agent, arms=["none", "self"]))
    assert {episode.trial.arm for episode in evaluated(made)} == {"none", "self"}


def test_a_single_agent_on_a_single_task_has_no_transfer(study, run, one_agent):
    config = study(**one_agent)
    made = run(config)
    assert {episode.trial.arm for episode in evaluated(made)} == set(config.arms) - {"transfer"}
    assert sum(count_episodes(config)) == len(list(made.episodes()))


def test_retrieved_episodes_stand_beside_the_skills_learned_from_them(study, run, one_agent):
    config = study(**one_agent, arms=["none", "self", "rag"])
    made = run(config)
    assert sum(count_episodes(config)) == len(list(made.episodes()))
    played = [episode for episode in evaluated(made) if episode.trial.arm == "rag"]
    (digest,) = {episode.trial.pool for episode in played}
    assert len(made.pool(digest)) == config.learning.iterations * config.learning.episodes
    assert all("An earlier game" in skill.name for skill in made.pool(digest).each())
    assert all(step.memory_tokens > 0 for episode in played for step in episode.trajectory.steps if step.units)
    found = write_report(made.path, resamples=200)
    assert "retrieved episodes − no memory" in {each.subject for each in found.findings}
    assert set(found.tokens["arm"]) == {"self", "rag"}


def test_what_failed_before_is_played_first(study, run, one_agent, monkeypatch):
    """The last cell's episodes fail and another is torn away: resumed, the failed ones come before it."""
    config = study(**one_agent, arms=["none", "seed"], learning={"iterations": 0})
    made = run(config)
    lines = made.episodes_file.read_text().splitlines(keepends=True)
    episodes = [Episode.model_validate_json(line) for line in lines]
    failed = [each.model_copy(update={"error": "Outage: before", "seats": {}}) for each in episodes]
    kept = "".join(each.model_dump_json() + "\n" for each in failed if each.trial.arm == "seed")
    made.episodes_file.write_text(kept)
    again = run(config)
    played = [episode.trial.arm for _, episode in again.stored() if episode.error is None]
    assert played == ["seed", "seed", "none", "none"]


def test_what_is_refused_every_time_stops_no_resumption(study, outcome, one_agent, tmp_path):
    """More than the 8 in a row that stop a study, and they come first."""
    agents = [{"name": "a", "model": "tests.support.third_party:Refusing"}]
    changes = {**one_agent, "agents": agents, "tasks": [{"environment": "tests.support.third_party:COIN"}]}
    config = study(**changes, arms=["none", "seed"], learning={"iterations": 0}, evaluation_episodes=40)
    _, first = outcome(tmp_path, config)
    assert first.missing > PATIENCE
    again, second = outcome(tmp_path, config)
    assert second == first
    assert len(list(again.stored())) == 80 + first.missing


def test_a_report_where_nothing_was_answered_says_so_and_why(study, run, one_agent):
    agents = [{"name": "a", "model": "tests.support.third_party:Broken"}]
    changes = {**one_agent, "agents": agents, "evaluation_episodes": 1, "fail_at": 50}
    made = run(study(**changes, arms=["none", "seed"], learning={"iterations": 0}))
    found = write_report(made.path, made.path / "report", resamples=200)
    assert found.cells["n"].eq(0).all()
    for arm in ("none", "seed"):
        assert (
            f"No episode of the arm “{arm}” was answered (most often, 1 times: ZeroDivisionError: a bug of the model); "
            "nothing is said about it."
        ) in found.warnings
    assert (made.path / "report" / "report.html").exists()


def test_where_nothing_was_learned_nothing_is_retrieved_and_nothing_is_missing(study, outcome, one_agent, tmp_path):
    _, shortfall = outcome(tmp_path, study(**one_agent, arms=["none", "rag"], learning={"iterations": 0}))
    assert (bool(shortfall), shortfall.sentence) == (False, "All 2 episodes are there.")
