"""Every command on machines that lack something: an encoding, a home, a network, a wide terminal, room on a disk."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STUDY = """
study = "matrix"
seed = 5
learning_runs = 2
evaluation_episodes = 2
resamples = 200
arms = ["none", "self", "random"]
[[agents]]
name = "a"
model = "scripted:random"
[[tasks]]
environment = "Doors-v0"
[skills]
embedder = "lexical"
[learning]
iterations = 1
episodes = 2
"""

PROGRAM = """
import json, os, pathlib, sys
{prelude}
from testbed.cli.main import main
codes = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["procmem", *arguments]
    try:
        main()
        codes.append(0)
    except SystemExit as leaving:
        codes.append(leaving.code or 0)
pathlib.Path("codes.json").write_text(json.dumps(codes))
"""

NO_HOME = """
import pwd
os.environ.pop("HOME", None)
os.environ.pop("XDG_CACHE_HOME", None)
def nobody(*_):
    raise KeyError("uid not found")
pwd.getpwuid = pwd.getpwnam = nobody
"""

NO_NETWORK = """
import errno, socket
connect = socket.socket.connect
def unreachable(*_, **__):
    raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
def only_this_machine(self, address):
    return connect(self, address) if self.family == socket.AF_UNIX else unreachable()
socket.getaddrinfo, socket.socket.connect = unreachable, only_this_machine
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory, run_in) -> Path:
    """A finished run, to be copied."""
    from testbed.config.reading.load import load_study

    folder = tmp_path_factory.mktemp("machine")
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    return run_in(folder / "runs", load_study(folder / "study.toml")).path


@pytest.mark.parametrize(
    ("changes", "prelude"),
    [
        ({"PYTHONIOENCODING": "cp1252"}, ""),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, NO_NETWORK),
        ({"COLUMNS": "20", "PYTHONIOENCODING": "latin-1"}, NO_HOME),
    ],
    ids=["cp1252", "ascii-without-network", "20-columns-of-latin-1-without-home"],
)
def test_every_command(finished, environment, tmp_path, changes, prelude):
    episode = json.loads((finished / "episodes.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    run = str(shutil.copytree(finished, tmp_path / finished.name))
    study = str(tmp_path / "study.toml")
    Path(study).write_text(STUDY, encoding="utf-8")
    commands = [
        ["--help"],
        ["--version"],
        ["list", "environments"],
        ["list", "exchanges"],
        ["models", "list"],
        ["run", study, "--out", str(tmp_path / "runs")],
        ["run", study, "--dry-run"],
        ["report", run, "--resamples", "100"],
        ["show", run],
        ["watch", run],
        ["watch", run, "--once"],
        ["show", run, Path(run).name],
        ["export", run, "--out", str(tmp_path / "board")],
        ["plan", study, "--detect", "0.3"],
        ["check", "env", "Doors-v0"],
    ]
    shown = ["show", run, _id(episode, environment)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(prelude=prelude), json.dumps([*commands, shown])],
        env=environment | {"TMPDIR": str(tmp_path)} | changes,
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    said = (done.stdout + done.stderr).decode("latin-1")
    assert "Traceback" not in said, said[-3000:]
    assert done.returncode == 0, said[-3000:]
    codes = json.loads((tmp_path / "codes.json").read_text())
    expected = [int(arguments == ["show", run, Path(run).name]) for arguments in commands]  # no episode of that name
    assert codes == [*expected, 0], said[-3000:]
    assert not (tmp_path / "~").exists(), "nobody's home"
    if changes.get("LC_ALL") == "C":
        assert said.isascii()


def _id(episode: dict, environment: dict[str, str]) -> str:
    from testbed.records.trial import Episode

    return Episode.model_validate(episode).trial.id


def test_without_a_home_weights_lie_beside_the_temporary_files(environment, tmp_path):
    """In a folder of one's own: a link that somebody else put in its place is not followed."""
    unset = {name: value for name, value in environment.items() if name != "PROCMEM_HOME"}
    command = [sys.executable, "-c", PROGRAM.format(prelude=NO_HOME), json.dumps([["models", "path", "gemma3-270m"]])]

    def said() -> str:
        options = {"env": unset | {"TMPDIR": str(tmp_path)}, "cwd": tmp_path, "capture_output": True, "text": True}
        return subprocess.run(command, check=False, **options).stderr

    home = tmp_path / f"procmem-{os.getuid()}"
    assert "Error: the weights of gemma3-270m are not on this machine yet" in said()
    assert home.stat().st_mode & 0o077 == 0
    home.rmdir()
    home.symlink_to("/nowhere-of-ours")
    assert "Error: " in said()
    assert "Traceback" not in said()


# -- disks ---------------------------------------------------------------------------------------------------------


def test_a_run_that_is_read_only_is_reported_elsewhere(finished, environment, tmp_path):
    """Root may write anywhere: where the tests run as root, the command runs without that capability."""
    powerless = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if powerless and not shutil.which("setpriv"):
        pytest.skip("needs setpriv to be less than root")
    archive = tmp_path / "archive"
    run = shutil.copytree(finished, archive / finished.name)
    shutil.rmtree(run / "report", ignore_errors=True)
    (run / ".lock").unlink(missing_ok=True)
    folders = [run, *(path for path in run.rglob("*") if path.is_dir()), archive]
    for folder in folders:
        folder.chmod(0o555)
    commands = [["report", str(run), "--resamples", "100"], ["report", str(run), "--resamples", "100", "--out", "here"]]
    try:
        done = subprocess.run(
            [*powerless, sys.executable, "-c", PROGRAM.format(prelude=""), json.dumps([*commands, ["show", str(run)]])],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "codes.json").read_text()) == [1, 0, 0], done.stderr
    assert f"{run / 'report'}: cannot be written: Permission denied; choose another --out" in done.stderr
    assert (tmp_path / "here" / "report.html").exists()
    assert not (run / "report").exists()


def test_a_disk_that_is_full_while_a_report_is_written(finished, procmem, sentence, tmp_path):
    run = shutil.copytree(finished, tmp_path / finished.name)
    assert procmem("report", run, "--resamples", 100).code == 0
    before = {path: path.read_bytes() for path in (run / "report").rglob("*") if path.is_file()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        said = sentence("report", run, "--resamples", 200)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert said.startswith(f"Error: {run / 'report'}: cannot be written: ")
    assert "File too large" in said
    assert {path: path.read_bytes() for path in (run / "report").rglob("*") if path.is_file()} == before
    assert not list(run.glob(".report.partial*"))


def test_a_place_that_takes_no_run(sentence, tmp_path):
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    said = sentence("run", tmp_path / "study.toml", "--out", "/proc/nowhere")
    assert "/proc/nowhere" in said


def test_output_that_nobody_takes(environment):
    """A full disk behind the pipe is a sentence; a reader that has seen enough is none."""
    command = [sys.executable, "-m", "testbed", "list", "environments"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    closed = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert closed.stdout is not None
    closed.stdout.close()
    assert "Traceback" not in closed.communicate()[1]
