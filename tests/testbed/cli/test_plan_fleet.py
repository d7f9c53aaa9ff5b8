"""`procmem plan --fleet`, and `procmem bench fleet` that measures for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FLEET = """
[[gpus]]
count = {count}
memory = 80

[[models]]
model = "m"
weights = {weights}
prompt = 1000
decode = {{ 1 = 10, 64 = 400 }}
load = 30
{more}
"""
STUDY = """
study = "matrix"
learning_runs = 2
evaluation_episodes = 4
concurrency = {concurrency}
arms = ["none", "self"]
agents = [{{ name = "a", model = "m" }}]
tasks = [{{ environment = "Doors-v0" }}]
[skills]
embedder = "lexical"
[learning]
learner = "keep-best"
iterations = 1
episodes = 2
"""


@pytest.fixture
def files(tmp_path):
    def write(concurrency: int = 8, count: int = 1, weights: float = 16, more: str = "") -> tuple[Path, Path]:
        study, fleet = tmp_path / "study.toml", tmp_path / "fleet.toml"
        study.write_text(STUDY.format(concurrency=concurrency), encoding="utf-8")
        fleet.write_text(FLEET.format(count=count, weights=weights, more=more), encoding="utf-8")
        return study, fleet

    return write


def told(procmem, study: Path, fleet: Path, *more) -> dict:
    said = procmem("plan", study, "--fleet", fleet, "--json", *more)
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_hours_tokens_and_gpus_are_told(procmem, files):
    alone = told(procmem, *files(concurrency=1))
    assert alone["hours"] == pytest.approx((alone["loading"] + alone["seconds"]) / 3600)
    assert alone["loading"] == 30
    tokens = alone["tokens"]["m"]
    # one at a time: whatever is asked, at the speeds of a batch of one
    assert alone["seconds"] == pytest.approx(tokens["prompt"] / 1000 + tokens["written"] / 10, rel=0.2)
    assert told(procmem, *files(concurrency=16))["seconds"] < alone["seconds"] / 2
    assert alone["assumed"] == ["m"]
    two = told(procmem, *files(concurrency=16, count=2))
    assert [site["models"] for site in two["sites"]] == [["m"], ["m"]]
    assert told(procmem, *files(more='measured = "here"'))["assumed"] == []


def test_what_is_assumed_and_not_known_is_printed(procmem, files):
    said = procmem("plan", files()[0], "--fleet", files()[1])
    assert "Assumed, not measured: the speeds of m" in said.out
    assert "Not known: games are as long as a random player's" in said.out


def test_a_model_that_fits_nowhere_is_said_before_anything_else(sentence, files, tmp_path):
    study, fleet = files(weights=160)
    study.write_text(study.read_text().replace("Doors-v0", "tests.support.third_party:fragile"), encoding="utf-8")
    assert "m fits on no GPU" in sentence("plan", study, "--fleet", fleet, "--plugins")


def test_a_model_without_speeds_is_named(sentence, files):
    study, fleet = files()
    study.write_text(study.read_text().replace('model = "m"', 'model = "other"'), encoding="utf-8")
    assert "does not say how fast other is (there are: m)" in sentence("plan", study, "--fleet", fleet)


def test_one_plan_at_a_time(procmem, files):
    study, fleet = files()
    assert procmem("plan", study).code == 2
    assert procmem("plan", study, "--fleet", fleet, "--detect", 0.1).code == 2


def test_a_pilot_tells_how_long_games_are(procmem, files, run, study):
    pilot = run(study(agents=[{"name": "a", "model": "scripted:random"}], tasks=[{"environment": "Doors-v0"}]))
    found = told(procmem, *files(), "--pilot", pilot.path)
    calls = [sum(step.calls for step in episode.trajectory.steps) for episode in pilot.episodes()]
    episodes = 2 * 2 + 2 * 2 * 4
    assert found["calls"] == pytest.approx(episodes * sum(calls) / len(calls), rel=0.2)
    assert not any("random player" in each for each in found["unknown"])


def test_scripted_models_have_no_speed_to_measure(sentence, run, study):
    assert "only scripted models play there" in sentence("bench", "fleet", run(study()).path)


def test_the_example_of_64_gpus_is_sized(procmem):
    """Slow enough to be one test: all of it, as documented."""
    cluster = ROOT / "examples" / "cluster"
    found = told(procmem, cluster / "matrix_10x10.toml", cluster / "fleet.toml")
    assert sum(len(site["gpus"]) for site in found["sites"]) <= 64
    assert len(found["tokens"]) == 10
    assert 0.1 < found["hours"] < 100
    assert len(found["assumed"]) == 11
