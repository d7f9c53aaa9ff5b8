"""`procmem models`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents.models.weights import folders
from agents.models.weights.catalog import MODELS
from testbed.cli.models import PullProgress, app

runner = CliRunner()


def test_list_names_every_model_and_where_it_comes_from():
    result = runner.invoke(app, ["list", "--json"])
    rows = {row["name"]: row for row in json.loads(result.output)}
    assert rows.keys() == MODELS.keys()
    assert rows["gemma3-270m"]["kind"] == "base"
    assert rows["qwen3-8b"]["download_bytes"] == 0
    assert "smollm2-135m-instruct" in runner.invoke(app, ["list"]).output


def test_path_prints_a_folder(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    assert runner.invoke(app, ["path", str(tmp_path)]).output.strip() == str(tmp_path.resolve())


def test_pull_of_what_is_there_prints_its_folder(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    result = runner.invoke(app, ["pull", str(tmp_path), "--json"])
    assert json.loads(result.output) == {str(tmp_path): str(tmp_path.resolve())}


def test_progress_of_several_stages(capsys: pytest.CaptureFixture[str]):
    with PullProgress() as progress:
        progress("download a", 0, 100)
        progress("download a", 130, 100)
        progress("convert a", 0, 0)
    shown = capsys.readouterr().err
    assert "download a" in shown
    assert "100/100 bytes" in shown
    assert "convert a" in shown


@pytest.mark.parametrize("name", ["smollm3-135m-instruct", "."])
def test_a_wrong_name_is_one_sentence_and_no_traceback(name: str):
    root = Path(folders.__file__).parents[2]
    command = [sys.executable, "-m", "testbed", "models", "path", name]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.strip().splitlines()) == 1
