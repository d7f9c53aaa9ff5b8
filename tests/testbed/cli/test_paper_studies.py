"""The study files of examples/paper: they parse, can be forecast, and can be found beside the paper's values.

That they run, made small by scripted.args, is tested where all documents are: examples/paper/README.md is executed.
"""

from __future__ import annotations

import importlib
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from testbed.cli.main import app
from testbed.config.study import StudyConfig, load_study

EXAMPLES = Path(__file__).parents[3] / "examples"
PAPER = EXAMPLES / "paper"
TABLES = ("ablations", "alfworld", "cross-agent", "mastermind", "memories")


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("beside_the_paper")


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
    assert [agent.name for agent in less.agents] == [agent.name for agent in whole.agents]
    assert (less.arms, less.tasks, less.memories) == (whole.arms, whole.tasks, whole.memories)


def test_alfworld_runs_with_a_scripted_model(alfworld, tmp_path):
    command = ["run", str(PAPER / "alfworld.toml"), "--out", str(tmp_path), *arguments("scripted", "alfworld")]
    assert CliRunner().invoke(app, [*command, "--dry-run"]).exit_code == 0
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("table", TABLES)
def test_every_cell_has_its_column_of_the_paper(beside, table):
    study = load_study(PAPER / f"{table}.toml")
    columns = {beside.COLUMNS[agent.name, task.environment] for agent in study.agents for task in study.tasks}
    assert len(columns) == len(study.agents) * len(study.tasks)
    rows = ["State", "ProcMEM", *(beside.ROWS.get(each.name, beside._ablation(each.name)) for each in study.memories)]
    assert all(beside.published("return", row, column) for row in rows for column in columns)


def test_what_the_paper_does_not_print_stays_empty(beside):
    assert beside.published("coverage", "ProcMEM", "Llama-3.3-70B") is None
    assert beside.published("coverage", "RAG", "v0") is None
    assert beside.published("return", "without-gate", "Hard") is None


def test_a_transferred_pool_counts_only_from_the_papers_source(beside):
    import pandas as pd

    cell = {"agent": "gemma_3_4b", "task": "Mastermind-v0", "arm": "transfer", "source_task": "Mastermind-v0"}
    numbers = {"return": 0.5, "return_low": 0.4, "return_high": 0.6, "clusters": 10}
    cells = pd.DataFrame([{**cell, **numbers, "source_agent": source} for source in ("gemma_2_9b", "qwen3_32b")])
    (line,) = beside.beside("ProcMEM", "return", cells)
    assert "0.444 ± 0.161   0.500 [0.400, 0.600]   10 runs" in line


def test_another_run_says_so(beside, tmp_path):
    with pytest.raises(beside.StoreError):
        beside.main(tmp_path / "nothing")
