"""A small study: real games of TextArena, scripted models, lexical embedder; and what it takes to run one."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest

from agents.models.adapters.metered import Charge
from testbed.config.reading.load import parse_study
from testbed.config.study import StudyConfig
from testbed.records.run_directory import RunDirectory
from testbed.records.trial import Episode, Trial
from testbed.studies.run import Outcome, run_study

ROOT = Path(__file__).parent.parent.parent

SMALL: dict[str, Any] = {
    "study": "matrix",
    "seed": 5,
    "learning_runs": 2,
    "evaluation_episodes": 2,
    "agents": [{"name": "a", "model": "scripted:random"}, {"name": "b", "model": "scripted:suggestible"}],
    "tasks": [{"environment": "GuessTheNumber-v0"}, {"environment": "KuhnPoker-v0"}],
    "skills": {"embedder": "lexical"},
    "learning": {"iterations": 2, "episodes": 2},
}


class Watcher:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.episodes: list[Episode] = []

    def advance(self, episode: Episode) -> None:
        self.episodes.append(episode)

    def begins(self) -> None:
        self.stored = len(self.episodes)

    def thinks(self, who: str) -> None:
        self.thinking = who

    def thought(self, who: str) -> None:
        assert self.thinking

    def starts(self, trial: Trial) -> None:
        assert trial.id

    def scored(self, done: int, tokens: int) -> None:
        assert done <= tokens

    def charged(self, charge: Charge) -> None:
        assert charge.cost.seconds >= 0


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def study() -> Callable[..., StudyConfig]:
    """The small study, with whole keys replaced."""
    return lambda **changes: parse_study({**copy.deepcopy(SMALL), **changes}, "test")


@pytest.fixture
def one_agent() -> dict[str, Any]:
    """Changes that leave one agent, one game and one learning run."""
    return {"learning_runs": 1, "agents": SMALL["agents"][:1], "tasks": SMALL["tasks"][:1]}


@pytest.fixture(scope="session")
def run_in() -> Callable[..., RunDirectory]:
    """Runs a study to its end in a folder."""
    return lambda out, config, watcher=None: anyio.run(run_study, config, out, watcher or Watcher()).run


@pytest.fixture(scope="session")
def outcome() -> Callable[..., Outcome]:
    """The same, with what the run lacks."""
    return lambda out, config: anyio.run(run_study, config, out, Watcher())


@pytest.fixture
def run(tmp_path: Path, run_in: Callable[..., RunDirectory]) -> Callable[..., RunDirectory]:
    return partial(run_in, tmp_path / "runs")


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def procmem(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """The real command line, in this process."""
    from testbed.cli.main import main

    def procmem_(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["procmem", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        return Said(code, *capsys.readouterr())

    return procmem_


@pytest.fixture
def environment() -> dict[str, str]:
    """For processes of our own: this repository can be imported."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": paths, "COLUMNS": "200", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def small_toml() -> str:
    """The small study as a file's text, learning only: its end needs no report."""
    return """
study = "learn"
seed = 5
learning_runs = 2
[[agents]]
name = "a"
model = "scripted:random"
[[tasks]]
environment = "GuessTheNumber-v0"
[skills]
embedder = "lexical"
[learning]
iterations = 2
episodes = 3
"""


@pytest.fixture
def small_file(tmp_path: Path, small_toml: str) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(small_toml, encoding="utf-8")
    return path


@pytest.fixture
def sentence(procmem):
    """The one sentence that a command fails with."""

    def sentence_(*arguments: object) -> str:
        said = procmem(*arguments)
        assert said.code == 1, said
        assert said.out == ""
        assert "Traceback" not in said.err
        line = said.err.strip().splitlines()[-1]
        assert line.startswith("Error: "), said.err
        return line

    return sentence_
