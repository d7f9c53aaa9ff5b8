"""`procmem watch`: at any width, without a terminal, as JSON, and while another process writes the run."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from testbed.cli.terminal import Terminal
from testbed.cli.watch import one_line, shown
from testbed.records.side_files.status import ServerState, Status, UnderWay, read_status, write_status
from testbed.view.watched import Watched


@pytest.fixture(scope="module")
def path(study, run_in, tmp_path_factory):
    return run_in(tmp_path_factory.mktemp("runs"), study(learning_runs=1)).path


def printed(path, width: int) -> list[str]:
    out = io.StringIO()
    Terminal(file=out, width=width).print(shown(Watched(path).look(), width))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_it_is_shown_whole_at_any_width(path, width):
    lines = printed(path, width)
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "finished" in text
    assert "100%" in text
    assert all(arm in text.replace(" ", "") for arm in ("transfer", "shuffled", "opponent:scripted:random"))


def test_it_stops_when_the_run_has_ended_and_prints_lines_for_machines(procmem, path):
    said = procmem("watch", path)
    assert (said.code, len(said.out.splitlines())) == (0, 1)
    assert said.out.startswith("finished · 80/80 episodes · 8/8 steps · ")
    look = json.loads(procmem("watch", path, "--once", "--json").out)
    assert (look["state"], look["finished"]) == ("finished", 80)
    assert procmem("watch", path, "--once").code == 0


def test_what_is_no_run_is_one_sentence(sentence, tmp_path):
    assert "not a run directory" in sentence("watch", tmp_path, "--once")
    assert "no such file of prices" in sentence("watch", tmp_path, "--prices", tmp_path / "none")


def test_a_silent_run_and_hostile_names_are_shown_as_they_are(path):
    now = datetime(2020, 1, 1, tzinfo=UTC)
    under_way = UnderWay(what="self · \x1b[31mred\x1b[0m [bold]x", since=now)
    write_status(
        path,
        Status(
            state="running", at=now, began=now, host="node7", process=3, planned=80, finished=80, failed=0,
            thinking=(under_way,), scoring=(1, 4), left=60.0, left_at_least=True,
        ),
    )  # fmt: skip
    text = "\n".join(printed(path, 120))
    assert "Nothing was heard of it for" in text
    assert "node7, process 3" in text
    assert "\\x1b[31mred\\x1b[0m [bold]x" in text
    assert "\x1b" not in text
    assert "likelihoods 25%" in text
    assert one_line(Watched(path).look()).endswith("left ≥ 0:01:00")


def test_it_follows_a_run_that_another_process_writes(tmp_path, small_file, environment):
    """To its end; each look is a line of JSON, and episodes never become fewer."""
    command = [sys.executable, "-m", "testbed"]
    arguments = ["run", small_file, "--out", tmp_path / "runs", "--set", "learning.episodes=40"]
    with subprocess.Popen([*command, *arguments], env=environment, stderr=subprocess.DEVNULL) as run:
        while not (found := list((tmp_path / "runs").glob("*/study.json"))):
            assert run.poll() is None
        watching = [*command, "watch", found[0].parent, "--json", "--every", "0.1"]
        said = subprocess.run(watching, env=environment, capture_output=True, text=True, timeout=120, check=True)
        assert run.wait(60) == 0
    looks = [json.loads(line) for line in said.stdout.splitlines()]
    counts = [look["finished"] for look in looks]
    assert counts == sorted(counts)
    assert (looks[-1]["state"], looks[-1]["finished"], looks[-1]["planned"]) == ("finished", 160, 160)


@pytest.mark.parametrize("width", [30, 200])
def test_the_health_of_servers_is_told(path, width):
    state = ServerState(
        model="qwen",
        state="fails",
        in_flight=12,
        answered=3000,
        failed=5,
        paused=2,
        paused_seconds=40,
        tokens_per_second=17.25,
        error="answered 429 (busy \x1b[31m)",
        error_at=datetime(2026, 11, 26, 3, 4, 5, tzinfo=UTC),
        starts=3,
        restarts=1,
    )
    before = read_status(path)
    write_status(path, before.model_copy(update={"servers": {"http://127.0.0.1:8000/v1": state}}))
    try:
        lines = printed(path, width)
    finally:
        write_status(path, before)
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "\x1b[31m" not in text
    if width == 200:
        for part in (
            "fails · qwen",
            "12 in flight",
            "3,000 answered",
            "17.2 tokens/s",
            "5 tries failed",
            "2 pauses, 40 s",
        ):
            assert part in text
        assert "started 3 times · restarted 1 times · last error 03:04:05: answered 429 (busy" in text
