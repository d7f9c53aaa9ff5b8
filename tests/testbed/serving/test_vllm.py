"""Starting and ending vLLM servers. The servers here are stand-ins of a few lines; tests/vllm meets the real one."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from agents.models.weights.folders import UnknownModel
from testbed.cli.serve import study_lines
from testbed.config.reading.load import load_study
from testbed.serving import vllm
from testbed.serving.vllm import ServeError, serving

GUARD = Path(vllm.__file__).with_name("supervise.py")

HEALTHY = """
import http.server, os, sys
port = int(sys.argv[sys.argv.index("--port") + 1])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *args): pass
print(sys.argv[1:], os.environ["VLLM_CPU_OMP_THREADS_BIND"], flush=True)
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
BROKEN = """
import sys
print("(EngineCore pid=12) ERROR 11-22 10:57:48 [core.py:99] RuntimeError: not enough memory for the KV cache")
sys.exit(3)
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROCMEM_HOME", str(tmp_path / "home"))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Make .venv-vllm's Python one that runs `program` whatever it is told."""
    script = tmp_path / "program.py"
    script.write_text(program)
    python = tmp_path / ".venv-vllm" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(vllm, "ROOT", tmp_path)


def test_the_command_serves_until_a_server_dies(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch):
    stand_in(tmp_path, monkeypatch, HEALTHY)
    command = f"""
from pathlib import Path
from testbed.cli import main as cli
from testbed.serving import vllm
vllm.ROOT = Path({str(tmp_path)!r})
cli.main()
"""
    arguments = ["serve", str(model), "--port", str(free_port())]
    root = Path(vllm.__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "[[agents]]\n"
    guard = children(process.pid)
    os.killpg(int(children(int(guard))), signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Error: vLLM stopped while serving" in said


def test_servers_are_ready_inside_the_block_and_gone_after_it(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
):
    stand_in(tmp_path, monkeypatch, HEALTHY)
    with serving([str(model), str(model)], max_model_len=512) as servers:
        assert len({server.url for server in servers}) == 2
        assert all(httpx.get(server.url).is_success for server in servers)
        said = servers[0].log.read_text()
        assert "'--max-model-len', '512'" in said
        assert "'--host', '127.0.0.1'" in said
    for server in servers:
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url)


def test_a_server_that_stops_says_why(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch):
    stand_in(tmp_path, monkeypatch, BROKEN)
    with pytest.raises(ServeError, match=r"RuntimeError: not enough memory for the KV cache; its log is .*log"):
        serving([str(model)]).__enter__()


def test_a_server_that_never_gets_ready(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch):
    stand_in(tmp_path, monkeypatch, "import time\ntime.sleep(60)")
    with pytest.raises(ServeError, match=r"was not ready after \d+ s; see "):
        serving([str(model)], patience=0.1).__enter__()


def test_a_port_that_is_taken(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch):
    stand_in(tmp_path, monkeypatch, HEALTHY)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ServeError, match="is taken; name another"):
            serving([str(model)], port=other.getsockname()[1]).__enter__()


def test_without_vllm(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vllm, "ROOT", tmp_path)
    with pytest.raises(ServeError, match="run: make vllm"):
        serving([str(model)]).__enter__()


def test_an_encoder_decoder_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stand_in(tmp_path, monkeypatch, HEALTHY)
    folder = tmp_path / "t5"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "t5", "is_encoder_decoder": true}')
    with pytest.raises(ServeError, match=r"is an encoder-decoder, .* it runs in process"):
        serving([str(folder)]).__enter__()


def test_an_unknown_model(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch):
    stand_in(tmp_path, monkeypatch, HEALTHY)
    with pytest.raises(UnknownModel, match="nearest names"):
        serving(["gemma4-270m"]).__enter__()


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_servers_end_with_whoever_started_them(
    blow: signal.Signals, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
):
    stand_in(tmp_path, monkeypatch, HEALTHY)
    starter = f"""
import time
from pathlib import Path
from testbed.serving import vllm
vllm.ROOT = Path({str(tmp_path)!r})
with vllm.serving([{str(model)!r}]) as [server]:
    print(server.url, flush=True)
    time.sleep(60)
"""
    root = Path(vllm.__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert httpx.get(url).is_success
    process.send_signal(blow)
    process.wait()
    eventually_refused(url)


def test_a_server_ends_with_its_guard(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch):
    stand_in(tmp_path, monkeypatch, HEALTHY)
    with serving([str(model)]) as [server]:
        os.kill(server.pid, signal.SIGKILL)
        eventually_refused(server.url)


def test_a_child_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    stubborn = (
        "import signal, time, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('up', flush=True); time.sleep(60)"
    )
    patience = "import supervise, sys; supervise.PATIENCE = 0.2; sys.exit(supervise.main(sys.argv[1:]))"
    command = [sys.executable, "-c", patience, sys.executable, "-c", stubborn]
    guard = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=GUARD.parent)
    assert guard.stdin is not None
    assert guard.stdout is not None
    assert guard.stdout.readline() == b"up\n"
    guard.stdin.close()
    assert guard.wait(timeout=30) != 0


def test_the_lines_for_a_study(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch):
    stand_in(tmp_path, monkeypatch, HEALTHY)
    with serving([str(model), str(model)]) as servers:
        lines = study_lines(servers)
    study = tmp_path / "study.toml"
    study.write_text(f'study = "matrix"\n{lines}\n[[tasks]]\nenvironment = "Mastermind-v0"\n')
    [agent] = load_study(study).agents
    assert agent.model == str(model)
    assert agent.base_url == tuple(server.url for server in servers)


def test_the_example_is_a_study_with_two_served_models():
    config = load_study(Path(vllm.__file__).parents[2] / "examples" / "vllm.toml")
    assert [len(agent.base_url) for agent in config.agents] == [1, 1]


def eventually_refused(url: str) -> None:
    for _ in range(200):
        try:
            httpx.get(url, timeout=1)
        except httpx.TransportError:
            return
        time.sleep(0.1)
    raise AssertionError(f"{url} still answers")


def children(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().strip()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
