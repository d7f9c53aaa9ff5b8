"""The run directory: append-only, one writer, and nothing lost but what was in flight."""

from __future__ import annotations

import errno
import json
import subprocess
import sys

import pytest

from testbed.config.study import ConfigError
from testbed.records import append_only, disk
from testbed.records.append_only import StoreError
from testbed.records.keys import LearnerKey
from testbed.records.lines import EventLine, IterationCommit, parse_line
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files.versions import Versions
from testbed.records.trial import Episode, Trial
from transfer.memory.events.course import Skipped
from transfer.memory.experience import Step, Trajectory
from transfer.memory.pool import PoolError
from transfer.memory.seed_pool import seed_pool
from transfer.memory.state import LearnerState

VERSIONS = Versions(packages={"numpy": "2"}, models={"a": {"name": "m", "weights": "0"}}, prompts="p")
STATE = LearnerState(pool=seed_pool(), iteration=1)
TOKENS = dict.fromkeys(STATE.pool.ids, 3)


def trial(number: int = 0) -> Trial:
    return Trial(
        phase="learn", arm="learn", agent="a", task="Coin-v0", learning_run=0, episode=number, env_seed=2 * number
    )


def episode(number: int = 0, error: str | None = None, text: str = "heads or tails? … \u2028 ✓") -> Episode:
    steps = (Step(action="[heads]", observation=text, reward=0.1, logprob=-0.1 - 0.2),)
    seat = Trajectory(
        id=f"{trial(number).id}/player_0", agent="a", task="Coin-v0", env_seed=0, rules="r", steps=steps, total=0.1
    )
    return Episode(trial=trial(number), seats={} if error else {"player_0": seat}, focal="player_0", error=error)


@pytest.fixture
def directory(study, tmp_path) -> RunDirectory:
    return RunDirectory.create(tmp_path, study(), VERSIONS)


def test_a_trial_is_named_by_its_content():
    """A golden value: whoever changes it makes every stored episode unknown."""
    assert trial().id == "95ae8394efcff485"
    assert trial(1).id != trial(0).id
    assert Trial.model_validate_json(trial().model_dump_json()).id == trial().id


def test_what_is_written_reads_back_equal(directory):
    with directory:
        places = [directory.append(episode(number)) for number in range(3)]
        directory.commit("a/Coin-v0/0", STATE, [Skipped(iteration=0, why="é")], TOKENS)
    again = RunDirectory.open(directory.path)
    assert list(again.episodes()) == [episode(number) for number in range(3)]
    assert [again.episode(place) for place in places] == [episode(number) for number in range(3)]
    event, committed = again.events()
    assert isinstance(event, EventLine)
    assert event.event == Skipped(iteration=0, why="é")
    assert isinstance(committed, IterationCommit)
    assert committed.state == STATE
    assert again.learner_states() == {"a/Coin-v0/0": committed}
    assert again.pool(STATE.pool.digest) == STATE.pool
    assert again.config() == again.config()


def test_a_success_is_the_last_word_on_a_trial(directory):
    with directory:
        directory.append(episode(0, error="gone"))
        directory.append(episode(1, error="gone"))
        directory.append(episode(0))
    assert list(directory.episodes()) == [episode(0), episode(1, error="gone")]


def test_outlines_are_the_episodes_without_their_steps(directory):
    tricky = episode(0, text='it says "steps":[{}],"total":3 and \\"steps\\":[')
    with directory:
        for each in (tricky, episode(1, error="gone"), episode(2)):
            directory.append(each)
    whole = list(directory.stored())
    for (place, outline), (same, full) in zip(directory.outlines(), whole, strict=True):
        assert place == same
        assert not any(seat.steps for seat in outline.seats.values())
        assert {
            name: seat.model_copy(update={"steps": full.seats[name].steps}) for name, seat in outline.seats.items()
        } == (full.seats)
        assert outline.model_copy(update={"seats": full.seats}) == full


def test_an_outline_of_a_line_that_another_program_has_laid_out_is_the_whole_episode(directory):
    with directory:
        directory.append(episode())
    directory.episodes_file.write_text(json.dumps(json.loads(directory.episodes_file.read_text())) + "\n")
    assert list(directory.outlines()) == [(0, episode())]


