"""Resume equals never stopped: after a death at any moment, the same command leaves the same run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.records.run_directory import RunDirectory
from tests.support.history import content, record

TOML = """
study = "{study}"
seed = 5
learning_runs = 1
evaluation_episodes = 3
[[agents]]
name = "a"
model = "scripted:random"
[[agents]]
name = "b"
model = "scripted:suggestible"
[[tasks]]
environment = "Mastermind-v0"
[[tasks]]
environment = "KuhnPoker-v0"
[skills]
embedder = "lexical"
[learning]
iterations = 3
episodes = 6
"""


@pytest.fixture(scope="module")
def config(study):
    return study(learning_runs=1)


@pytest.fixture(scope="module")
def history(config, run_in, tmp_path_factory):
    """A finished run and every write that led to it, in order."""
    return record(run_in, tmp_path_factory.mktemp("whole"), config)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(moment=st.floats(0, 1), torn=st.floats(0, 1, exclude_max=True))
def test_dying_at_any_byte_changes_nothing(history, config, run_in, tmp_path_factory, moment, torn):
    """The state on disk at any byte of any write, rebuilt; then the same study again."""
    broken = history.restore(tmp_path_factory.mktemp("torn"), moment, torn)
    assert content(run_in(broken.path.parent, config)) == content(history.run)


def start(file: Path, out: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "testbed", "run", str(file), "--out", str(out), "--json"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def size(out: Path) -> int:
    return sum(file.stat().st_size for file in out.glob("*/*.jsonl"))


def wait_for(process: subprocess.Popen[str], out: Path, bytes_written: int) -> bool:
    """Until so much is written; False where the process came to its end before."""
    while process.poll() is None:
        if size(out) >= bytes_written:
            return True
        time.sleep(0.002)
    return False


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_kill_9_and_run_again(tmp_path, environment, run_in, kills):
    """A real process, killed at random moments of its writing, then left to finish."""
    from testbed.config.reading.load import load_study

    file = tmp_path / "study.toml"
    file.write_text(TOML.format(study="matrix"))
    whole = run_in(tmp_path / "whole", load_study(file))
    total = size(tmp_path / "whole")
    killed = 0
    moments = random.Random(1)
    shares = sorted(moments.uniform(0, 0.9) for _ in range(kills))
    print("killed at these shares of what is written:", *(f"{share:.3f}" for share in shares))
    for share in shares:
        process = start(file, tmp_path / "killed", environment)
        if wait_for(process, tmp_path / "killed", int(share * total) + 1):
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        end(process)
    assert killed == kills
    assert size(tmp_path / "killed") > 0
    assert content(run_in(tmp_path / "killed", load_study(file))) == content(whole)


@pytest.mark.parametrize(
    ("signals", "code"), [([signal.SIGINT], 130), ([signal.SIGTERM], 75), ([signal.SIGINT, signal.SIGINT], 130)]
)
def test_a_signal_and_a_second_process(tmp_path, environment, signals, code):
    """While one process writes, another is turned away; Ctrl-C ends the first in a sentence; it can be resumed."""
    file = tmp_path / "study.toml"
    text = TOML.format(study="learn").replace("episodes = 6", "episodes = 400")
    file.write_text(text)
    first = start(file, tmp_path, environment)
    assert wait_for(first, tmp_path, 1)
    turned_away, out, err = end(start(file, tmp_path, environment))
    assert (turned_away, out) == (1, "")
    (run,) = tmp_path.glob("learn-*")
    assert f"Error: {run}: another process is writing it; wait for it or choose another --out\n" in err
    assert "Traceback" not in err
    for number in signals:
        first.send_signal(number)
        time.sleep(0.02)
    left, out, err = end(first)
    assert (left, out) == (code, "")
    assert "Stopped. Finished episodes are stored; the same command resumes." in err
    assert "Traceback" not in err
    assert "never awaited" not in err
    if len(signals) == 1:
        assert (run / "run.log").read_text().endswith("INFO interrupted; the same command resumes\n")
    assert all(episode.error is None for episode in RunDirectory.open(run).episodes())
    with RunDirectory.open(run):
        pass
