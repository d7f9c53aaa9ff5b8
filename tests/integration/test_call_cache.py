"""A run with a cache of calls: the second one asks no server, and is the first one again."""

from __future__ import annotations

import json
import random
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from testbed.records.side_files.accounts import read_accounts
from tests.support.stub_server import Body, chat, move, stub_servers

STUDY = """
study = "matrix"
learning_runs = 1
evaluation_episodes = 3
arms = ["none", "seed", "self"]
[[agents]]
name = "a"
model = "m"
base_url = ["{url}"]
temperature = {temperature}
[[tasks]]
environment = "Doors-v0"
[skills]
embedder = "lexical"
selector = "similarity"
[learning]
learner = "keep-best"
iterations = 1
episodes = 3
"""


def moody(seed: int):
    """In the form asked for, and never the same twice: whoever gets the same answer again did not ask this."""
    rng, number = random.Random(seed), count()

    def answer(body: Body) -> tuple[int, Any]:
        if "response_format" not in body:
            return 200, chat(f"thought {next(number)}")
        return move({**body, "messages": [*body["messages"], rng.random()]})

    return answer


def played(folder: Path) -> list[str]:
    [file] = folder.glob("*/episodes.jsonl")
    return sorted(file.read_text().splitlines())


def learned(folder: Path) -> str:
    [file] = folder.glob("*/events.jsonl")
    return file.read_text()


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_second_run_with_the_cache_asks_nothing_and_is_the_same(procmem, tmp_path, temperature):
    """Of a server that is not known to heed seeds only what it does not draw is kept."""
    study, cache = tmp_path / "study.toml", tmp_path / "calls.db"
    asked: list[int] = []
    for run, seed in (("first", 1), ("second", 2)):
        with stub_servers(moody(seed)) as [server]:
            study.write_text(STUDY.format(url=f"{server.url}/v1", temperature=temperature), encoding="utf-8")
            said = procmem("run", study, "--out", tmp_path / run, "--cache", cache, "--json")
            assert said.code == 0, said.err
            asked.append(len(server.seen))
    [path] = (tmp_path / "second").iterdir()
    total = read_accounts(path).total
    if temperature:
        posts = read_accounts(path).posts
        assert sum(account.recalled for post, account in posts.items() if post.use == "act") == 0
        assert played(tmp_path / "second") != played(tmp_path / "first")
        return
    assert played(tmp_path / "second") == played(tmp_path / "first")
    assert learned(tmp_path / "second") == learned(tmp_path / "first")
    assert (total.calls, total.tokens) == (0, 0)
    [first] = (tmp_path / "first").iterdir()
    before = read_accounts(first).total
    assert total.recalled == before.calls + before.recalled
    assert total.recalled_tokens == before.tokens + before.recalled_tokens
    # what is left is what every run asks a server before it relies on it
    assert asked[1] == asked[0] - before.calls < 10


def test_without_the_option_nothing_is_kept(procmem, tmp_path):
    study = tmp_path / "study.toml"
    for run in ("first", "second"):
        with stub_servers(moody(1 if run == "first" else 2)) as [server]:
            study.write_text(STUDY.format(url=f"{server.url}/v1", temperature=0.0), encoding="utf-8")
            assert procmem("run", study, "--out", tmp_path / run, "--json").code == 0
    assert played(tmp_path / "second") != played(tmp_path / "first")
    assert not list(tmp_path.glob("*.db"))


def test_a_damaged_file_is_one_sentence(sentence, tmp_path, small_file):
    (tmp_path / "calls.db").write_bytes(b"\xffnothing of the kind" * 100)
    said = sentence("run", small_file, "--out", tmp_path / "runs", "--cache", tmp_path / "calls.db")
    assert "is no cache of calls" in said
    assert not (tmp_path / "runs").exists()


def test_it_goes_with_the_local_engine(sentence, tmp_path, small_file):
    pytest.importorskip("ray")
    said = sentence("run", small_file, "--out", tmp_path / "runs", "--cache", tmp_path / "calls.db", "--engine", "ray")
    assert '--cache goes with engine = "local"' in said


def test_its_study_is_the_same_study(procmem, tmp_path, small_file):
    plain = procmem("run", small_file, "--out", tmp_path / "plain", "--json")
    cached = procmem("run", small_file, "--out", tmp_path / "cached", "--cache", tmp_path / "calls.db", "--json")
    assert Path(json.loads(plain.out)["run"]).name == Path(json.loads(cached.out)["run"]).name
    assert played(tmp_path / "plain") == played(tmp_path / "cached")
