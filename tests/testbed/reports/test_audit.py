"""Records that were changed before the report was written are found by what they must be."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.tables.schema import TableError
from testbed.records.run_directory import RunDirectory
from testbed.reports.audit import check_records
from testbed.reports.tables import read_run

Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def finished(run_in, study, tmp_path_factory) -> Path:
    return run_in(tmp_path_factory.mktemp("audited"), study()).path


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy, to be tampered with."""
    return Path(shutil.copytree(finished, tmp_path / finished.name))


def faults(path: Path) -> list[str]:
    directory = RunDirectory.open(path)
    return check_records(directory, directory.config())[0]


def rewrite(path: Path, change: Callable[[Lines], Lines | None]) -> None:
    file = path / "episodes.jsonl"
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    changed = change(lines) or lines
    file.write_text("".join(json.dumps(line) + "\n" for line in changed), encoding="utf-8")


def evaluated(lines: Lines, arm: str) -> Lines:
    return [line for line in lines if line["trial"]["phase"] == "evaluate" and line["trial"]["arm"] == arm]


def remove(lines: Lines) -> Lines:
    gone = evaluated(lines, "self")[:3]
    return [line for line in lines if line not in gone]


def swap(lines: Lines) -> None:
    first, second = evaluated(lines, "none")[0], evaluated(lines, "self")[0]
    first["seats"], second["seats"] = second["seats"], first["seats"]


def relabel(lines: Lines) -> None:
    """Every draw of the random selector claims to be the learner's choice, and the other way round."""
    first, second = evaluated(lines, "random"), evaluated(lines, "self")
    for line in first:
        line["trial"]["arm"] = "self"
    for line in second:
        line["trial"]["arm"] = "random"


def raise_total(lines: Lines) -> None:
    line = evaluated(lines, "self")[0]
    line["seats"][line["focal"]]["total"] += 0.25


def raise_beyond(lines: Lines) -> None:
    line = evaluated(lines, "self")[0]
    line["seats"][line["focal"]]["steps"][-1]["reward"] += 1000
    line["seats"][line["focal"]]["total"] += 1000


def raise_whole(lines: Lines) -> None:
    """Nothing contradicts itself: reward, return and solved say the same."""
    line = next(line for line in evaluated(lines, "self") if line["seats"][line["focal"]]["total"] < 1)
    seat = line["seats"][line["focal"]]
    seat["steps"][-1]["reward"] += 1 - seat["total"]
    seat |= {"total": 1.0, "solved": True}


def reseed(lines: Lines) -> None:
    line = evaluated(lines, "self")[0]
    line["trial"]["env_seed"] += 2
    for seat in line["seats"].values():
        seat["env_seed"] += 2


def invent(lines: Lines) -> None:
    line = json.loads(json.dumps(evaluated(lines, "self")[0]))
    line["trial"]["agent"] = "nobody"
    lines.append(line)


def repeat(lines: Lines) -> None:
    lines.append(evaluated(lines, "self")[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (remove, "3 of the 128 episodes to evaluate that the study plans are not there"),
        (swap, "which is another trial's"),
        (relabel, "which is another trial's"),
        (raise_total, "its rewards sum to"),
        (raise_beyond, "outside"),
        (raise_whole, "something was changed, added, removed or swapped"),
        (reseed, "the study gives it"),
        (invent, "nobody"),
    ],
)
def test_records_changed_before_the_report_are_found(run: Path, change, words: str):
    rewrite(run, change)
    told = faults(run)
    assert any(words in sentence for sentence in told), told


def test_an_episode_that_stands_there_twice_is_refused(run: Path):
    rewrite(run, repeat)
    with pytest.raises(TableError, match="holds the same episode twice"):
        faults(run)


def test_honest_records_have_no_faults(finished: Path):
    assert faults(finished) == []


def test_a_study_that_does_not_fit_its_digest(run: Path):
    file = run / "study.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["config"]["margin"] = 5.0
    file.write_text(json.dumps(content), encoding="utf-8")
    try:
        told = faults(run)
    except Exception as error:  # whoever opens a run may refuse it first
        told = [str(error)]
    assert any("digest" in sentence for sentence in told)


def test_tables_do_not_depend_on_who_finished_first(finished: Path, run: Path):
    """A resumed run writes the same lines in another order."""
    learners: dict[str, Lines] = {}
    for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines():
        learners.setdefault(json.loads(line)["learner"], []).append(json.loads(line))
    others = [line for learner in sorted(learners, reverse=True) for line in learners[learner]]
    (run / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in others), encoding="utf-8")
    rewrite(run, lambda lines: random.Random(1).sample(lines, len(lines)))
    first, second = (read_run(RunDirectory.open(path)).run for path in (finished, run))
    for name in ("episodes", "invocations", "pools", "learning", "events", "plan"):
        assert getattr(first, name).equals(getattr(second, name)), name
    assert first.transcripts == second.transcripts


def test_each_file_of_a_run_is_read_once(finished: Path, monkeypatch):
    opened: list[str] = []
    whole = Path.open

    def counting(path: Path, *arguments, **options):
        opened.append(path.name)
        return whole(path, *arguments, **options)

    directory = RunDirectory.open(finished)
    monkeypatch.setattr(Path, "open", counting)
    read_run(directory)
    assert opened.count("episodes.jsonl") == opened.count("events.jsonl") == 1
