"""Game processes: used again, ended when Python ends, and whatever becomes of one costs nobody else anything."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from environments.games.game import GameError
from environments.worlds import processes as module
from environments.worlds.processes import GameProcesses

ENGINE = """
import os, signal, sys, time
LIBRARY = "A library"
class Engine:
    def answer(self, request):
        if "sleep" in request: time.sleep(request["sleep"])
        if "die" in request: os.kill(os.getpid(), signal.SIGKILL)
        if "leave" in request: sys.exit(3)
        if "raise" in request: raise OSError("no\\nway")
        if "fail" in request: return {"error": "no"}
        print("no answer")
        return {"pid": os.getpid(), **request}
"""


class Player:
    pass


@pytest.fixture
def processes(tmp_path: Path):
    engine = tmp_path / "engine.py"
    engine.write_text(ENGINE)
    found = GameProcesses(engine)
    yield found
    found.end()
    assert found.running == []


def test_answers_of_any_length_come_back(processes):
    player = Player()
    process, _ = processes.lend(player)
    text = "ä\n" * 500_000
    assert process.ask(text=text)["text"] == text
    assert process.ask(number=2)["number"] == 2


def test_a_process_is_used_again(processes):
    first, give_back = processes.lend(player := Player())
    give_back()
    give_back()
    second, _ = processes.lend(other := Player())
    third, _ = processes.lend(player)
    assert first is second
    assert third is not first
    assert len(processes.running) == 2
    del other
    gc.collect()
    assert processes.lend(Player())[0] is first


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"die": True}, "its process was killed by SIGKILL"),
        ({"leave": True}, "its process ended with exit code 3"),
        ({"fail": True}, "no"),
        ({"raise": True}, r"A library failed \(OSError: no way\)"),
        ({"sleep": 60}, "it did not answer within 0.5 s"),
    ],
    ids=str,
)
def test_what_goes_wrong_is_an_error_of_that_game_alone(processes, monkeypatch, request_, said):
    monkeypatch.setattr(module, "LONGEST_SILENCE", 0.5)
    bad, good = Player(), Player()
    process, give_back = processes.lend(bad)
    other, _ = processes.lend(good)
    monkeypatch.setattr(module, "LONGEST_SILENCE", 10.0)
    assert other.ask(a=1)["a"] == 1
    process.ask(a=1)
    monkeypatch.setattr(module, "LONGEST_SILENCE", 0.5)
    with pytest.raises(GameError, match=f"^{said}$"):
        process.ask(**request_)
    assert not process.alive
    give_back()
    monkeypatch.setattr(module, "LONGEST_SILENCE", 10.0)
    assert other.ask(a=2)["a"] == 2
    assert processes.lend(bad)[0].ask(a=3)["a"] == 3


def test_one_that_has_played_long_enough_is_replaced(processes, monkeypatch):
    monkeypatch.setattr(module, "MOST_GAMES", 3)
    player, pids = Player(), []
    for _ in range(7):
        process, give_back = processes.lend(player)
        pids.append(process.ask(a=1)["pid"])
        give_back()
        give_back()
    assert len(set(pids[:3])) == len(set(pids[3:6])) == len(set(pids[6:])) == 1
    assert len(set(pids)) == 3
    assert processes.running == pids[-1:]


def test_one_that_died_idle_is_replaced(processes):
    process, give_back = processes.lend(player := Player())
    process.ask(a=1)
    give_back()
    os.kill(process.pid, signal.SIGKILL)
    process._process.wait()
    assert processes.lend(player)[0].ask(a=1)["pid"] != process.pid


@pytest.mark.parametrize("ending", ["pass", "import os; os.kill(os.getpid(), 9)"], ids=["exit", "kill -9"])
def test_processes_end_with_python(tmp_path, ending):
    (tmp_path / "engine.py").write_text(ENGINE)
    code = (
        "import json\nfrom pathlib import Path\nfrom environments.worlds.processes import GameProcesses\n"
        f"processes = GameProcesses(Path({str(tmp_path / 'engine.py')!r}))\n"
        "class Player: pass\n"
        "players = [Player() for _ in range(3)]\n"
        "print(json.dumps([processes.lend(player)[0].ask(a=1)['pid'] for player in players]), flush=True)\n" + ending
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pids = json.loads(run.stdout)
    last = time.monotonic() + 10
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < last:
        time.sleep(0.05)
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)
    assert "Traceback" not in run.stderr
