"""`procmem check env` as a user meets it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from environments import registry
from environments.registry import ENVIRONMENTS
from testbed.cli.main import check
from testbed.config.study import ConfigError
from tests.support.third_party import unfurnished

runner = CliRunner()


def test_one_environment_in_full():
    result = runner.invoke(check.app, ["env", "Doors-v0"])
    assert result.exit_code == 0
    assert "PettingZoo api_test" in result.output
    assert result.output.count("Doors-v0") == 1


def test_all_in_a_line_each(monkeypatch):
    few = {id: ENVIRONMENTS[id] for id in ("Doors-v0", "Lever-v0")}
    monkeypatch.setattr(registry, "ENVIRONMENTS", few)
    result = runner.invoke(check.app, ["env", "--all"])
    assert result.exit_code == 0
    assert [line.split()[:3] for line in result.output.splitlines() if "-v0" in line] == [
        ["Doors-v0", "pass", "10/10"],
        ["Lever-v0", "pass", "10/10"],
    ]


def test_json():
    result = runner.invoke(check.app, ["env", "Doors-v0", "Lever-v0", "--json"])
    reports = json.loads(result.stdout)
    assert [report["id"] for report in reports] == ["Doors-v0", "Lever-v0"]
    assert all(report["passed"] for report in reports)
    assert {"check", "passed", "detail", "seconds"} == set(reports[0]["rows"][0])


def test_a_failure_is_an_exit_code(tmp_path, monkeypatch):
    (tmp_path / "broken_world.py").write_text(
        "from dataclasses import replace\n"
        "from environments.registry import ENVIRONMENTS\n"
        "SPEC = replace(ENVIRONMENTS['Lever-v0'], id='[red]CheckFailed-v0', horizon=2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    result = runner.invoke(check.app, ["env", "broken_world:SPEC"])
    assert result.exit_code == 1
    assert "FAIL" in result.output
    assert "[red]CheckFailed-v0" in result.output


def test_data_that_is_missing_fails_only_where_it_is_asked_for_by_name(monkeypatch):
    name = "tests.support.third_party:unfurnished"
    monkeypatch.setattr(registry, "ENVIRONMENTS", {name: unfurnished()})
    assert runner.invoke(check.app, ["env", name]).exit_code == 1
    overall = runner.invoke(check.app, ["env", "--all"])
    assert overall.exit_code == 0
    assert "MISSING" in overall.output


def test_an_unknown_name_and_no_name():
    result = runner.invoke(check.app, ["env", "Mastermind"])
    assert isinstance(result.exception, ConfigError)
    assert runner.invoke(check.app, ["env"]).exit_code == 2
    assert runner.invoke(check.app, ["env", "Doors-v0", "--all"]).exit_code == 2


@pytest.mark.parametrize("id", ["Mastermind-v0", "LiarsDice-v0-small"])
def test_games_of_the_engine(id: str):
    assert runner.invoke(check.app, ["env", id]).exit_code == 0
