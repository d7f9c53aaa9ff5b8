"""What a hostile run says is shown by every command, and obeyed by none; a stranger's file runs nothing."""

from __future__ import annotations

import ast
import csv
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.skill import Skill
from testbed.cli.terminal import PLAIN, plain, visible
from testbed.config.reading.load import parse_study
from testbed.records.run_directory import RunDirectory
from tests.support.hostile import C0, STUDY, TEXT, controls
from tests.support.studies import ROOT

CLI = ROOT / "testbed" / "cli"


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory, run_in):
    """A finished run of the hostile study."""
    from testbed.config.reading.load import load_study

    folder = tmp_path_factory.mktemp("hostile")
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    return run_in(folder / "runs", load_study(folder / "study.toml")).path


def test_every_character_can_be_seen():
    assert visible("plain − “text” ½ 汉字 🤖\n\ttabbed\u00a0wide") == "plain − “text” ½ 汉字 🤖\n\ttabbed\u00a0wide"
    assert visible("a\x1b[2Jb\x00\r\u202e\x9b\U000e0041\ud83d") == r"a\x1b[2Jb\x00\r\u202e\x9b\U000e0041\ud83d"
    assert controls(visible(TEXT)) == []
    assert plain("[bold]x[/]\x07").plain == r"[bold]x[/]\x07"


def test_every_command_shows_what_it_is_told(procmem, hostile_run, tmp_path):
    study = hostile_run.parent.parent / "study.toml"
    copy = shutil.copytree(hostile_run, tmp_path / "copy" / hostile_run.name.replace("matrix-", "matrix-again-"))
    rows = json.loads(procmem("show", hostile_run, "--json").out)
    failed = next(row["id"] for row in rows if row["return"] is None)
    played = next(row["id"] for row in rows if row["arm"] == "self" and row["return"] is not None)
    for arguments in (
        ("run", study, "--plugins", "--out", hostile_run.parent),
        ("run", study, "--plugins", "--dry-run", "--full"),
        ("report", hostile_run, copy, "--resamples", 100, "--out", tmp_path / "comparison"),
        ("show", hostile_run),
        ("show", hostile_run, failed),
        ("show", hostile_run, played),
        ("show", hostile_run, played, "--json"),
        ("check", "env", "tests.support.hostile:SHOUTING"),
        ("check", "env", "tests.support.hostile:unmakeable"),
        ("check", "env", "tests.support.hostile:unnameable"),
        ("export", hostile_run, "--out", tmp_path / "board"),
    ):
        said = procmem(*arguments)
        assert "Traceback" not in said.err
        assert controls(said.out) == controls(said.err) == [], arguments
        if arguments[1:] == (hostile_run, played):
            assert r"\x1b]0;owned\x07\x1b[2J" in said.out
            assert r"\u202e" in said.out


def test_a_terminal_gets_colours_of_ours_alone(hostile_run, environment, procmem):
    """The same on a real terminal: but for colours, nothing that a terminal obeys."""
    rows = json.loads(procmem("show", hostile_run, "--json").out)
    played = next(row["id"] for row in rows if row["return"] is not None)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "testbed", "show", str(hostile_run), played]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment | {"TERM": "xterm"}) as shown:
        os.close(theirs)
        said = b""
        try:
            while part := os.read(ours, 65536):
                said += part
        except OSError:
            pass  # the terminal's end
    os.close(ours)
    assert shown.returncode == 0
    assert b"\x1b[" in said
    rest = re.sub(r"\x1b\[[0-9;]*m", "", said.decode("utf-8")).replace("\r\n", "\n")
    assert controls(rest) == []
    assert r"\x1b[2J" in rest


