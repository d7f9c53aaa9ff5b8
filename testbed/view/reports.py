"""`Reporter`: the report of what is there so far, written beside the run by a process of its own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

LONGEST = 500
"""Characters of a complaint that are shown."""


class Reporter:
    """One run's report, in a temporary folder: the run may be another machine's, or read-only."""

    def __init__(self, run: Path, folder: Path) -> None:
        self._run = run
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self.finished = -1
        """Episodes that the report, or the one that is being written, is made from."""
        self.complaint = ""

    @property
    def page(self) -> Path:
        return self._folder / "report.html"

    @property
    def writing(self) -> bool:
        return self._task is not None and not self._task.done()

    def ask(self, finished: int) -> None:
        """Write a report unless there is one of as many episodes, or one is being written."""
        if not self.writing and finished and finished != self.finished:
            self.finished, self.complaint = finished, ""
            self._task = asyncio.create_task(self._write())

    async def _write(self) -> None:
        command = [sys.executable, "-m", "testbed", "report", str(self._run.resolve()), "--out", str(self._folder)]
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await self._process.communicate()
        if self._process.returncode:
            lines = said.decode(errors="replace").strip().splitlines()
            self.complaint = (lines[-1] if lines else f"exit code {self._process.returncode}")[:LONGEST]

    def close(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
