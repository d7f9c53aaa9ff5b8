"""A run through outages equals the undisturbed one: whatever the server does, the same command ends in the same run."""

from __future__ import annotations

import json
import random
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest

from agents.models.model import ModelUnavailable
from testbed.config.reading.load import parse_study
from testbed.config.study import StudyConfig
from testbed.play.course.failures import ModelGone
from testbed.records.run_directory import RunDirectory
from tests.support.stub_server import Reply, StubServer, chat

AGENT = {"name": "a", "model": "m", "patience": 0.05, "timeout": 5.0}
MATRIX: dict[str, Any] = {
    "study": "matrix",
    "seed": 3,
    "learning_runs": 1,
    "evaluation_episodes": 6,
    "concurrency": 3,
    "arms": ["none", "seed", "self"],
    "agents": [AGENT, {"name": "b", "model": "scripted:obedient"}],
    "tasks": [{"environment": "Doors-v0"}],
    "skills": {"embedder": "lexical", "termination": "age", "max_age": 2},
    "learning": {"learner": "notes", "iterations": 3, "episodes": 6},
}
POPULATION: dict[str, Any] = MATRIX | {
    "study": "population",
    "arms": ["none"],
    "population": {"policies": [{"exchange": "ring"}, {"exchange": "commons"}]},
}


class Mind:
    """Answers what the prompt and the seed determine, unless it is out: after as many answers as `outages` says, for
    as many requests."""

    def __init__(self, outages: list[tuple[int, int]] | None = None) -> None:
        self.met = 0
        self._outages = list(outages or [])
        self._answers = self._out = 0
        self._lock = threading.Lock()  # the stub answers from many threads

    def __call__(self, body: dict[str, Any]) -> Reply:
        with self._lock:
            if self._outages and self._answers >= self._outages[0][0]:
                self.met += self._out == 0
                self._out += 1
                if self._out >= self._outages[0][1]:
                    self._outages.pop(0)
                    self._out = 0
                return Reply(*random.Random(self._out).choice([(503, {}), (0, None), (502, b"<html>"), (429, {})]))
            self._answers += 1
        schema = body["response_format"]["json_schema"]["schema"]["properties"]["answer"]
        options = schema.get("enum", ["[1 2 3 4]"])  # the latter for the probe at the start
        drawn = zlib.crc32(json.dumps([body["messages"], body["seed"]]).encode())
        return Reply(200, chat(json.dumps({"answer": options[drawn % len(options)]})))


def planned(seed: int, outages: int, requests: int) -> list[tuple[int, int]]:
    """When outages begin (in answers) and how long they last (in requests): short blips, and some that end a run."""
    rng = random.Random(seed)
    moments = sorted(rng.sample(range(1, requests), outages))
    return [(moment, rng.choice([1, 2, 3, 12])) for moment in moments]


def _without_parents(pool: Path) -> Any:
    """Two populations may come to one pool from other parents; the first to write it decides. Events hold both."""
    return [{**skill, "parents": None} for skill in json.loads(pool.read_text())["skills"]]


def content(run: RunDirectory) -> tuple[list[str], list[bytes], dict[str, Any]]:
    """All that a run says, but for the order of things and the failures that were made good."""
    return (
        sorted(episode.model_dump_json() for episode in run.episodes()),
        sorted(run.events_file.read_bytes().splitlines()),
        {path.name: _without_parents(path) for path in (run.path / "pools").iterdir()},
    )


def finish(config: StudyConfig, out: Path, run_in: Any) -> tuple[RunDirectory, int]:
    """The study to its end by the same command, and how often that took it up again."""
    for stops in range(1000):
        try:
            return run_in(out, config), stops
        except (ModelGone, ModelUnavailable):  # the latter at the start: exit code 75 as well
            pass
    raise AssertionError("a study that never ends")


@pytest.mark.parametrize("study", [MATRIX, POPULATION], ids=["matrix", "population"])
def test_a_run_through_outages_equals_the_undisturbed_one(study, run_in, tmp_path):
    mind = Mind()
    server = StubServer(mind)

    def config() -> StudyConfig:
        return parse_study({**study, "agents": [AGENT | {"base_url": server.url}, study["agents"][1]]}, "test")

    whole = run_in(tmp_path / "whole", config())
    requests = len(server.seen)
    server.answer = mind = Mind(planned(7, 22, requests))
    disturbed, stops = finish(config(), tmp_path / "disturbed", run_in)
    server.stop()
    assert mind.met >= 20
    assert stops > 0
    assert content(disturbed) == content(whole)
    assert any(episode.error for _, episode in disturbed.stored())
    assert not any(episode.error for episode in disturbed.episodes())
