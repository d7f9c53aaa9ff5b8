"""`check_apart`: many environments, each checked in a process of its own, several at once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from multiprocessing import connection, get_context
from typing import Any

from environments.conformance.check_env import Check, Report, check_env
from environments.conformance.checks import CHECKS
from environments.spec import EnvSpec
from environments.worlds.processes import how_it_ended

Find = Callable[[str], EnvSpec]
LOADED_ONCE = ("__main__", __name__, "textarena")
"""Modules that every process has from its birth; what is not installed is passed over."""


def check_apart(
    names: Sequence[str],
    find: Find,
    *,
    jobs: int,
    within: float,
    progress: Callable[[str, str, int], None] = lambda name, doing, done: None,
) -> list[Report]:
    """Reports on environments in the order of their names, `jobs` of them checked at a time.

    `find`, a function of a module, makes the spec of a name; it is called here and there. An environment that is not
    through after `within` seconds is killed, and one that takes its process along costs nobody else anything: what it
    was doing then is its last row. `progress` is told which check an environment is at ("": it is through) and how many
    it has behind it.
    """
    # Those with processes of their own take longest: begun last, they would be waited for alone.
    waiting = deque(sorted(dict.fromkeys(names), key=lambda name: not find(name).remote))
    running: list[_Checked] = []
    reports: dict[str, Report] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_Checked(waiting.popleft(), find, within))
            connection.wait([each.pipe for each in running], timeout=max(0.0, min(each.left for each in running)))
            for each in tuple(running):
                if each.is_over():
                    running.remove(each)
                    reports[each.name] = each.report()
                    progress(each.name, "", len(CHECKS))
                else:
                    progress(each.name, each.doing, each.done)
    finally:
        for each in running:
            each.kill()
    return [reports[name] for name in names]


class _Checked:
    """An environment while it is checked, seen from outside."""

    def __init__(self, name: str, find: Find, within: float) -> None:
        self.name, self.doing = name, "starting"
        self._id, self._within = find(name).id, within
        self._rows: list[Check] = []
        self._missing = self._accident = ""
        context = get_context("forkserver")  # begun before there are threads, and without what this process holds
        context.set_forkserver_preload([*LOADED_ONCE, find.__module__])
        self.pipe, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_check, args=(theirs, find, name), daemon=True)
        self._process.start()
        theirs.close()
        self._since = self._began = time.monotonic()

    @property
    def done(self) -> int:
        """Checks that it has behind it."""
        return len(self._rows)

    @property
    def left(self) -> float:
        """Seconds that it may still take."""
        return self._began + self._within - time.monotonic()

    def is_over(self) -> bool:
        """Whether it is, after all that it has said so far; and it is when its time is."""
        while self.pipe.poll():
            try:
                self._hear(json.loads(self.pipe.recv_bytes()))
            except EOFError:
                self._process.join()
                if self.doing:
                    self._accident = f"its process {how_it_ended(self._process.exitcode or 0)}"
                return True
        if self.left > 0:
            return False
        self.kill()
        self._accident = f"the whole was not through after {self._within:g} s; --within gives it more"
        return True

    def _hear(self, message: dict[str, Any]) -> None:
        match message:
            case {"begins": check}:
                self.doing, self._since = check, time.monotonic()
            case {"row": row}:
                self._rows.append(Check(**row))
            case {"missing": why}:
                self._missing, self.doing = why, ""
            case _:
                raise AssertionError(message)

    def report(self) -> Report:
        if self._accident:
            self._rows.append(Check(self.doing, False, self._accident, time.monotonic() - self._since))
        return Report(self._id, tuple(self._rows), self._missing)

    def kill(self) -> None:
        """What it has started ends with it, as its input ends."""
        self._process.kill()
        self._process.join()


def _check(pipe: connection.Connection, find: Find, name: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for whoever started this
    os.dup2(2, 1)  # what an environment prints is no result

    def say(**message: Any) -> None:
        pipe.send_bytes(json.dumps(message).encode())

    report = check_env(find(name), lambda check: say(begins=check), lambda row: say(row=asdict(row)))
    say(missing=report.missing)
