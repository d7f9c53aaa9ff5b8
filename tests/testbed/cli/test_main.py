"""`procmem`: what it prints, and what it says when it cannot."""

from __future__ import annotations

import importlib.metadata
import json
import resource
import subprocess
import sys

import pytest

from testbed.cli.main import app

STUDY = """
study = "matrix"
seed = 5
learning_runs = 2
evaluation_episodes = 2
arms = ["none", "self", "random"]
[[agents]]
name = "a"
model = "{model}"
[[tasks]]
environment = "{environment}"
[skills]
embedder = "lexical"
[learning]
iterations = 1
episodes = 2
"""


@pytest.fixture
def write(tmp_path):
    def write_(model: str = "scripted:random", environment: str = "GuessTheNumber-v0"):
        path = tmp_path / "study.toml"
        path.write_text(STUDY.format(model=model, environment=environment), encoding="utf-8")
        return path

    return write_


# -- what works ---------------------------------------------------------------------------------------------------


def test_a_run_from_study_to_report(procmem, write, tmp_path):
    """One run through every command that reads it. The coin's games fail half of the time."""
    file = write(environment="tests.support.third_party:fragile")
    said = procmem("run", file, "--out", tmp_path / "runs", "--plugins", "--set", "fail_at=20")
    assert said.code == 3, said.err
    assert "of 16 episodes are missing" in said.err.replace("\n", " ")
    (path,) = (tmp_path / "runs").iterdir()
    assert "Return, mean [95 % CI]" in said.out
    assert "failed" in said.out
    assert f"Report: {path / 'report' / 'report.html'}" in said.out

    findings = json.loads(procmem("report", path, "--resamples", 200, "--json").out)
    assert findings["run"] == str(path)
    assert any("failed" in warning for warning in findings["warnings"])
    assert "failed" in (path / "report" / "report.html").read_text(encoding="utf-8")

    listed = json.loads(procmem("show", path, "--json").out)
    assert {row["arm"] for row in listed} == {"learn", "none", "self", "random"}
    assert [row["id"] for row in listed if row["return"] is None]
    table = procmem("show", path).out
    assert all(row["id"] in table for row in listed)

    played = next(row for row in listed if row["arm"] == "self" and row["return"] is not None)
    told = procmem("show", path, played["id"][:12])
    assert told.code == 0
    assert all(word in told.out for word in ("rules", "observation", "skill started", "action", "Your call?"))
    record = json.loads(procmem("show", path, played["id"], "--json").out)
    assert record["trial"]["arm"] == "self"
    failed = next(row for row in listed if row["return"] is None)
    assert "rolled away" in procmem("show", path, failed["id"]).out
    trees = json.loads(procmem("show", path, "--lineage", "--json").out)
    assert any("] seed, born 0" in line for line in trees[next(iter(trees))])
    assert set(trees) <= set(procmem("show", path, "--lineage").out.splitlines())


def test_a_study_that_only_learns(procmem, small_file, tmp_path):
    said = procmem("run", small_file, "--out", tmp_path)
    assert said.code == 0, said.err
    (path,) = tmp_path.glob("learn-*")
    assert f"The pools lie in {path / 'pools'}" in said.out.replace("\n", "")
    counts = json.loads(procmem("run", small_file, "--out", tmp_path, "--json").out)
    assert counts == {"run": str(path), "failed": 0, "episodes": 12, "missing": None}


def test_a_dry_run_prints_the_cost_first_and_writes_nothing(procmem, write, tmp_path):
    out = tmp_path / "runs"
    said = procmem("run", write(), "--out", out, "--dry-run")
    assert said.code == 0
    assert all(part in said.out for part in ("evaluation episodes", "prompt tokens", "estimates", "iterations 1"))
    assert said.out.index("prompt tokens") < said.out.index("model scripted:random")
    assert "pool_size" not in said.out
    assert '"pool_size": 8' in procmem("run", write(), "--dry-run", "--full").out
    told = json.loads(procmem("run", write(), "--out", out, "--dry-run", "--json", "--set", "seed=9").out)
    assert told["config"]["seed"] == 9
    assert told["forecast"]["evaluation_episodes"] == 3 * 2 * 2
    assert told["forecast"]["learning_episodes"] == 1 * 2 * 2
    assert not out.exists()