def test_a_report_of_a_hostile_run(hostile_run, procmem):
    assert procmem("report", hostile_run, "--resamples", 100).code == 0
    report = hostile_run / "report"
    assert "could not be drawn" not in (report / "report.html").read_text(encoding="utf-8")
    assert (report / "figures" / "invocations.svg").exists()
    with (report / "tables" / "invocations.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows
    assert all(row["name"].startswith("'=") for row in rows), "a formula in a spreadsheet"
    assert all(float(row["calls"]) >= 0 for row in rows)


def test_commands_print_through_one_door():
    """No command has a console, a print or an echo of its own."""
    for path in CLI.glob("*.py"):
        if path.name == "terminal.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
        assert not names & {"Console", "escape"}, path
        called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not called & {"print", "typer.echo", "typer.secho", "sys.stdout.write", "sys.stderr.write"}, path


def test_a_minus_stays_a_minus_where_there_is_no_unicode():
    assert all(text.isascii() for text in PLAIN.values())
    assert PLAIN["−"] == "-"


# -- files of strangers --------------------------------------------------------------------------------------------

EVIL = """
from pathlib import Path
Path(__file__).with_name("ran").touch()
def f(*_): raise RuntimeError("ran")
"""


@pytest.fixture
def evil(tmp_path, monkeypatch) -> Path:
    """A folder with a module that leaves a trace when it is imported, and a study beside it."""
    (tmp_path / "evil.py").write_text(EVIL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("PROCMEM_PLUGINS", raising=False)
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    text = STUDY
    for theirs, harmless in (("Shouter", "evil:f"), ("SHOUTING", "Doors-v0"), ("keeper", "fixed")):
        text = text.replace(f"tests.support.hostile:{theirs}", harmless)
    (tmp_path / "study.toml").write_text(text)
    return tmp_path


@pytest.mark.parametrize("command", [["run"], ["run", "--dry-run"], ["plan", "--detect", "0.1"]])
def test_a_study_that_names_code_is_refused_without_leave(evil, sentence, command):
    said = sentence(command[0], "study.toml", *command[1:])
    assert said == (
        "Error: study.toml: agents.0.model names code, 'evil:f', which would be imported and run; if you trust it, add "
        "--plugins (or set PROCMEM_PLUGINS=1)"
    )
    assert not (evil / "ran").exists()
    assert not (evil / "runs").exists()


@pytest.mark.parametrize(
    "change",
    [
        "tasks.0.environment=evil:f", "tasks.0.opponent=evil:f", "skills.selector=evil:f", "skills.termination=evil:f",
        "learning.learner=evil:f",
    ],
)  # fmt: skip
def test_no_place_of_a_study_imports_without_leave(evil, sentence, change):
    said = sentence("run", "study.toml", "--dry-run", "--set", "agents.0.model=scripted:random", "--set", change)
    assert "names code, 'evil:f', which" in said
    assert not (evil / "ran").exists()


def test_leave_is_given_by_a_flag_or_the_environment(evil, procmem, sentence, monkeypatch):
    assert "ran" in sentence("run", "study.toml", "--plugins", "--set", "study=learn")
    assert (evil / "ran").exists()
    (evil / "ran").unlink()
    sys.modules.pop("evil")
    monkeypatch.setenv("PROCMEM_PLUGINS", "1")
    assert "ran" in sentence("run", "study.toml", "--set", "study=learn")
    assert (evil / "ran").exists()


@pytest.mark.parametrize("name", ["builtins:exit", "os:abort", "builtins:breakpoint", "this:s"])
def test_pythons_own_library_is_refused_even_with_leave(evil, sentence, name):
    for place in ("agents.0.model", "tasks.0.environment", "skills.selector"):
        changes = ("--set", "agents.0.model=scripted:random", "--set", f"{place}={name}")
        said = sentence("run", "study.toml", "--plugins", *changes)
        assert "is of Python's own library" in said
    assert not (evil / "runs").exists()


def test_a_strangers_run_directory_runs_nothing(evil, procmem, hostile_run):
    """Reading, reporting and auditing take names from study.json and import none of them."""
    theirs = shutil.copytree(hostile_run, evil / "matrix-theirs", ignore=shutil.ignore_patterns("report"))
    study = json.loads((theirs / "study.json").read_text().replace("tests.support.hostile", "evil"))
    (theirs / "study.json").write_text(json.dumps(study | {"digest": parse_study(study["config"], "evil").digest}))
    for command in (
        ("show", theirs),
        ("report", theirs, "--resamples", 100),
        ("audit", theirs),
        ("export", theirs),
        ("check", "run", theirs),
        ("skills", "list", theirs),
    ):
        assert "was changed" not in procmem(*command).err
    assert (theirs / "report" / "report.html").exists()
    assert not (evil / "ran").exists()


@pytest.fixture(scope="module")
def remembered(study, run_in, tmp_path_factory) -> Path:
    """A finished run with another memory than a pool, and with a duel."""
    changes: dict[str, Any] = {
        "learning_runs": 1,
        "agents": [{"name": "a", "model": "scripted:suggestible"}],
        "tasks": [{"environment": "Doors-v0"}],
        "memories": [{"name": "own", "learner": "rag", "choices": {"keep": "all"}}],
        "arms": ["none", "self"],
    }
    choices = {"gate": "race", "batch": 2, "duel_pairs": 6, "duel_look": 3}
    learning = {"learner": "nppo", "iterations": 6, "episodes": 10, "pool_size": 6, "choices": choices}
    return run_in(tmp_path_factory.mktemp("remembered"), study(**changes, learning=learning)).path


def test_a_strangers_memories_and_duels_import_nothing(evil, procmem, sentence, remembered):
    """A kind of memory, the game of a duel: what they name is looked up, and never imported."""
    theirs = shutil.copytree(remembered, evil / remembered.name)
    for path in (theirs / "memories").iterdir():
        path.write_text(path.read_text().replace('"memory": "rag"', '"memory": "evil:f"'))
        assert "evil:f" in path.read_text()
    events = (theirs / "events.jsonl").read_text()
    assert '"kind":"duel"' in events
    (theirs / "events.jsonl").write_text(events.replace("a/Doors-v0/0", "a/evil:f/0"))
    with_memory = next(each.trial.id for each in RunDirectory.open(theirs).episodes() if each.trial.memory == "own")
    assert "'evil:f' names code, which is imported for no file of data" in sentence("show", theirs, with_memory)
    (evil / "given.toml").write_text(f"""
study = "matrix"
arms = ["none", "given"]
agents = [{{ name = "a", model = "scripted:random" }}]
tasks = [{{ environment = "Doors-v0" }}]
pools = [{{ name = "p", run = "{theirs}", source = "own:a/evil:f/0" }}]
""")
    assert "names code" in sentence("run", evil / "given.toml", "--dry-run")
    for command in (
        ("check", "run", theirs),
        ("skills", "list", theirs),
        ("report", theirs, "--resamples", 100),
        ("audit", theirs),
    ):
        assert "Traceback" not in procmem(*command).err
    assert not (evil / "ran").exists()


def test_a_skill_holds_what_every_format_can():
    words = Skill(name="use \beta", activation=f"{C0}\ud83d\ufffe", procedure="take \frac12\r\nthen", termination="ok")
    assert words.name == r"use \beta", "LaTeX that JSON took for a backspace"
    assert words.procedure == "take \\frac12\nthen"
    assert set(words.activation) <= set("\t\n\ufffd\\bf")
