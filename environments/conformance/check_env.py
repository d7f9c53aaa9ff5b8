"""`check_env`: does an environment keep its promises? Works for ours and for third parties' alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from environments.conformance.checks import CHECKS, Subject
from environments.games.game import GameError, MissingData
from environments.games.watchdog import TooLate
from environments.spec import EnvSpec


@dataclass(frozen=True, slots=True)
class Check:
    check: str
    passed: bool
    detail: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    id: str
    rows: tuple[Check, ...]
    missing: str = ""
    """Why nothing could be checked here (data that this machine lacks); then there are no rows."""

    @property
    def passed(self) -> bool:
        return not self.missing and all(row.passed for row in self.rows)


def check_env(
    spec: EnvSpec,
    begins: Callable[[str], None] = lambda check: None,
    ended: Callable[[Check], None] = lambda check: None,
) -> Report:
    """Run every check on an environment; `begins` is told each check's name, `ended` what came out.

    Whatever goes wrong is a row of the report; nothing is raised. A game that does not answer in time is asked no more:
    its row is the last one.
    """
    subject = Subject(spec)
    rows: list[Check] = []
    for name, check in CHECKS.items():
        begins(name)
        started = time.perf_counter()
        try:
            passed, detail, late = True, check(subject), False
        except MissingData as error:
            return Report(spec.id, (), str(error))
        except Exception as error:
            told = isinstance(error, AssertionError | GameError)
            passed, detail, late = False, str(error) if told else repr(error), isinstance(error, TooLate)
        rows.append(Check(name, passed, detail, time.perf_counter() - started))
        ended(rows[-1])
        if late:
            break
    return Report(spec.id, tuple(rows))
