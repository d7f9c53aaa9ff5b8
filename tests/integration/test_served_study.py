"""A study whose model is behind a server that is away at times, refuses one prompt, and repeats its key."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from agents.models.model import ModelMisconfigured
from agents.models.served.http import outage
from testbed.config.reading.load import parse_study
from testbed.config.study import StudyConfig
from testbed.studies.run import run_study
from tests.support.stub_server import Answer, Body, Reply, StubServer, chat, move, stub_servers
from tests.support.studies import SMALL, Watcher

KEY = "sk-live-0123456789abcdef"


def served(url: str, **agent: Any) -> StudyConfig:
    agents = [{"name": "a", "model": "m", "base_url": [url], "api_key_env": "STUB_API_KEY", **agent}]
    small = {
        **SMALL,
        "fail_at": 1000,
        "agents": agents,
        "tasks": SMALL["tasks"][:1],
        "learning_runs": 1,
        "arms": ["none", "seed"],
    }
    return parse_study({**small, "skills": {"embedder": "lexical", "termination": "age"}}, "test")


def episodes(folder: Path) -> list[str]:
    [path] = folder.glob("*/episodes.jsonl")
    return sorted(path.read_text().splitlines())


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setenv("STUB_API_KEY", KEY)
    monkeypatch.setattr(outage, "backoff", lambda tries: random.uniform(0, 0.02))


def test_a_run_through_twenty_outages_equals_the_undisturbed_one(tmp_path: Path):
    ways: list[Any] = [
        (503, {}),
        (500, {}),
        (0, None),
        Reply(429, {}, {"retry-after-ms": "20"}),
        (200, {"error": "busy"}),
    ]
    lock, state = threading.Lock(), {"requests": 0, "outages": 0, "left": 0}
    dice = random.Random(3)

    def flaky(body: Body) -> Any:
        with lock:
            state["requests"] += 1
            if not state["left"] and state["requests"] > 1 and dice.random() < 0.3:
                state["left"] = dice.randint(1, 6)
                state["outages"] += 1
            if state["left"]:
                state["left"] -= 1
                return ways[state["outages"] % len(ways)]
        return move(body)

    answers: dict[str, Answer] = {"steady": move, "flaky": flaky}
    for name, answer in answers.items():
        with stub_servers(answer) as [server]:
            anyio.run(run_study, served(server.url, patience=60.0), tmp_path / name, Watcher())
    assert state["outages"] >= 20
    assert episodes(tmp_path / "steady") == episodes(tmp_path / "flaky")
    [study] = (tmp_path / "flaky").glob("*/study.json")
    found = json.loads(study.read_text())["versions"]["servers"]["a"]
    assert found["grammar"] is True
    assert "keeps answers to a grammar" in found["sentence"]


def test_a_server_that_repeats_the_key_does_not_get_it_on_the_disk(tmp_path: Path):
    calls = {"n": 0}

    def leaky(body: Body) -> Any:
        calls["n"] += 1
        if calls["n"] > 1 and calls["n"] % 25 == 0:
            return 400, {"error": {"message": f"content filter: {KEY} at http://me:{KEY}@here/?k={KEY}"}}
        return move(body)

    with stub_servers(leaky) as [server]:
        anyio.run(run_study, served(server.url), tmp_path, Watcher())
    texts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"content filter: [key] at http://here" in text for text in texts)
    assert not any(KEY.encode() in text for text in texts)


def test_a_server_without_grammars_stops_the_study_before_it_begins(tmp_path: Path):
    server = StubServer(lambda body: (200, chat("Good morning!")))
    try:
        with pytest.raises(ModelMisconfigured, match=r"agent a: m answered 'Good morning!'.*structured outputs"):
            anyio.run(run_study, served(server.url), tmp_path, Watcher())
    finally:
        server.stop()
    assert not list(tmp_path.iterdir())
