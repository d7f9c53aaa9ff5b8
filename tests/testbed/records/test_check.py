"""`procmem check run`: what is changed by hand is found, what died is mended, and nothing is thrown away."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from testbed.records.append_only import StoreError
from testbed.records.check.find import check_run
from testbed.records.check.repair import repair_run
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files.manifest import heads, verify_chain


@pytest.fixture(scope="module")
def finished(study, run_in, tmp_path_factory) -> Path:
    """A whole run, sealed."""
    config = study(study="matrix", learning_runs=1, tasks=[{"environment": "GuessTheNumber-v0"}], arms=["none", "self"])
    return run_in(tmp_path_factory.mktemp("finished"), config).path


@pytest.fixture
def run(finished, tmp_path) -> RunDirectory:
    shutil.copytree(finished, tmp_path / finished.name)
    return RunDirectory.open(tmp_path / finished.name)


def errors(run: RunDirectory) -> list[str]:
    return [fault.sentence for fault in check_run(run.path) if fault.severity == "error"]


def change(file: Path, old: str, new: str) -> None:
    """The first place in a file that matches, replaced."""
    text = file.read_text()
    changed = re.sub(old, new, text, count=1)
    assert changed != text
    file.write_text(changed)


def test_a_run_as_it_was_written_has_no_fault(run):
    assert check_run(run.path) == []
    assert repair_run(run.path) == []
    assert check_run(run.path) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("study.json", '"seed": 5', '"seed": 6', "was changed after the run was begun"),
        ("study.json", '"margin": null', '"margin": 5.0', "was changed after the run was begun"),
        ("study.json", '"numpy": "', '"numpy": "9', "was changed after the run was begun"),
        ("episodes.jsonl", '"env_seed":', '"env_seed":1', "not what was written"),
        ("episodes.jsonl", '"total":', '"total":100', "its rewards sum up to"),
        ("episodes.jsonl", '"reward":', '"reward":1', "not what was written"),
        ("episodes.jsonl", '"agent":"a"', '"agent":"z"', "the study has no agent 'z'"),
        ("episodes.jsonl", '"action":"', '"action":"x', "not what was written"),
        ("events.jsonl", '"value":', '"value":1', "not what was written"),
        ("events.jsonl", '"committed":1', '"committed":2', "from 0 to 2 iterations"),
        ("manifest.jsonl", '"bytes":', '"bytes":1', "was changed after the run was begun"),
        ("manifest.jsonl", '"chain":"', '"chain":', "is no seal"),
    ],
)
def test_what_is_changed_by_hand_is_found(run, file, old, new, said):
    change(run.path / file, old, new)
    assert any(said in sentence for sentence in errors(run)), errors(run)


@pytest.mark.parametrize("file", ["episodes.jsonl", "events.jsonl"])
def test_lines_removed_added_or_swapped_are_found(run, file):
    path = run.path / file
    lines = path.read_bytes().splitlines(keepends=True)
    for changed in (lines[1:], lines[:-1], lines[:2] + lines[1:], [lines[1], lines[0], *lines[2:]], []):
        path.write_bytes(b"".join(changed))
        found = [fault for fault in verify_chain(run.path) if fault.severity == "error"]
        assert [fault.file for fault in found] == [file], changed[:1]
    path.write_bytes(b"".join(lines))
    assert verify_chain(run.path) == []


def test_the_place_of_a_change_is_named(run):
    text = run.events_file.read_text().splitlines(keepends=True)
    last = len(text)
    text[-1] = text[-1].replace('"committed":', '"committed": ')
    run.events_file.write_text("".join(text))
    (fault,) = [fault for fault in verify_chain(run.path) if fault.severity == "error"]
    first, _, stop = fault.where.removeprefix("lines ").partition(" to ")
    assert 1 < int(first) <= last == int(stop or first.removeprefix("line "))


def test_who_seals_anew_cannot_change_heads_kept_elsewhere(run):
    before = heads(run.path)
    assert set(before) == {"study.json", "episodes.jsonl", "events.jsonl"}
    change(run.episodes_file, '"action":"', '"action":"x')
    (run.path / "manifest.jsonl").unlink()
    with RunDirectory.open(run.path):
        pass
    assert [fault for fault in verify_chain(run.path) if fault.severity == "error"] == []
    assert heads(run.path) != before
    assert "there was no manifest.jsonl" in check_run(run.path)[0].sentence


def test_what_was_not_sealed_yet_is_no_error(run):
    """A process that is killed leaves lines behind its last seal; the next one seals them."""
    manifest = run.path / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(b"".join(lines[:-1]) + lines[-1][:10])
    assert {fault.severity for fault in verify_chain(run.path)} == {"note"}
    with RunDirectory.open(run.path):
        pass
    assert verify_chain(run.path) == []


def test_pools_that_are_lost_come_back_from_their_commits(run):
    before = {path.name: path.read_bytes() for path in (run.path / "pools").iterdir()}
    empty, torn, gone = sorted(before)[:3] if len(before) > 2 else (*sorted(before), "")
    (run.path / "pools" / empty).write_bytes(b"")
    (run.path / "pools" / torn).write_bytes(before[torn][:40])
    if gone:
        (run.path / "pools" / gone).unlink()
    assert len(errors(run)) >= 2
    repair_run(run.path)
    left = {path.name: path.read_bytes() for path in (run.path / "pools").glob("*.json")}
    assert left.items() <= before.items()
    committed = {f"{line.state.pool.digest}.json" for line in run.learner_states().values()}
    assert committed <= left.keys()


def test_a_resume_writes_empty_pools_anew(run, run_in):
    before = {path.name: path.read_bytes() for path in (run.path / "pools").iterdir()}
    for name in before:
        (run.path / "pools" / name).write_bytes(b"")
    run_in(run.path.parent, run.config())
    assert {path.name: path.read_bytes() for path in (run.path / "pools").iterdir()} == before


@pytest.mark.parametrize("garbage", [b"{}\n", b"not json\n", b"\0" * 90 + b"\n", b'{"kind":"scored"'])
@pytest.mark.parametrize("file", ["episodes.jsonl", "events.jsonl"])
def test_a_damaged_line_is_set_aside_and_the_run_ends_as_before(run, run_in, file, garbage):
    path, config = run.path / file, run.config()
    lines = path.read_bytes().splitlines(keepends=True)
    middle = len(lines) // 2
    path.write_bytes(b"".join([*lines[:middle], garbage, *lines[middle + 1 :]]))
    assert any(fault.repairable for fault in check_run(run.path) if fault.severity == "error")
    deeds = repair_run(run.path)
    assert len(deeds) == 1
    assert garbage.strip(b"\n")[:4] in (run.path / file.replace(".jsonl", ".damaged.jsonl")).read_bytes()
    assert errors(run) == []
    assert [fault.what for fault in check_run(run.path)].count(deeds[0]) == 1
    run_in(run.path.parent, config)
    assert sorted(path.read_bytes().splitlines(keepends=True)) == sorted(lines)
    assert errors(run) == []


def test_a_torn_line_of_events_is_learned_again_without_being_asked(run, run_in, caplog):
    lines = run.events_file.read_bytes().splitlines(keepends=True)
    run.events_file.write_bytes(b"".join([*lines[:3], lines[3][:20] + b"\n", *lines[4:]]))
    run_in(run.path.parent, run.config())
    assert sorted(run.events_file.read_bytes().splitlines(keepends=True)) == sorted(lines)
    assert "line 4 of events.jsonl was damaged; what was learned from there on is learned again" in caplog.text
    assert errors(run) == []


def test_an_episode_that_came_twice_counts_once(run):
    lines = run.episodes_file.read_bytes().splitlines(keepends=True)
    run.episodes_file.write_bytes(b"".join([*lines, lines[0]]))
    assert any("the same episode as line 1" in sentence for sentence in errors(run))
    repair_run(run.path)
    assert run.episodes_file.read_bytes() == b"".join(lines)
    assert errors(run) == []


def test_nobody_repairs_what_another_process_writes(run):
    other = RunDirectory.open(run.path)
    with run, pytest.raises(StoreError, match="another process is writing it"), other.locked():
        pass


def test_the_command(run, procmem, sentence, tmp_path):
    said = procmem("check", "run", run.path)
    assert (said.code, "no fault was found" in said.out) == (0, True)
    stray = run.path / "pools" / ".x.json.123.partial"
    stray.write_text("{")
    change(run.episodes_file, '"total":', '"total":100')
    said = procmem("check", "run", run.path, "--json")
    found = json.loads(said.out)
    assert said.code == 1
    assert found["errors"] == 2
    assert {fault["file"] for fault in found["faults"]} == {"episodes.jsonl", "pools/.x.json.123.partial"}
    said = procmem("check", "run", run.path, "--repair")
    assert said.code == 1
    assert "Repaired: pools/.x.json.123.partial: removed." in said.out
    assert not stray.exists()
    assert "not a run directory" in sentence("check", "run", tmp_path)
