"""Reports of run directories: of a population, of two runs, and their audit."""

from __future__ import annotations

import importlib
import json
import sys

import pytest

from testbed.config.reading.load import parse_study

POPULATION = {
    "study": "population",
    "seed": 3,
    "resamples": 200,
    "learning_runs": 2,
    "evaluation_episodes": 2,
    "arms": ["none"],
    "agents": [{"name": "a", "model": "scripted:obedient"}],
    "tasks": [{"environment": "Doors-v0"}],
    "skills": {"embedder": "lexical", "termination": "age", "selector": "similarity", "max_age": 1},
    "learning": {"learner": "notes", "iterations": 3, "episodes": 2},
    "population": {
        "copies": 3,
        "policies": [
            {"exchange": "isolated"},
            {"exchange": "broadcast"},
            {"exchange": "broadcast", "poison": "wrong-procedure", "poison_round": 2},
        ],
    },
}


@pytest.fixture(scope="module")
def village(run_in, tmp_path_factory):
    return run_in(tmp_path_factory.mktemp("village"), parse_study(POPULATION, "test")).path


def test_a_population_is_reported_and_audited(procmem, village):
    said = procmem("report", village)
    assert said.code == 0, said.err
    assert "3 members lived 3 rounds under 3 policies, in 6 populations." in said.out
    assert "the planted skill was held by at most" in said.out
    page = (village / "report" / "report.html").read_text(encoding="utf-8")
    sections = ("population", "rounds", "exchange", "roles", "contagion", "returns", "methods")
    assert all(f'<section id="{name}"' in page for name in sections)
    assert (village / "report" / "tables" / "population_rounds.csv").exists()
    assert (village / "report" / "figures" / "adoption.svg").exists()
    said = procmem("audit", village)
    assert "The records fit the study, and give every file of the report." in said.out, said.out


def test_a_population_without_poison_says_nothing_of_one(procmem, run):
    policies = [policy for policy in POPULATION["population"]["policies"] if "poison" not in policy]
    clean = {**POPULATION, "population": {"copies": 3, "policies": [*policies, {"exchange": "commons"}]}}
    said = procmem("report", run(parse_study(clean, "test")).path, "--resamples", 200)
    assert said.code == 0, said.err
    assert "planted" not in said.out


def test_an_audit_names_what_was_changed(procmem, sentence, run, study, one_agent):
    path = run(study(**one_agent, resamples=200)).path
    assert "there is no report" in sentence("audit", path)
    assert procmem("report", path).code == 0
    file = path / "report" / "findings.json"
    recorded = json.loads(file.read_text(encoding="utf-8"))
    recorded["findings"][0]["estimate"] = 7.5
    file.write_text(json.dumps(recorded), encoding="utf-8")
    said = procmem("audit", path)
    assert said.code == 1
    assert "estimate is 7.5 in the report, the records give" in said.out
    file.write_text(file.read_text(encoding="utf-8")[:40], encoding="utf-8")
    assert "damaged" in sentence("audit", path)


def test_a_report_written_elsewhere_is_audited_where_it_lies(procmem, sentence, run, study, one_agent, tmp_path):
    path, out = run(study(**one_agent, resamples=200)).path, tmp_path / "elsewhere"
    assert procmem("report", path, "--out", out).code == 0
    assert procmem("audit", path, "--report", out).code == 0
    (out / "report.html").write_text("better", encoding="utf-8")
    said = procmem("audit", path, "--report", out)
    assert said.code == 1
    assert "report.html" in said.out
    assert "procmem audit RUN --report" in sentence("audit", out)
    assert "there is no report; write it with" in sentence("audit", path, "--report", tmp_path / "nowhere")


def test_runs_are_compared_or_refused(procmem, sentence, run, study, one_agent, tmp_path):
    one_agent = one_agent | {"resamples": 200}
    first = run(study(**one_agent)).path
    agents = [{"name": "b", "model": "scripted:suggestible"}]
    second = run(study(**one_agent | {"agents": agents})).path
    elsewhere = run(study(**one_agent | {"seed": 6})).path
    out = tmp_path / "both"
    said = procmem("report", first, second, "--out", out)
    assert said.code == 0, said.err
    assert f"{second.name} − {first.name}, no memory" in said.out.replace("\n", " ")
    assert (out / "report.html").exists()
    assert procmem("audit", out).code == 0
    file = out / "findings.json"
    file.write_text(file.read_text(encoding="utf-8").replace("Undecided", "Better", 1), encoding="utf-8")
    assert "sentence is 'Better" in procmem("audit", out).out
    told = json.loads(procmem("report", first, second, "--out", out, "--resamples", 200, "--json").out)
    assert told["findings"]
    assert "environment seeds differ" in sentence("report", first, elsewhere, "--out", out)
    assert "two of the runs are called" in sentence("report", first, first, "--out", out)


def test_runs_against_other_opponents_are_not_paired(procmem, sentence, run, study, one_agent, tmp_path):
    nim, doors = {"environment": "Nim-v0"}, {"environment": "Doors-v0"}
    one_agent = one_agent | {"resamples": 200, "arms": ["none"]}
    first = run(study(**one_agent | {"tasks": [nim, doors]})).path
    other = nim | {"opponent": "scripted:suggestible"}
    agents = [{"name": "b", "model": "scripted:suggestible"}]
    second = run(study(**one_agent | {"tasks": [other, doors], "agents": agents})).path
    said = procmem("report", first, second, "--out", tmp_path / "both")
    assert said.code == 0, said.err
    told = " ".join(said.out.split())
    assert "the task “Nim-v0” is left out, for it was another game (opponent scripted:random in" in told
    alone = run(study(**one_agent | {"tasks": [other]})).path
    assert "was another game" in sentence("report", first, alone, "--out", tmp_path / "alone")
    alike = [nim, doors | {"opponent": "scripted:suggestible"}]  # nobody sits opposite in Doors
    single = run(study(**one_agent | {"tasks": alike, "agents": agents})).path
    assert "another game" not in procmem("report", first, single, "--out", tmp_path / "single").out


COIN = """
from tests.support.third_party import SIDES, Coin
from environments.games.rounds import round_game

class Flips(Coin):
    rounds = {rounds}

GAME = round_game("Flips-v0", Flips, rounds={rounds}, grammar=SIDES, family="Coin", difficulty=0, summary="Call flips.")
"""


def test_somebody_elses_game_is_another_one_with_other_steps_or_another_file(
    procmem, sentence, run, study, one_agent, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(tmp_path)
    tasks = [{"environment": "flips_of_theirs:GAME"}, {"environment": "Doors-v0"}]
    runs = []
    for rounds, agent in ((2, "a"), (3, "b")):
        (tmp_path / "flips_of_theirs.py").write_text(COIN.format(rounds=rounds), encoding="utf-8")
        importlib.invalidate_caches()
        sys.modules.pop("flips_of_theirs", None)
        named = {"arms": ["none"], "tasks": tasks, "agents": [{"name": agent, "model": "scripted:suggestible"}]}
        runs.append(run(study(**one_agent | {"resamples": 200} | named)).path)
    said = procmem("report", *runs, "--out", tmp_path / "both")
    assert said.code == 0, said.err
    told = " ".join(said.out.split())
    assert "the task “Flips-v0” is left out, for it was another game (flips_of_theirs " in told
    assert f"step limit 4 in {runs[0].name}, 6 in {runs[1].name}" in told
    assert "Doors-v0" not in told.partition("is left out")[0].rpartition("task")[2]