def test_a_torn_last_line_is_owed_again(directory):
    with directory:
        directory.append(episode(0))
        directory.append(episode(1))
    whole = directory.episodes_file.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in (first + 1, (first + len(whole)) // 2, len(whole) - 1):
        directory.episodes_file.write_bytes(whole[:cut])
        assert list(directory.episodes()) == [episode(0)]
        with directory:
            directory.append(episode(1))
        assert directory.episodes_file.read_bytes() == whole


def test_a_line_longer_than_a_block_can_be_torn(directory):
    with directory:
        directory.append(episode(0))
    whole = directory.episodes_file.read_bytes()
    directory.episodes_file.write_bytes(whole + b"x" * 200_000)
    with directory:
        assert directory.episodes_file.read_bytes() == whole
    directory.episodes_file.write_bytes(b"x" * 200_000)
    with directory:
        assert directory.episodes_file.read_bytes() == b""


def test_a_torn_group_of_events_never_happened(directory):
    events = [Skipped(iteration=1, why="one"), Skipped(iteration=1, why="two")]
    with directory:
        directory.commit("a/Coin-v0/0", STATE, events, TOKENS)
    done = directory.events_file.read_bytes()
    with directory:
        directory.commit("b/Coin-v0/0", STATE, events, TOKENS)
    whole = directory.events_file.read_bytes()
    for cut in range(len(done), len(whole), 97):
        directory.events_file.write_bytes(whole[:cut])
        with directory:
            assert directory.events_file.read_bytes() == done
    with directory:
        directory.commit("b/Coin-v0/0", STATE, events, TOKENS)
    assert directory.events_file.read_bytes() == whole


@pytest.mark.parametrize("garbage", [b"{}\n", b"not json\n", b"\xff\n", b'{"committed":\n', b"[1]\n", b"\n"])
def test_garbage_in_the_middle_is_named_by_its_line(directory, garbage):
    with directory:
        directory.append(episode(0))
        directory.commit("a/Coin-v0/0", STATE, [], TOKENS)
    for file, read in ((directory.episodes_file, directory.episodes), (directory.events_file, directory.events)):
        line = file.read_bytes()
        file.write_bytes(line + garbage + line)
        with pytest.raises(StoreError, match=rf"{file.name}, line 2: not an e") as caught:
            list(read())
        assert "\n" not in str(caught.value)
        file.write_bytes(line)


def test_a_failed_start_gives_the_lock_back(directory):
    directory.events_file.write_bytes(b"{}\n")
    with pytest.raises(StoreError), directory:
        pass
    directory.events_file.unlink()
    with directory:
        pass


def test_one_writer_at_a_time(directory, environment):
    program = f"from testbed.records.run_directory import RunDirectory\nfrom pathlib import Path\n\
with RunDirectory.open(Path({str(directory.path)!r})): print('locked', flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"locked\n"
    with pytest.raises(StoreError, match="another process is writing it"), directory:
        pass
    assert list(directory.episodes()) == []
    holder.kill()
    holder.wait()
    with directory:
        pass


class FullDisk:
    """A file on a disk with room for `room` more bytes (a fake: the tests may mount nothing)."""

    def __init__(self, file, room: int) -> None:
        self.file, self.room = file, room

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = data[: self.room]
        self.room -= len(part)
        return self.file.write(part)


@pytest.mark.parametrize("room", [0, 1, 200])
def test_a_full_disk_leaves_whole_lines(directory, monkeypatch, room):
    with directory:
        directory.append(episode(0))
        before = directory.episodes_file.read_bytes()
        opened = type(directory.path).open
        monkeypatch.setattr(
            type(directory.path), "open", lambda self, *args, **named: FullDisk(opened(self, *args, **named), room)
        )
        with pytest.raises(StoreError, match="No space left on device; free some space and run again"):
            directory.append(episode(1))
        monkeypatch.undo()
        assert directory.episodes_file.read_bytes() == before
        directory.append(episode(1))
    assert len(list(directory.episodes())) == 2


def test_a_full_disk_when_a_pool_is_stored(directory, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk.os, "fsync", full)
    with pytest.raises(StoreError, match="pools: cannot be written: No space left"):
        directory.keep(seed_pool())
    monkeypatch.undo()
    assert list((directory.path / "pools").iterdir()) == []


def test_a_lock_that_cannot_be_taken_is_said(directory, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(directory._lock, "acquire", denied)
    with pytest.raises(StoreError, match=r"cannot be written: Permission denied; choose another --out"), directory:
        pass


def test_directories_that_cannot_be_used(study, tmp_path, directory):
    with pytest.raises(StoreError, match="not a run directory"):
        RunDirectory.open(tmp_path / "absent")
    occupied = tmp_path / "file"
    occupied.write_text("")
    with pytest.raises(StoreError, match="not a run directory"):
        RunDirectory.open(occupied)
    with pytest.raises(StoreError, match="cannot be written"):
        RunDirectory.create(occupied, study(), VERSIONS)
    whole = json.loads(directory.study_file.read_text())
    for content, said in (
        ("[]", "its layout is None"),
        (json.dumps(whole | {"format": 99}), "its layout is 99, this version's is 1; choose another --out"),
        ('{"format": 1}', "is broken: digest: Field required"),
        (json.dumps(whole | {"versions": {}}), "is broken: versions.packages"),
    ):
        directory.study_file.write_text(content)
        for use in (
            lambda: RunDirectory.open(directory.path),
            lambda: RunDirectory.create(tmp_path, study(), VERSIONS),
        ):
            with pytest.raises(StoreError, match=said) as caught:
                use()
            assert "\n" not in str(caught.value)
    directory.study_file.write_text(json.dumps(whole | {"config": {"study": "matrix"}}))
    with pytest.raises(ConfigError, match=r"study.json: agents: Field required"):
        directory.config()


def test_a_run_is_not_continued_with_other_models_or_words(study, tmp_path, directory):
    other = {"models": {"a": {"name": "m", "weights": "1"}}}
    for changed, said in ((other, "the model of agent a has changed"), ({"prompts": "q"}, "wording of the prompts")):
        with pytest.raises(StoreError, match=said):
            RunDirectory.create(tmp_path, study(), VERSIONS.model_copy(update=changed))
    RunDirectory.create(tmp_path, study(), VERSIONS.model_copy(update={"packages": {"numpy": "3"}}))


def test_a_run_is_not_continued_with_another_step_limit_and_says_where_a_games_code_changed(study, tmp_path):
    begun = VERSIONS.model_copy(update={"games": {"Coin-v0": {"step limit": 4, "coins": "1.0"}}})
    RunDirectory.create(tmp_path, study(), begun)
    longer = VERSIONS.model_copy(update={"games": {"Coin-v0": {"step limit": 6, "coins": "1.0"}}})
    with pytest.raises(StoreError, match="the step limit of Coin-v0 has changed"):
        RunDirectory.create(tmp_path, study(), longer)
    other = VERSIONS.model_copy(update={"games": {"Coin-v0": {"step limit": 4, "coins": "1.1"}}})
    again = RunDirectory.create(tmp_path, study(), other)
    assert "coins 1.0 (now 1.1)" in " ".join(again.notices)


def test_a_source_is_its_key():
    source = LearnerKey("a", "some/package:Game-v0", 12)
    assert LearnerKey.of(source.key) == source


def test_places_count_bytes(tmp_path):
    file = tmp_path / "lines"
    places = [append_only.append_text(file, text + "\n") for text in ("é", "", "x" * 70_000)]
    assert [place for _, place, _ in append_only.complete_lines(file)] == places == [0, 3, 4]


def test_a_sentence_about_a_record_quotes_no_more_than_can_be_read():
    with pytest.raises(ValueError, match="…") as caught:
        parse_line(b'{"learner": "a/b/0", "kind": "%s", "payload": {}}' % (b"x" * 10_000))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["../../../secret", "/etc/passwd", "", "0123456789abcdef/../x"])
def test_a_pool_is_named_by_its_digest_and_by_no_path(directory, name):
    with pytest.raises(PoolError, match="is no name of a pool"):
        directory.memory(name)
