"""A study whose gate races: duels are paid out of the learning budget, and are the same however the study is run."""

from __future__ import annotations

import json
import shutil

import pytest

from analysis.statistics.sequential.e_processes import SymmetricTest
from analysis.statistics.sequential.evidence import SequentialProcess
from testbed.config.study import ConfigError
from testbed.records import append_only, run_directory
from testbed.records.check.find import check_run
from testbed.records.lines import EventLine
from testbed.records.run_directory import RunDirectory
from testbed.reports.audit import check_records
from tests.support.history import content
from transfer.memory.events.evolution import Duelled, Judged

RACING = {
    "study": "matrix",
    "learning_runs": 1,
    "agents": [{"name": "a", "model": "scripted:suggestible"}],
    "tasks": [{"environment": "Doors-v0"}, {"environment": "KuhnPoker-v0"}],
    "arms": ["none", "self"],
    "learning": {
        "learner": "nppo",
        "iterations": 6,
        "episodes": 10,
        "pool_size": 6,
        "choices": {"gate": "race", "batch": 2, "duel_pairs": 6, "duel_look": 3},
    },
}


@pytest.fixture(scope="module")
def config(study):
    return study(**RACING)


@pytest.fixture(scope="module")
def history(config, run_in, tmp_path_factory):
    """The finished run, and every append that led to it, in order: (file, text)."""
    written: list[tuple[str, str]] = []
    append = append_only.append_text

    def recording(file, text):
        written.append((file.name, text))
        return append(file, text)

    run_directory.append_text = recording
    try:
        return run_in(tmp_path_factory.mktemp("made"), config), written
    finally:
        run_directory.append_text = append


@pytest.fixture(scope="module")
def made(history):
    return history[0]


def duels(run):
    return [line.event for line in run.events() if isinstance(line, EventLine) and isinstance(line.event, Duelled)]


def test_duels_are_charged_to_the_learning_budget(made):
    found = duels(made)
    assert len(found) > 4
    learned = [episode for episode in made.episodes() if episode.trial.phase == "learn"]
    assert len(learned) == 2 * 60
    for committed in made.learner_states().values():
        asked = [each for each in learned if each.trial.task == committed.learner.split("/")[1]]
        assert committed.state.extra == 60 - sum(each.trial.episode < 10 for each in asked) > 0


def test_a_duel_says_all_that_it_was_decided_by(made):
    totals = {one.id: one for episode in made.episodes() for one in episode.seats.values()}
    for duel in duels(made):
        sides = [totals[id] for id in duel.trajectories]
        assert [one.env_seed for one in sides] == [seed for seed in duel.env_seeds for _ in range(2)]
        assert [one.id.rpartition("/")[2] for one in sides[::2]] == [one.id.rpartition("/")[2] for one in sides[1::2]]
        assert [b.total - a.total for a, b in zip(sides[::2], sides[1::2], strict=True)] == list(duel.differences)
        process = SequentialProcess(SymmetricTest())
        e_values = [1.0, *(process.add(each).e_greater for each in duel.differences)]
        assert duel.e_value == e_values[-1]
        assert (duel.outcome == "accepted") == (duel.e_value >= 20)
        assert max(e_values[:-1], default=1.0) < 20
    judged = [line.event for line in made.events() if isinstance(line, EventLine) and isinstance(line.event, Judged)]
    assert {each.skill for each in judged} >= {duel.skill for duel in duels(made)}


def test_the_games_of_a_duel_share_their_luck(made):
    """Both sides draw from the same stream: where two skills lead to the same odds, they make the same moves."""
    trials = {episode.trial.id: episode.trial for episode in made.episodes()}
    for duel in duels(made):
        played = [trials[id.partition("/")[0]] for id in duel.trajectories]
        assert all(trial.paired for trial in played)
        assert [home.luck for home in played[::2]] == [away.luck for away in played[1::2]]
        assert [home.seat for home in played[::2]] == [away.seat for away in played[1::2]]
        assert len({trial.luck for trial in played}) == len(duel.env_seeds)
    assert not any(trial.paired or trial.luck != trial.id for trial in trials.values() if trial.phase == "evaluate")
    assert all(trial.env_seed % 2 == 0 for trial in trials.values() if trial.phase == "learn")


def test_each_duel_is_between_a_skill_and_its_child_alone(made):
    pools = {episode.trial.id: episode.trial.pool for episode in made.episodes()}
    for duel in duels(made):
        homes, aways = ([made.pool(pools[id.partition("/")[0]]).ids for id in duel.trajectories[n::2]] for n in (0, 1))
        assert set(homes) <= {duel.parents}
        assert set(aways) <= {(duel.skill,)}


def test_concurrency_changes_nothing(config, made, run_in, tmp_path):
    one = run_in(tmp_path, config.model_copy(update={"concurrency": 1}))
    assert content(one) == content(made)


@pytest.mark.parametrize("share", [0.2, 0.45, 0.7, 0.9])
def test_a_resumed_run_takes_the_same_decisions(config, history, run_in, tmp_path, share):
    """What a death leaves, in the middle of an iteration with duels, and the same study again."""
    made, written = history
    shutil.copytree(made.path, tmp_path / made.path.name)
    broken = RunDirectory.open(tmp_path / made.path.name)
    for file in (broken.episodes_file, broken.events_file):
        file.write_text("".join(text for name, text in written[: int(share * len(written))] if name == file.name))
    assert content(run_in(tmp_path, config)) == content(made)


def test_the_check_finds_no_fault_and_the_audit_fights_the_duels_again(config, made, tmp_path):
    assert check_run(made.path) == []
    assert check_records(made, config)[0] == []
    for old, new, complaint in (
        ('"e_value":', '"e_value":1', "its e-value is"),
        ('"outcome":"undecided","why":"duel', '"outcome":"rejected","why":"duel', "do not give the outcome"),
        ('"differences":[0.0,', '"differences":[0.125,', "not those of the games"),
    ):
        out = tmp_path / complaint / made.path.name
        shutil.copytree(made.path, out)
        changed = RunDirectory.open(out)
        text = changed.events_file.read_text()
        assert old in text
        changed.events_file.write_text(text.replace(old, new))
        assert [each for each in check_records(changed, config)[0] if complaint in each]


def test_events_of_duels_are_plain_json(made):
    lines = [json.loads(line) for line in made.events_file.read_text().splitlines()]
    found = [line for line in lines if line.get("kind") == "duel"]
    assert found
    assert {"env_seeds", "differences", "e_value", "outcome", "episodes", "tokens"} <= found[0]["payload"].keys()
    assert all(line["payload"]["tokens"] > 0 for line in found if line["payload"]["episodes"])


def test_a_population_plays_no_duels_and_says_so(study, run_in, tmp_path):
    learning = {"learner": "nppo", "preset": "recommended"}
    with pytest.raises(ConfigError, match='members of a population play no duels \\("race"\\); take "ppo"'):
        run_in(tmp_path, study(study="population", learning=learning))
