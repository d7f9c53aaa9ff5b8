"""What a run directory says of its run, read while it is written, and by nobody but a reader."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from environments.diagnostics.doors import INVERTED, RULE
from testbed.play.course.prices import Prices
from testbed.records.append_only import StoreError
from testbed.records.side_files.status import SILENT, ServerState, Status, UnderWay, read_status, write_status
from testbed.view.planned import CellKey, planned_cells
from testbed.view.watched import Watched
from tests.testbed.studies.test_given import lore, parsed

MEMORIES = [
    {"name": "own", "learner": "rag", "choices": {"keep": "all", "k": 1}},
    {"name": "given_to_all", "learner": "rag", "experience": "shared", "choices": {"recall": "step", "keep": "all"}},
    {"name": "of_both", "learner": "rag", "choices": {"keep": "all"}, "mixed": "all"},
]
STUDIES = {
    "matrix": {},
    "learn": {"study": "learn"},
    "population": {"study": "population", "arms": ["none"]},
    "memories": {
        "arms": ["none", "seed", "self", "transfer", "random", "shuffled", "matched", "rag"],
        "budget": 30,
        "memories": MEMORIES,
        "learning_runs": 1,
    },
}


def status(**changes: object) -> Status:
    now = datetime.now(UTC)
    return Status(
        **{
            "state": "running", "at": now, "began": now, "host": "node7", "process": 12, "planned": 160,
            "finished": 3, "failed": 0, **changes,
        }
    )  # fmt: skip


@pytest.fixture(scope="module", params=list(STUDIES))
def finished(request, study, run_in, tmp_path_factory):
    config = study(**STUDIES[request.param])
    return config, run_in(tmp_path_factory.mktemp("runs"), config)


def test_the_cells_that_are_planned_are_those_that_a_study_plays(finished):
    config, run = finished
    assert planned_cells(config) == Counter(CellKey.of(episode.trial) for episode in run.episodes())
    look = Watched(run.path).look()
    assert look.finished == look.planned == sum(cell.planned for cell in look.cells)
    assert all(cell.finished == cell.planned and cell.mean is not None for cell in look.cells)
    assert (look.state, look.failed, look.lost) == ("finished", 0, 0)
    assert look.steps_done == look.steps
    assert set(look.learners.values()) == {config.learning.iterations}
    assert look.tokens == sum(row.prompt_tokens + row.completion_tokens + row.scored_tokens for row in look.accounts)


@pytest.fixture
def small(study, run, one_agent):
    return run(study(**one_agent))


def test_a_run_that_grows_is_read_from_where_the_last_look_ended(small, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("study.json", "episodes.jsonl", "events.jsonl", "accounts.jsonl"):
        shutil.copy(small.path / name, copy / name)
    lines = (copy / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "episodes.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:50])
    (copy / "events.jsonl").unlink()
    watched = Watched(copy)
    before = sorted(path.name for path in copy.iterdir())
    first = watched.look()
    assert (first.finished, first.state) == (3, "unknown")
    assert first.learners == {}
    (copy / "episodes.jsonl").write_bytes(b"".join(lines))
    failed = json.loads(lines[0])
    failed["trial"]["episode"] += 1000
    failed |= {"seats": {}, "error": "Outage: gone"}
    with (copy / "episodes.jsonl").open("a") as stream:
        stream.write(json.dumps(failed) + "\nno episode\n")
    last = watched.look()
    assert (last.finished, last.failed, last.lost) == (len(lines), 1, 1)
    assert last.reasons == {"Outage: gone": 1}
    assert last.recent[0].error == "Outage: gone"
    assert sorted(path.name for path in copy.iterdir()) == before  # nothing was written


def test_silence_is_measured_by_the_clock_of_whoever_listens(small, monkeypatch):
    """A machine whose clock is an hour behind is not dead as long as it says something new."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    behind = datetime.now(UTC) - timedelta(hours=1)
    write_status(small.path, status(at=behind))
    watched = Watched(small.path)
    assert watched.look().state == "silent"
    for step in range(4):
        now[0] += 2
        write_status(small.path, status(at=behind + timedelta(seconds=2 * step + 2)))
        assert watched.look().state == "running"
    now[0] += SILENT - 1
    assert watched.look().state == "running"
    now[0] += 2
    assert watched.look().state == "silent"


def test_what_is_under_way_and_what_it_costs(small):
    playing = tuple(UnderWay(what=f"episode {n}", since=datetime.now(UTC)) for n in range(2))
    servers = {"http://h:1/v1": ServerState(model="m", state="answers", in_flight=3, tokens_per_second=12.5)}
    write_status(small.path, status(playing=playing, left=90.0, left_at_least=True, servers=servers))
    look = Watched(small.path, Prices(hour=0.0, models={"scripted:random": {"prompt": 1e6}})).look()
    assert (look.state, len(look.playing), look.left, look.servers) == ("running", 2, 90.0, servers)
    assert look.cost == sum(row.prompt_tokens for row in look.accounts if row.model == "scripted:random")
    assert Watched(small.path).look().cost is None


def test_a_run_of_an_earlier_version_has_no_accounts_and_no_status(small, tmp_path):
    for name in ("accounts.jsonl", "status.json"):
        (small.path / name).unlink()
    look = Watched(small.path).look()
    assert (look.state, look.accounts, look.tokens) == ("finished", (), 0)
    with pytest.raises(StoreError, match="not a run directory"):
        Watched(tmp_path)


def test_a_status_that_cannot_be_read_is_none(small):
    (small.path / "status.json").write_text('{"state": "dancing"}', encoding="utf-8")
    assert read_status(small.path) is None
    (small.path / "status.json").write_bytes(os.urandom(64))
    assert Watched(small.path).look().state == "finished"


def test_given_pools_their_evidence_and_their_controls_are_planned_too(run_in, tmp_path):
    folder = lore(tmp_path, "right", RULE)
    lore(tmp_path, "wrong", INVERTED)
    pools = [
        {"name": "judged", "folder": str(folder), "admission": "gate", "evidence": 5, "controls": ["shuffled"]},
        {"name": "other", "folder": str(tmp_path / "wrong"), "controls": ["random"]},
    ]
    config = parsed(pools, evaluation_episodes=2)
    run = run_in(tmp_path / "runs", config)
    assert planned_cells(config) == Counter(CellKey.of(episode.trial) for episode in run.episodes())
    judged = [row for row in Watched(run.path).look().accounts if row.memory == "judged" and row.use == "exchange"]
    assert sum(row.scored for row in judged) > 0