@pytest.mark.parametrize(
    ("kind", "member"),
    [
        ("environments", "Mastermind-v0"),
        ("models", "scripted:random"),
        ("selectors", "top-k-value"),
        ("terminations", "judgement"),
        ("learners", "keep-best"),
        ("studies", "matrix"),
    ],
)
def test_list_names_what_a_study_may_name(procmem, kind, member):
    header, *rows = procmem("list", kind).out.splitlines()
    assert header.startswith("name ")
    named = {row.split()[0]: row for row in rows}
    assert member in named
    assert json.loads(procmem("list", kind, "--json").out) == list(named)
    assert all(len(row.split()) > 1 for row in rows), "each with what it is"


def test_every_help_has_an_example(procmem):
    """Of every command there is, those added later among them."""
    told = []
    for group in ("", *(str(group.name) for group in app.registered_groups)):
        typers = {str(each.name): each.typer_instance for each in app.registered_groups} | {"": app}
        for command in typers[group].registered_commands:
            name = [*filter(None, [group]), command.name or command.callback.__name__]
            said = procmem(*name, "--help")
            assert said.code == 0
            told.append((name, f"procmem {' '.join(name)} " in said.out.replace("\n", " ")))
    assert [name for name, has_example in told if not has_example] == []
    assert len(told) > 12


def test_the_version(procmem):
    assert procmem("--version").out == f"procmem {importlib.metadata.version('procmem')}\n"


