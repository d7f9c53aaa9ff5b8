"""The study files of examples/paper: they parse, can be forecast, and stand beside the paper's values.

That they run, made small by scripted.args, is tested where all documents are: examples/paper/README.md is executed.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from analysis.matrix.comparison.paper import Paper
from testbed.cli.main import app
from testbed.config.reading.load import load_study
from testbed.config.study import ConfigError, StudyConfig

PAPER = Path(__file__).parents[3] / "examples" / "paper"
TABLES = ("ablations", "alfworld", "cross-agent", "mastermind", "memories")


def arguments(kind: str, table: str) -> list[str]:
    name = f"{kind}-{table}.args" if table == "cross-agent" else f"{kind}.args"
    return shlex.split((PAPER / name).read_text(encoding="utf-8"))


def small(kind: str, table: str) -> StudyConfig:
    given = arguments(kind, table)
    return load_study(PAPER / f"{table}.toml", [each for each in given if each != "--set"])


def test_there_is_a_file_for_every_table():
    assert {path.stem for path in PAPER.glob("*.toml")} == set(TABLES)


@pytest.mark.parametrize("table", [each for each in TABLES if each != "alfworld"])
def test_a_dry_run_passes(table):
    done = CliRunner().invoke(app, ["run", str(PAPER / f"{table}.toml"), "--dry-run"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("table", TABLES)
def test_n_is_the_papers(table):
    study = load_study(PAPER / f"{table}.toml")
    assert study.learning_runs * study.evaluation_episodes == 50
    assert study.learning.learner == "nppo"
    assert all(agent.base_url for agent in study.agents)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kind", ["scripted", "small"])
def test_made_small_only_models_and_sizes_change(kind, table):
    whole, less = load_study(PAPER / f"{table}.toml"), small(kind, table)
    assert not any(agent.base_url for agent in less.agents)
    assert all(agent.model.startswith("scripted:") for agent in less.agents) == (kind == "scripted")
    assert {agent.name for agent in less.agents} <= {agent.name for agent in whole.agents}
    assert (less.arms, less.tasks, less.memories) == (whole.arms, whole.tasks, whole.memories)


def test_alfworld_runs_with_a_scripted_model(alfworld, tmp_path):
    command = ["run", str(PAPER / "alfworld.toml"), "--out", str(tmp_path), *arguments("scripted", "alfworld")]
    assert CliRunner().invoke(app, [*command, "--dry-run"]).exit_code == 0
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("table", TABLES)
def test_every_cell_without_memory_and_every_memory_has_its_value_in_the_paper(table):
    study = load_study(PAPER / f"{table}.toml")
    assert study.paper is not None
    values = Paper(study.paper, {}, {}).values().query("measure == 'return'")
    printed = set(zip(values["memory"], values["agent"], values["task"], strict=True))
    cells = {(agent.name, task.environment) for agent in study.agents for task in study.tasks}
    assert {("none", *cell) for cell in cells} <= printed
    assert {("skills", *cell) for cell in cells} <= printed
    assert {memory.name for memory in study.memories} <= {memory for memory, *_ in printed}


def test_a_report_prints_the_papers_values_where_a_study_asks_for_them(tmp_path):
    command = ["run", str(PAPER / "ablations.toml"), "--out", str(tmp_path), *arguments("scripted", "ablations")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    (run,) = tmp_path.glob("matrix-*")
    values = pd.read_csv(run / "report" / "tables" / "paper.csv")
    rows = set(zip(values["measure"], values["memory"], values["paper"], values["model"], strict=True))
    assert ("return", "none", 0.388, "scripted:suggestible") in rows
    assert ("return", "without_score", 0.439, "scripted:suggestible") in rows
    assert ("coverage", "skills", 0.925, "scripted:suggestible") in rows
    told = CliRunner().invoke(app, ["report", str(run), "--resamples", "100"]).output
    assert "gemma_2_9b is scripted:suggestible." in told
    assert "Beside the paper" in (run / "report" / "report.html").read_text(encoding="utf-8")
    assert CliRunner().invoke(app, ["report", str(run)]).exit_code == 0
    audited = CliRunner().invoke(app, ["audit", str(run)])
    assert audited.exit_code == 0, audited.output


def test_other_studies_hear_nothing_of_a_paper(tmp_path):
    command = ["run", str(PAPER / "ablations.toml"), "--out", str(tmp_path), *arguments("scripted", "ablations")]
    done = CliRunner().invoke(app, [*command, "--set", "agents.0.name=mine", "--set", "memories=[]"])
    assert done.exit_code == 0, done.output
    (run,) = tmp_path.glob("matrix-*")
    assert not (run / "report" / "tables" / "paper.csv").exists()
    assert "Beside the paper" not in (run / "report" / "report.html").read_text(encoding="utf-8")


def test_only_a_paper_that_is_known_can_be_named():
    with pytest.raises(ConfigError, match=r"paper: Input should be '2602\.01869'"):
        load_study(PAPER / "ablations.toml", ["paper='1234.5678'"])
