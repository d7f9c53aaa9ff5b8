"""Every block of README.md, CONTRIBUTING.md, docs/worlds.md and examples/paper/README.md is executed.

`procmem` commands run for real. `make` targets only have their recipes expanded (`make -n`): a test that is itself run
by `make test` cannot run it again. A block with `file=NAME` is written to that file first.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.config.reading.load import load_study
from testbed.studies.cost.fleet_file import load_fleet

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(document: str) -> list[tuple[str, str, str]]:
    return BLOCK.findall((ROOT / document).read_text(encoding="utf-8"))


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


def shell(command: str, folder: Path) -> str:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{folder}:{ROOT}",
    }
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def execute(language: str, name: str, text: str, folder: Path) -> None:
    if name:
        (folder / name).write_text(text, encoding="utf-8")
    if language == "bash":
        for line in text.strip().splitlines():
            shell(f"make -C {ROOT} -n {line.removeprefix('make ')}" if line.startswith("make ") else line, folder)
    elif language == "toml":
        place = folder / (name or "block.toml")
        place.write_text(text, encoding="utf-8")
        load_study(place)
    elif language == "python" and not name:
        run = next((folder / "runs").glob("matrix-*"))
        program = re.sub(r"runs/matrix-\w+", str(run), text)
        (folder / "block.py").write_text(program, encoding="utf-8")
        shell(f"{sys.executable} block.py", folder)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/worlds.md", "examples/paper/README.md"])
def test_every_block_runs(document, workplace):
    found = blocks(document)
    assert found
    for language, name, text in found:
        execute(language, name, text, workplace)


def test_all_examples_are_valid_studies():
    fleet = ROOT / "examples" / "cluster" / "fleet.toml"
    studies = sorted({*(ROOT / "examples").rglob("*.toml")} - {fleet})
    assert studies
    for study in studies:
        assert load_study(study).digest
    models = {agent.model for agent in load_study(fleet.with_name("matrix_10x10.toml")).agents}
    assert models == {each.model for each in load_fleet(fleet).models}


def test_the_notebook_runs(workplace: Path):
    """Its code cells, in order, in one program: what a kernel would do."""
    notebook = json.loads((ROOT / "examples" / "read_a_run.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    folder = workplace / "examples"
    (folder / "notebook.py").write_text("\n\n".join(cells), encoding="utf-8")
    said = shell(f"{sys.executable} notebook.py", folder)
    assert "learning runs" in said
    assert (folder / "returns.svg").stat().st_size > 1000


def test_the_tests_that_the_security_page_names_are_there():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "security.md").read_text(encoding="utf-8")))
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= defined, named - defined
