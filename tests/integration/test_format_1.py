"""Runs written before this version of the program: they are read, resumed and reported as they were.

`tests/fixtures/run-format-1-*` were written by commit 4635758 from the `study.toml` beside them; never write them anew.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from testbed.config.reading.load import load_study
from testbed.records.run_directory import RunDirectory
from testbed.reports.audit import audit_run
from testbed.reports.write import write_report

FIXTURES = Path(__file__).parent.parent / "fixtures"
DIGESTS = {"matrix": "73a97884", "population": "0ca3a660"}


@pytest.fixture(params=["matrix", "population"])
def old(request, tmp_path) -> Path:
    """A copy of an old run, under the name that its study file gives it."""
    path = tmp_path / f"{request.param}-{DIGESTS[request.param]}"
    shutil.copytree(FIXTURES / f"run-format-1-{request.param}", path)
    return path


def played(run: RunDirectory) -> dict[str, list[tuple[str, float]]]:
    """Every episode by its trial: what was done and paid, seat by seat."""
    return {
        episode.trial.id: [
            (step.action, step.reward) for seat in sorted(episode.seats) for step in episode.seats[seat].steps
        ]
        for episode in run.episodes()
    }


def pools(run: RunDirectory) -> dict[str, list[str]]:
    """The skills that every learner or member holds after its last iteration."""
    held = {learner: list(line.state.pool.ids) for learner, line in run.learner_states().items()}
    for population, line in run.populations().items():
        held |= {f"{population}/{name}": list(member.state.pool.ids) for name, member in line.society.members.items()}
    return held


def test_a_finished_run_is_not_played_again(old, run_in):
    before = {file: (old / file).read_bytes() for file in ("episodes.jsonl", "events.jsonl")}
    run = run_in(old.parent, load_study(old / "study.toml"))
    assert run.path == old
    assert before == {file: (old / file).read_bytes() for file in before}


def test_half_a_run_is_finished_as_it_was_begun(old, run_in):
    whole = RunDirectory.open(old)
    expected = played(whole), pools(whole), set(whole.pools())
    for file in ("episodes.jsonl", "events.jsonl"):
        content = (old / file).read_bytes()
        (old / file).write_bytes(content[: len(content) // 2])
    assert played(whole) != expected[0]
    run = run_in(old.parent, load_study(old / "study.toml"))
    assert (played(run), pools(run), set(run.pools())) == expected


def test_it_is_reported(old):
    findings = write_report(old)
    then = json.loads((FIXTURES / f"run-format-1-{old.name.split('-')[0]}" / "report" / "findings.json").read_text())
    now = {row["id"]: row["estimate"] for row in findings.rows()}
    known = [row for row in then["findings"] if row["id"] in now]
    assert bool(known) == bool(then["findings"])
    assert all(now[row["id"]] == pytest.approx(row["estimate"], nan_ok=True) for row in known)
    assert audit_run(old) == []
