"""`[[memories]]`: every memory gets the pool's cells, seeds and budget, and records that resume, check and report."""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import pytest

from testbed.config.reading.load import parse_study
from testbed.config.study import ConfigError
from testbed.records.check.find import check_run
from testbed.records.run_directory import RunDirectory
from testbed.reports.audit import audit_run
from testbed.reports.tables import read_run
from testbed.reports.write import write_report
from testbed.studies.cost.forecast import count_episodes
from tests.support.studies import SMALL

ARMS = ["none", "self", "transfer", "random", "shuffled", "matched"]
MEMORIES = [
    {"name": "own", "learner": "rag", "choices": {"keep": "all", "k": 1}},
    {"name": "given_to_all", "learner": "rag", "experience": "shared", "choices": {"recall": "step", "keep": "all"}},
    {"name": "second_pool", "learner": "fixed"},
    {"name": "of_both", "learner": "rag", "choices": {"keep": "all"}, "mixed": "all"},
]


@pytest.fixture(scope="module")
def finished(study, run_in, tmp_path_factory):
    config = study(arms=ARMS, budget=30, memories=MEMORIES)
    return config, run_in(tmp_path_factory.mktemp("runs"), config)


def test_every_memory_has_the_pools_cells_on_the_pools_seeds(finished):
    config, run = finished
    games = defaultdict(Counter)
    for trial in (episode.trial for episode in run.episodes() if episode.trial.phase == "evaluate"):
        place = (trial.arm, trial.source_agent, trial.source_task, trial.agent, trial.task, trial.learning_run)
        games[trial.memory][*place, trial.env_seed, trial.seat] += 1
    pool = Counter({place: count for place, count in games.pop(None).items() if place[0] not in ("none", "seed")})
    assert set(games) == {memory.name for memory in config.memories}
    assert all(cells == pool for cells in games.values())


def test_every_memory_learns_from_as_many_episodes_of_the_same_games(finished):
    config, run = finished
    games = defaultdict(Counter)
    for trial in (episode.trial for episode in run.episodes() if episode.trial.phase == "learn"):
        whose = "shared" if trial.pool is None else trial.memory
        learner = trial.source_agent or trial.agent
        games[whose][learner, trial.task, trial.learning_run, trial.iteration, trial.env_seed] += 1
    assert set(games) == {None, "own", "second_pool", "of_both", "shared"}
    assert len({tuple(sorted(met.items())) for met in games.values()}) == 1
    assert sum(games[None].values()) == 8 * config.learning.iterations * config.learning.episodes


def test_a_mixed_memory_is_made_of_everybodys_traces(finished):
    _, run = finished
    played = {e.trajectory.id: e.trial for e in run.episodes() if e.trial.memory == "of_both" and not e.error}
    for key, commit in run.memory_commits().items():
        if key.startswith("of_both:"):
            evidence = [played[id] for unit in run.memory(commit.memory).units for id in unit.trajectories]
            assert {trial.agent for trial in evidence} == {"a", "b"}
            assert {trial.source_agent for trial in evidence} == {key.removeprefix("of_both:")[0]}


def test_the_forecast_counts_memories(finished):
    config, run = finished
    assert sum(count_episodes(config)) == len(list(run.episodes()))


def test_a_finished_study_plays_nothing_again(finished, run_in):
    config, run = finished
    before = run.episodes_file.read_bytes(), run.events_file.read_bytes()
    run_in(run.path.parent, config)
    assert (run.episodes_file.read_bytes(), run.events_file.read_bytes()) == before


