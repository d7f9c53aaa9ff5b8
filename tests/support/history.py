"""A finished run with every write that led to it, so that each state it was ever in can be put on a disk again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from testbed.config.study import StudyConfig
from testbed.records import append_only, run_directory
from testbed.records.run_directory import RunDirectory


class Written(NamedTuple):
    """One append: where, and what."""

    file: str
    data: bytes


class History(NamedTuple):
    run: RunDirectory
    written: list[Written]
    """In order."""

    def restore(self, out: Path, moment: float, torn: float) -> RunDirectory:
        """The run as it lay there after a share `moment` of its writes and a share `torn` of the next one's bytes."""
        count = round(moment * len(self.written))
        writes = self.written[:count]
        if count < len(self.written):
            file, data = self.written[count]
            writes.append(Written(file, data[: int(torn * len(data))]))
        return self._put(out, writes)

    def until(self, out: Path, last: int) -> RunDirectory:
        """The run as it lay there after the write of that number."""
        return self._put(out, self.written[: last + 1])

    def _put(self, out: Path, writes: list[Written]) -> RunDirectory:
        shutil.copytree(self.run.path, out / self.run.path.name)
        broken = RunDirectory.open(out / self.run.path.name)
        for file in (broken.episodes_file, broken.events_file):
            file.write_bytes(b"".join(each.data for each in writes if each.file == file.name))
        return broken


def record(run_in: Callable[[Path, StudyConfig], RunDirectory], out: Path, config: StudyConfig) -> History:
    """Run a study, and note what is written."""
    written: list[Written] = []
    append = append_only.append_text

    def recording(file: Path, text: str) -> int:
        written.append(Written(file.name, text.encode()))
        return append(file, text)

    run_directory.append_text = recording
    try:
        return History(run_in(out, config), written)
    finally:
        run_directory.append_text = append


def content(run: RunDirectory) -> tuple[list[bytes], list[bytes], dict[str, bytes]]:
    """All that a run says, but for the order in which episodes and learners came to their ends."""
    return (
        sorted(run.episodes_file.read_bytes().splitlines()),
        sorted(run.events_file.read_bytes().splitlines()),
        {path.name: path.read_bytes() for path in (run.path / "pools").glob("*.json")},
    )
