"""`check_apart`: what an environment does to its process costs nobody else anything."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from environments.conformance.apart import check_apart
from environments.conformance.check_env import Report, check_env
from environments.conformance.checks import CHECKS
from testbed.config.plugins import find_environment

THIRD_PARTY = "tests.support.third_party"


def checked(*names: str, within: float = 60.0, jobs: int = 2) -> list[Report]:
    return check_apart(names, find_environment, jobs=jobs, within=within)


def timeless(report: Report) -> Report:
    return replace(report, rows=tuple(replace(row, seconds=0.0) for row in report.rows))


@pytest.mark.parametrize("jobs", [1, 3])
def test_reports_are_those_of_check_env_in_the_order_of_names(jobs):
    names = ["Lever-v0", f"{THIRD_PARTY}:COIN", "Doors-v0", "Lever-v0"]
    alone = [timeless(check_env(find_environment(name))) for name in names]
    assert [timeless(report) for report in checked(*names, jobs=jobs)] == alone


def test_one_that_takes_its_process_along(capfd):
    fatal, good = checked(f"{THIRD_PARTY}:fatal", "Lever-v0")
    *before, last = fatal.rows
    assert all(row.passed for row in before)
    assert (last.check, last.detail) == ("PettingZoo api_test", "its process was killed by SIGKILL")
    assert not fatal.passed
    assert good.passed


def test_one_that_hangs_where_no_alarm_reaches_it():
    started = time.monotonic()
    deaf, good = checked(f"{THIRD_PARTY}:deaf", "Lever-v0", within=10.0)
    assert 10.0 <= time.monotonic() - started < 40.0
    assert deaf.rows[-1].detail == "the whole was not through after 10 s; --within gives it more"
    assert not deaf.passed
    assert good.passed


def test_missing_data_and_prints(capfd):
    missing, talkative = checked(f"{THIRD_PARTY}:unfurnished", f"{THIRD_PARTY}:talkative")
    assert missing == Report("Unfurnished-v0", (), "Unfurnished-v0 needs a table: buy one")
    assert talkative.passed
    assert capfd.readouterr().out == ""


def test_progress_tells_how_far_each_is():
    told: list[tuple[str, str, int]] = []
    check_apart(
        ["Lever-v0", "Doors-v0"],
        find_environment,
        jobs=2,
        within=60.0,
        progress=lambda name, doing, done: told.append((name, doing, done)),
    )
    for name in ("Lever-v0", "Doors-v0"):
        steps = [done for id, _, done in told if id == name]
        assert steps == sorted(steps)
    assert {entry for entry in told if not entry[1]} == {(name, "", len(CHECKS)) for name in ("Lever-v0", "Doors-v0")}
