"""A report takes its place when it is whole, and never another's."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testbed.records.append_only import StoreError
from testbed.reports.place import replacing

PARTS = ("findings.json", "report.html")


def write(folder: Path, text: str) -> None:
    for name in PARTS:
        (folder / name).write_text(text)
    (folder / "tables").mkdir()


def contents(folder: Path) -> set[str]:
    return {(folder / name).read_text() for name in PARTS}


def put(out: Path, text: str) -> None:
    with replacing(out) as stage:
        write(stage, text)


def test_a_new_report_takes_the_place_of_the_old(tmp_path):
    out = tmp_path / "run" / "report"
    for text in ("old", "new"):
        put(out, text)
        assert contents(out) == {text}
    assert {path.name for path in out.parent.iterdir()} == {"report", ".report.lock"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device"), ValueError])
def test_whatever_stops_the_writing_leaves_the_old_report(tmp_path, error):
    out = tmp_path / "report"
    put(out, "old")

    def stop() -> None:
        with replacing(out) as stage:
            (stage / "findings.json").write_text("half")
            raise error

    with pytest.raises((KeyboardInterrupt, StoreError, ValueError)) as caught:
        stop()
    assert contents(out) == {"old"}
    assert {path.name for path in tmp_path.iterdir()} == {"report", ".report.lock"}
    if isinstance(error, OSError):
        assert str(caught.value) == f"{out}: cannot be written: No space left on device; free some space and run again"


def test_a_report_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    """What a power cut after that leaves is the whole report."""
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename
    place = "/proc/self/fd/{}"

    def synced(handle: int) -> None:
        fsync(handle)
        steps.append(Path(os.readlink(place.format(handle))).name)

    def renamed(self: Path, target: Path) -> Path:
        steps.append(f"{self.name} becomes {target.name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    put(tmp_path / "report", "new")
    assert sorted(steps[:3]) == sorted([*PARTS, "tables"])
    assert steps[3:] == [".report.partial", ".report.partial becomes report", tmp_path.name]


WRITER = """
import sys, time
from pathlib import Path
from testbed.reports.place import replacing
with replacing(Path(sys.argv[1])) as stage:
    (stage / "findings.json").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_writer_leaves_the_old_report_and_stands_in_nobodys_way(tmp_path, environment, kill):
    out = tmp_path / "report"
    put(out, "old")
    command = [sys.executable, "-c", WRITER, str(out)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        with pytest.raises(StoreError, match="another process is writing this report; wait for it"), replacing(out):
            pass
        writer.send_signal(kill)
    assert contents(out) == {"old"}
    put(out, "new")
    assert contents(out) == {"new"}
    assert not list(tmp_path.glob(".report.partial*"))


def test_a_writer_killed_between_the_two_renames_is_healed(tmp_path):
    out = tmp_path / "report"
    put(out, "old")
    out.rename(tmp_path / ".report.old")
    with pytest.raises(ValueError, match="a reason"), replacing(out):
        raise ValueError("a reason")
    assert contents(out) == {"old"}


def test_a_rename_that_fails_puts_the_old_report_back(tmp_path, monkeypatch):
    out = tmp_path / "report"
    put(out, "old")
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name == ".report.partial":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StoreError, match="Input/output error"):
        put(out, "new")
    assert contents(out) == {"old"}


def test_a_folder_with_something_else_in_it_is_not_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match=r"holds thesis\.tex, which is no part of a report"):
        put(tmp_path, "new")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_place_that_cannot_be_written():
    with pytest.raises(StoreError, match=r"^/proc/nowhere/report: cannot be written: .*choose another --out$"):
        put(Path("/proc/nowhere/report"), "new")


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "report").symlink_to(tmp_path / "disk" / "report")
    put(tmp_path / "report", "old")
    put(tmp_path / "report", "new")
    assert (tmp_path / "report").is_symlink()
    assert contents(tmp_path / "disk" / "report") == {"new"}


def test_readers_meet_the_old_report_or_the_new(tmp_path):
    """Between the two renames there is none for microseconds; never half of one."""
    out = tmp_path / "report"
    put(out, "0")
    for number in range(1, 20):
        with replacing(out) as stage:
            write(stage, str(number))
            assert contents(out) == {str(number - 1)}
        assert contents(out) == {str(number)}
        time.sleep(0)