def test_an_interrupted_study_goes_on_to_the_same_memories(finished, run_in, tmp_path):
    config, run = finished
    again = RunDirectory.of(tmp_path, config)
    again.path.mkdir(parents=True)
    (again.path / "study.json").write_bytes(run.study_file.read_bytes())
    (again.path / "memories").mkdir()
    for file in (run.path / "memories").iterdir():
        (again.path / "memories" / file.name).write_bytes(file.read_bytes())
    events = run.events_file.read_bytes().splitlines(keepends=True)
    commits = [place for place, line in enumerate(events) if b'"committed"' in line]
    (again.path / "events.jsonl").write_bytes(b"".join(events[: commits[len(commits) // 2] + 1]))
    run_in(tmp_path, config)
    ends = {key: commit.memory for key, commit in run.memory_commits().items()}
    assert {key: commit.memory for key, commit in again.memory_commits().items()} == ends
    evaluated = [
        {episode.trial.id for episode in each.episodes() if episode.trial.phase == "evaluate"} for each in (run, again)
    ]
    assert evaluated[0] == evaluated[1]


def test_records_fit_the_study_and_the_report_fits_the_records(finished):
    _, run = finished
    assert check_run(run.path) == []
    write_report(run.path)
    assert audit_run(run.path) == []
    table = read_run(run).memories["own"]
    assert set(table.episodes["arm"].astype("str")) == set(ARMS)
    assert len(table.plan) == len(read_run(run).run.plan)


def test_the_report_counts_what_recall_did(finished):
    _, run = finished
    found = write_report(run.path, resamples=200)
    table = found.memories.table.set_index(["memory", "budget"])
    own, shared = table.loc["own", "native"], table.loc["given_to_all", "native"]
    assert own["exposed_per_step"] == 1.0
    assert shared["events_per_step"] == 1.0 > own["events_per_step"] > 0
    assert own["delta_prompt"] > 30 >= table.loc["own", "equal budget"]["delta_prompt"]
    assert table.loc["own", "equal budget"]["left_out"] > 0
    assert 0 < own["coverage"] <= own["coverage_ceiling"] <= 1
    assert {f.subject for f in found.memories.findings} >= {"own − no memory", "skills − own"}


def test_games_played_again_are_reported_as_retries_beside_what_is_shared(study, run, procmem):
    again = [
        {"name": name, "learner": "reflexion", "choices": {"attempts": 3, "reflect": reflect}}
        for name, reflect in (("reflexion", True), ("retry", False))
    ]
    shared = {"name": "rag", "learner": "rag", "experience": "shared"}
    learning = {"iterations": 3, "episodes": 2}
    done = run(study(arms=["none", "self"], learning_runs=1, memories=[*again, shared], learning=learning))
    results = write_report(done.path)
    assert results.retries is not None
    assert set(results.retries.table["memory"]) == {"reflexion", "retry"}
    assert results.retries.table.groupby("memory")["solved"].apply(lambda share: share.is_monotonic_increasing).all()
    assert {each.id for each in results.retries.findings} == {
        "retry:solved:reflexion-retry",
        "retry:return:reflexion-retry",
    }
    assert len(read_run(done).memories["rag"].learning) == 4 * 6
    assert audit_run(done.path) == []
    assert check_run(done.path) == []
    shown = json.loads(procmem("show", str(done.path), "--json").out)
    assert {row["memory"] for row in shown} == {"", "reflexion", "retry", "rag"}


def test_every_commit_names_the_memory_that_it_is_about(finished):
    _, run = finished
    for commit in run.memory_commits().values():
        stored = run.memory(commit.memory)
        assert [unit.id for unit in commit.units] == [unit.id for unit in stored.units] != []
        assert stored.digest == commit.memory != stored.holding([]).digest


def test_an_episode_with_a_memory_can_be_read(finished, procmem):
    _, run = finished
    trial = next(e.trial for e in run.episodes() if e.trial.memory == "own" and e.trial.arm == "self")
    said = procmem("show", run.path, trial.id)
    assert said.code == 0
    assert "recalled   episode" in said.out


def test_a_damaged_memory_is_named(finished):
    _, run = finished
    digest = next(iter(run.memory_commits().values())).memory
    file = run.path / "memories" / f"{digest}.json"
    whole = file.read_text()
    try:
        document = json.loads(whole)
        document["content"]["k"] = 7
        file.write_text(json.dumps(document))
        assert any(f"memories/{digest}.json" in fault.sentence for fault in check_run(run.path))
        with pytest.raises(ValueError, match="was changed after it was written"):
            run.memory(digest)
    finally:
        file.write_text(whole)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"memories": [{"name": "a", "learner": "rag"}, {"name": "a", "learner": "rag"}]}, "stands there twice"),
        ({"memories": [{"name": "a", "learner": "rag"}], "study": "population"}, "a population shares skills"),
        ({"memories": [{"name": "a/b", "learner": "rag"}]}, "name"),
        ({"memories": [{"name": "a", "lerner": "rag"}]}, "did you mean 'learner'"),
        ({"arms": ["none", "matched"]}, "write both or neither"),
        ({"memories": [{"name": "m", "learner": "rag", "mixed": ["c"]}]}, "no agent is named 'c'"),
        ({"memories": [{"name": "m", "learner": "rag", "mixed": "all", "experience": "shared"}]}, "leave experience"),
    ],
)
def test_a_bad_memory_is_refused_in_a_sentence(change, sentence):
    with pytest.raises(ConfigError, match=sentence):
        parse_study({**SMALL, **change}, "test")


@pytest.mark.parametrize(
    ("memory", "sentence"),
    [
        ({"name": "a", "learner": "ragg"}, "memories.a.learner: unknown 'ragg'; did you mean 'rag'"),
        ({"name": "a", "learner": "rag", "choices": {"kk": 3}}, "choices.kk: no such choice; did you mean 'k'"),
        ({"name": "a", "learner": "rag", "choices": {"k": 0}}, "choices.k: "),
    ],
)
def test_an_unknown_memory_or_choice_is_refused_before_anything_is_played(study, run_in, tmp_path, memory, sentence):
    with pytest.raises(ValueError, match=sentence):
        run_in(tmp_path, study(memories=[memory]))
    assert list(tmp_path.glob("*/episodes.jsonl")) == []
