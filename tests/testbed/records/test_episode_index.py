"""The index of episodes: right whatever happened to its file, or to the one it speaks of."""

from __future__ import annotations

import os

import pytest

from testbed.records.append_only import StoreError
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files import episode_index
from tests.testbed.records.test_run_directory import VERSIONS, episode


@pytest.fixture
def directory(study, tmp_path) -> RunDirectory:
    run = RunDirectory.create(tmp_path, study(), VERSIONS)
    with run:
        for number in range(5):
            run.append(episode(number))
        run.append(episode(7, error="gone"))
        run.append(episode(8, error="gone"))
        run.append(episode(8))
    return run


def latest(run: RunDirectory) -> list[tuple[str, bool]]:
    with run.index() as index:
        assert [(entry.place, entry.id) for entry in index.entries()] == [
            (place, each.trial.id) for place, each in run.stored()
        ]
        return sorted((entry.id, entry.failed) for entry in index.latest())


def truth(run: RunDirectory) -> list[tuple[str, bool]]:
    return sorted((each.trial.id, each.error is not None) for each in run.episodes())


def test_it_says_what_the_file_says(directory):
    assert latest(directory) == truth(directory)
    assert directory.find(episode(3).trial.id[:9]) == episode(3)
    assert directory.find(episode(8).trial.id) == episode(8)
    assert directory.find(episode(7).trial.id).error == "gone"


def test_it_goes_on_where_lines_were_appended(directory, monkeypatch):
    latest(directory)
    with directory:
        directory.append(episode(9))
    read = []
    one = episode_index._read
    monkeypatch.setattr(episode_index, "_read", lambda *args: read.append(args) or one(*args))
    assert latest(directory) == truth(directory)
    assert len(read) == 2  # the last one known, and the new one


@pytest.mark.parametrize("damage", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 200])
def test_it_may_be_damaged_or_thrown_away(directory, damage):
    latest(directory)
    (directory.path / episode_index.NAME).write_bytes(damage)
    assert latest(directory) == truth(directory)
    (directory.path / episode_index.NAME).unlink()
    assert latest(directory) == truth(directory)


def test_another_file_is_read_anew(directory):
    latest(directory)
    lines = directory.episodes_file.read_bytes().splitlines(keepends=True)
    for changed in (lines[:2], lines[1:], [*lines[4::-1], *lines[:1]], []):
        directory.episodes_file.write_bytes(b"".join(changed))
        os.utime(directory.episodes_file, ns=(1, len(changed)))
        assert latest(directory) == truth(directory)


def test_a_torn_last_line_is_not_there(directory):
    whole = directory.episodes_file.read_bytes()
    directory.episodes_file.write_bytes(whole + whole[:50])
    assert latest(directory) == truth(directory)


def test_where_it_cannot_be_written_it_is_made_in_memory(directory):
    (directory.path / episode_index.NAME).mkdir()
    assert latest(directory) == truth(directory)


def test_what_is_no_episode_is_named_by_its_line(directory):
    whole = directory.episodes_file.read_bytes()
    directory.episodes_file.write_bytes(whole + b"{}\n")
    with pytest.raises(StoreError, match=r"line 9: not an episode; `procmem check run .* --repair` sets it aside"):
        latest(directory)


def test_ids_that_are_nobodys_or_several(directory):
    with pytest.raises(StoreError, match="no episode with an id that starts with 'zz'"):
        directory.find("zz")
    with pytest.raises(StoreError, match="7 episodes with an id that starts with ''"):
        directory.find("")