def test_help_needs_none_of_the_heavy_packages(environment):
    program = """
import sys
sys.argv = ["procmem", "--help"]
from testbed.cli.main import main
try:
    main()
except SystemExit:
    heavy = {"torch", "transformers", "pandas", "textarena", "altair", "pettingzoo", "scipy"} & set(sys.modules)
    assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Examples: procmem run" in done.stdout


# -- what does not ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("learning.iteration=2", ["learning.iteration: unknown key", "did you mean 'iterations'?"]),
        ("study=matrx", ["study: ", "did you mean 'matrix'?"]),
        ("seed", ["write it as key=value"]),
        ("agents.7.model=x", ["no such place"]),
        ("tasks.0.environment=Mastermnd-v0", ["'Mastermnd-v0'", "Mastermind-v0"]),
        (
            "tasks.0.environment=tests.support.third_party:unmakeable",
            ["Unmakeable-v0 cannot be set up", "no coin in the purse"],
        ),
        ("tasks.0.opponent=scripted:randm", ["scripted:randm".removeprefix("scripted:"), "random"]),
        ("agents.0.model=scripted:randm", ["'randm'", "random"]),
        ("agents.0.model=smollm2-135m-instrct", ["smollm2-135m-instruct"]),
        ("skills.selector=similarty", ["did you mean 'similarity'?"]),
        ("skills.embedder=lexicl", ["lexicl"]),
        ("learning.learner=keep-bst", ["did you mean 'keep-best'?"]),
    ],
)
def test_a_mistyped_study_is_one_sentence_and_nothing_is_written(sentence, write, tmp_path, override, parts):
    said = sentence("run", write(), "--out", tmp_path / "runs", "--set", override, "--plugins")
    assert all(part in said for part in parts), said
    assert not (tmp_path / "runs").exists()


def test_a_file_that_is_no_study(sentence, tmp_path):
    assert "there is no such file" in sentence("run", tmp_path / "absent.toml")
    (tmp_path / "broken.toml").write_text("seed = = 3")
    assert "not readable as TOML" in sentence("run", tmp_path / "broken.toml")


def test_names_that_commands_do_not_know(procmem, sentence):
    assert "list: unknown 'games'; there are: environments" in sentence("list", "games")
    said = procmem("rnu")
    assert said.code == 2
    assert "No such command 'rnu'" in said.err


def test_a_run_directory_that_cannot_be_used(procmem, sentence, small_file, tmp_path):
    assert "not a run directory" in sentence("report", tmp_path)
    assert "not a run directory" in sentence("show", tmp_path / "absent")
    occupied = tmp_path / "occupied"
    occupied.write_text("")
    assert f"{occupied}/learn-" in sentence("run", small_file, "--out", occupied)
    procmem("run", small_file, "--out", tmp_path)
    (path,) = tmp_path.glob("learn-*")
    assert "no episode with an id that starts with 'zzz'" in sentence("show", path, "zzz")
    assert "episodes with an id that starts with ''" in sentence("show", path, "")
    assert "episodes table" in sentence("report", path)

    study = json.loads((path / "study.json").read_text())
    for text, said in (
        (json.dumps(study | {"format": 0}), "its layout is 0, this version's is 1; choose another --out"),
        ("{", "cannot be read"),
    ):
        (path / "study.json").write_text(text)
        for command in (["run", small_file, "--out", tmp_path], ["report", path], ["show", path]):
            assert said in sentence(*command)


def test_a_damaged_record_is_named_and_a_torn_one_mended(procmem, sentence, small_file, tmp_path):
    procmem("run", small_file, "--out", tmp_path)
    (path,) = tmp_path.glob("learn-*")
    whole = (path / "episodes.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    (path / "episodes.jsonl").write_bytes(b"".join([*lines[:2], b"oops\n", *lines[2:]]))
    for command in (["run", small_file, "--out", tmp_path], ["show", path]):
        assert "episodes.jsonl, line 3: not an episode" in sentence(*command)
    (path / "episodes.jsonl").write_bytes(whole[:-20])
    (path / "events.jsonl").write_bytes(b"")
    assert procmem("run", small_file, "--out", tmp_path).code == 0
    assert sorted((path / "episodes.jsonl").read_bytes().splitlines()) == sorted(whole.splitlines())


def test_a_disk_that_takes_no_more(procmem, sentence, write, tmp_path):
    """The kernel refuses to let files grow: half a line is written, and cut off again."""
    file = write()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        said = sentence("run", file, "--out", tmp_path / "runs")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (path,) = (tmp_path / "runs").iterdir()
    assert said == f"Error: {path / 'episodes.jsonl'}: cannot be written: File too large; choose another --out"
    content = (path / "episodes.jsonl").read_bytes()
    assert 0 < len(content) <= 40_000
    assert content.endswith(b"\n")
    assert procmem("run", file, "--out", tmp_path / "runs", "--set", "study=learn").code == 0


def test_a_report_that_cannot_be_written(sentence, run, study, one_agent):
    path = run(study(**one_agent, arms=["none"], learning={"iterations": 0})).path
    (path / "report").write_text("in the way")
    assert f"{path / 'report'}: cannot be written: File exists" in sentence("report", path, "--resamples", 100)


def test_a_model_that_is_gone_stops_the_study_in_a_sentence(procmem, write, tmp_path, monkeypatch):
    switch = tmp_path / "gone"
    switch.touch()
    monkeypatch.setenv("FAKE_GONE", str(switch))
    file = write(model="tests.support.third_party:Gone", environment="tests.support.third_party:COIN")
    changes = ("--set", "study=learn", "--set", "learning.episodes=30")
    arguments = ("run", file, "--out", tmp_path / "runs", "--plugins", *changes)
    said = procmem(*arguments)
    assert (said.code, said.out) == (75, "")
    assert "Stopped: agent a: fake at http://127.0.0.1:9/v1 does not answer: connection refused. Finished" in said.err
    switch.unlink()
    told = json.loads(procmem(*arguments, "--json").out)
    assert (told["failed"], told["missing"]) == (0, None)


def test_weights_that_changed_are_not_mixed_into_a_run(sentence, procmem, write, tmp_path, monkeypatch):
    arguments = (
        "run",
        write(model="tests.support.third_party:Silent"),
        "--out",
        tmp_path / "runs",
        "--set",
        "study=learn",
        "--plugins",
    )
    assert procmem(*arguments).code == 0
    monkeypatch.setenv("FAKE_WEIGHTS", "1")
    assert "the model of agent a has changed since this run was begun" in sentence(*arguments)
