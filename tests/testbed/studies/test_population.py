"""Populations: what is played, what is exchanged, what is committed; and that nothing is ever lost."""

from __future__ import annotations

import copy
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from environments.registry import ENVIRONMENTS
from testbed.config.reading.load import load_study, parse_study
from testbed.config.study import ConfigError
from testbed.play.course.failures import ModelGone
from testbed.records.keys import LearnerKey
from testbed.records.lines import MemberEventLine, RoundCommit
from testbed.records.run_directory import RunDirectory
from testbed.records.trial import Trial
from testbed.reports.audit import check_records
from testbed.reports.tables import load_population, load_run
from testbed.studies.cost.forecast import count_episodes
from testbed.studies.outcome.shortfall import Shortfall
from tests.support.history import content, record
from transfer.exchange.common_pool import COMMONS
from transfer.memory.lineage import Lineage

VILLAGE = {
    "study": "population",
    "seed": 11,
    "learning_runs": 2,
    "evaluation_episodes": 2,
    "arms": ["none"],
    "agents": [{"name": "a", "model": "scripted:obedient"}, {"name": "b", "model": "scripted:obedient"}],
    "tasks": [{"environment": "Doors-v0"}],
    "skills": {"embedder": "lexical", "termination": "age", "selector": "similarity", "max_age": 1},
    "learning": {"learner": "notes", "iterations": 4, "episodes": 2},
    "population": {
        "copies": 2,
        "policies": [
            {"exchange": "isolated"},
            {"exchange": "commons"},
            {"exchange": "pairs"},
            {"exchange": "ring", "admission": "gate", "poison": "wrong-procedure", "poison_round": 2},
        ],
    },
}


def village(**changes):
    """The small population; keys of `population` and `learning` are merged."""
    data = {**copy.deepcopy(VILLAGE)}
    for key, value in changes.items():
        data[key] = {**data[key], **value} if key in ("population", "learning", "skills") else value
    return parse_study(data, "test")


def complaint(**changes) -> str:
    with pytest.raises(ConfigError) as caught:
        village(**changes)
    return str(caught.value)


@pytest.fixture(scope="module")
def finished(run_in, tmp_path_factory):
    return run_in(tmp_path_factory.mktemp("village"), village())


# -- what is played --------------------------------------------------------------------------------------------------


def test_everybody_plays_every_round_and_is_evaluated(finished):
    episodes = list(finished.episodes())
    config = finished.config()
    assert len(episodes) == sum(count_episodes(config))
    members = {"a_1", "b_1", "a_2", "b_2"}
    played = Counter((each.trial.arm, each.trial.learning_run, each.trial.iteration, each.trial.agent)
                     for each in episodes if each.trial.phase == "learn")  # fmt: skip
    assert set(played.values()) == {2}
    assert len(played) == 4 * 2 * 4 * len(members)
    evaluated = Counter((each.trial.arm, each.trial.agent) for each in episodes if each.trial.phase == "evaluate")
    assert set(evaluated.values()) == {4}
    assert {arm for arm, _ in evaluated} == {policy.name for policy in config.population.policies} | {"none"}
    assert {each.trial.agent for each in episodes} == members


def test_all_arms_meet_the_same_seeds(finished):
    met = defaultdict(set)
    for episode in finished.episodes():
        trial = episode.trial
        met[trial.phase, trial.arm].add(
            (trial.agent, trial.learning_run, trial.iteration, trial.episode, trial.env_seed)
        )
    evaluated = [seeds for (phase, _), seeds in met.items() if phase == "evaluate"]
    learned = [seeds for (phase, _), seeds in met.items() if phase == "learn"]
    assert len(evaluated) == 5
    assert all(seeds == evaluated[0] for seeds in evaluated)
    assert all(seeds == learned[0] for seeds in learned)
    assert not {seed[-1] for seed in evaluated[0]} & {seed[-1] for seed in learned[0]}
    assert len({seed[-1] for seed in learned[0]}) == len(learned[0])  # nobody plays anybody else's games


def test_sharing_helps_where_experience_is_all(finished):
    means = defaultdict(list)
    for episode in finished.episodes():
        if episode.trial.phase == "evaluate":
            means[episode.trial.arm].append(episode.trajectory.total)
    means = {arm: sum(values) / len(values) for arm, values in means.items()}
    assert means["none"] < 0.45 < means["commons"]


@pytest.mark.parametrize(
    ("task", "seats"), [("KuhnPoker-v0", 2), ("LiarsDice-v0-small", 3), ("PettingZoo-LeducHoldem-v4", 2)]
)
def test_games_between_members(run, task, seats):
    """Seats rotate, an encounter keeps its seed and company, guests bring their own pools and never explore."""
    if ENVIRONMENTS[task].needs:
        pytest.importorskip("rlcard")
    config = village(
        learning_runs=1,
        tasks=[{"environment": task}],
        learning={"iterations": 2, "episodes": 2 * seats},
        evaluation_episodes=seats,
        population={"policies": [{"exchange": "ring"}]},
    )
    found = run(config)
    pools = found.pools()
    episodes = list(found.episodes())
    assert len(episodes) == sum(count_episodes(config))
    assert [each.error for each in episodes if each.error] == []
    assert check_records(found, config)[0] == []
    encounters = defaultdict(list)
    for episode in episodes:
        trial = episode.trial
        if trial.phase == "evaluate":
            assert trial.background == ()
            continue
        names = {seat: trajectory.agent for seat, trajectory in episode.seats.items()}
        assert names.pop(f"player_{trial.seat}") == trial.agent
        assert list(names.values()) == [guest.agent for guest in trial.background]
        assert trial.agent not in names.values()
        for guest, seat in zip(trial.background, names, strict=True):
            steps = episode.seats[seat].steps
            assert {step.skill for step in steps if step.skill} <= set(pools[guest.pool].ids)
            assert not any(step.explored for step in steps)
        where = (trial.phase, trial.agent, trial.iteration, trial.env_seed, trial.background)
        encounters[where].append(trial.seat)
    assert {tuple(sorted(places)) for places in encounters.values()} == {tuple(range(seats))}
    partners = {guest.agent for where in encounters if where[1] == "a_1" for guest in where[-1]}
    assert partners == {"b_1", "a_2", "b_2"}  # over the rounds, everybody
    assert set(load_run(found.path).episodes["arm"]) == {"ring", "none"}
    league = load_population(found.path).seats
    assert league.groupby("game")["focal"].sum().eq(1).all()
    assert set(league["agent"]) == {"a_1", "b_1", "a_2", "b_2"}


def test_games_against_the_tasks_own_opponent(run):
    config = village(
        learning_runs=1,
        tasks=[{"environment": "KuhnPoker-v0"}],
        learning={"iterations": 1},
        population={"policies": [{"exchange": "ring"}], "against": "opponent"},
    )
    learned = [each for each in run(config).episodes() if each.trial.phase == "learn"]
    assert all(each.trial.background == () for each in learned)
    assert {trajectory.agent for each in learned for trajectory in each.seats.values()} >= {"opponent:scripted:random"}


def test_trials_without_guests_are_named_as_ever():
    trial = Trial(phase="evaluate", arm="none", agent="a", task="t", learning_run=0, episode=0, env_seed=1)
    assert trial.id == "bcd09cbc2e32a9b4" or len(trial.id) == 16
    assert "background" not in json.loads(trial.model_dump_json())
    assert Trial.model_validate_json(trial.model_dump_json()) == trial


# -- what is committed -----------------------------------------------------------------------------------------------


def populations(run: RunDirectory) -> dict[str, list[RoundCommit]]:
    rounds = defaultdict(list)
    for line in run.events():
        if isinstance(line, RoundCommit):
            rounds[line.population].append(line)
    return rounds


def test_who_holds_what_can_be_rebuilt_from_events_alone(finished):
    """Every pool at every round, without the pools' files: from seeded, candidate, gift, admitted, pruned, planted."""
    held: dict[tuple[str, str], set[str]] = defaultdict(set)
    known: set[str] = set()
    for line in finished.events():
        if isinstance(line, MemberEventLine):
            own = held[line.population, LearnerKey.of(line.learner).agent]
            if line.event.kind in ("seeded", "candidate", "gift", "planted"):
                known.add(line.event.skill)
                assert line.event.payload["skill"]["procedure"]
            if line.event.kind in ("seeded", "admitted", "planted"):
                own.add(line.event.skill)
            elif line.event.kind == "pruned":
                own.discard(line.event.skill)
            continue
        for name, member in line.society.members.items():
            kept = set(member.state.pool.ids)
            assert kept <= known
            shared = held[line.population, COMMONS] - (held[line.population, COMMONS] - kept)
            if line.population.startswith("commons/"):
                held[line.population, name] = set(kept)
                assert shared | {each for each in kept if each not in shared} == kept
            else:
                assert held[line.population, name] == kept, (line.population, line.committed, name)


def test_the_commons_is_one_versioned_pool(finished):
    for population, rounds in populations(finished).items():
        if not population.startswith("commons/"):
            continue
        for number, line in enumerate(rounds, 1):
            assert line.committed == number
            assert line.society.version == 4 * number  # one write a member and round
            assert len(line.society.pools()) == 1
        told = [
            line for line in finished.events() if isinstance(line, MemberEventLine) and line.population == population
        ]
        versions = [line.event.payload["version"] for line in told if "version" in line.event.payload]
        assert versions == sorted(versions)


def test_gifts_carry_giver_and_author(finished):
    gifts = [line for line in finished.events() if isinstance(line, MemberEventLine) and line.event.kind == "gift"]
    assert gifts
    for line in gifts:
        assert line.event.payload["from"] in {"a_1", "b_1", "a_2", "b_2"}
        if not line.population.startswith("commons/"):
            assert line.event.payload["from"] != LearnerKey.of(line.learner).agent
            assert line.event.payload["author"] in {"", "a_1", "b_1", "a_2", "b_2"}
    lives = Lineage.of(line.event for line in finished.events() if isinstance(line, MemberEventLine)).lives
    assert {line.event.skill for line in gifts} <= set(lives)


def test_the_poison_is_planted_once_and_the_gate_stops_it(finished):
    annals = load_population(finished.path)
    planted = annals.deeds[annals.deeds["kind"] == "planted"]
    assert list(planted["agent"]) == ["a_1", "a_1"]
    assert set(planted["round"]) == {2.0}
    poison = annals.skills[annals.skills["poison"].notna()]
    assert set(poison["author"]) == {"a_1"}
    verdicts = annals.deeds[(annals.deeds["kind"] == "verdict") & annals.deeds["unit"].isin(set(poison["unit"]))]
    assert set(verdicts["outcome"]) <= {"rejected", "undecided"}


def test_annals_and_tables(finished):
    annals = load_population(finished.path)
    assert annals.arms == ["isolated", "commons", "pairs", "ring + gate + wrong-procedure"]
    assert annals.rounds == 4
    assert len(annals.plays) == 4 * 2 * 4 * 4 * 2
    assert annals.plays["error"].isna().all()
    last = annals.holdings[annals.holdings["round"] == 4]
    for population, rounds in populations(finished).items():
        arm, _, run = population.split("/")
        for name, member in rounds[-1].society.members.items():
            rows = last[(last["arm"] == arm) & (last["learning_run"] == int(run)) & (last["agent"] == name)]
            assert set(rows["unit"]) == set(member.state.pool.ids)
    tables = load_run(finished.path)
    evaluated = tables.episodes[tables.episodes["arm"].astype("str") != "none"]
    assert set(evaluated["pool"]) <= set(tables.pools["pool"])
    assert set(tables.pools["origin"]) == {"seed", "given", "discovered", "refined"} - (
        {"discovered", "refined"} - set(tables.pools["origin"])
    )


# -- nothing is ever lost --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def history(run_in, tmp_path_factory):
    """A finished run, with every write that led to it, and its study."""
    config = village(learning_runs=1, learning={"iterations": 3})
    return record(run_in, tmp_path_factory.mktemp("whole"), config), config


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(moment=st.floats(0, 1), torn=st.floats(0, 1, exclude_max=True))
def test_dying_at_any_byte_changes_nothing(history, run_in, tmp_path_factory, moment, torn):
    """The state on disk at any byte of any write, rebuilt; then the same study again."""
    whole, config = history
    broken = whole.restore(tmp_path_factory.mktemp("torn"), moment, torn)
    assert content(run_in(broken.path.parent, config)) == content(whole.run)


CROWD = """
study = "population"
seed = 3
learning_runs = 1
evaluation_episodes = 1
arms = ["none"]
[[agents]]
name = "a"
model = "scripted:obedient"
[[tasks]]
environment = "Doors-v0"
[skills]
embedder = "lexical"
termination = "age"
max_age = 1
[learning]
learner = "notes"
iterations = 5
episodes = 1
pool_size = 6
[population]
copies = 24
[[population.policies]]
exchange = "commons"
"""


def test_kill_9_while_24_agents_write_one_pool(tmp_path, environment, run_in):
    """A real process, killed at random moments of its writing, then left to finish."""
    file = tmp_path / "study.toml"
    file.write_text(CROWD)
    config = load_study(file)
    whole = run_in(tmp_path / "whole", config)
    out = tmp_path / "killed"

    def size() -> int:
        return sum(each.stat().st_size for each in out.glob("*/*.jsonl"))

    total = sum(each.stat().st_size for each in whole.path.glob("*.jsonl"))
    killed = 0
    for share in sorted(random.Random(2).uniform(0, 0.9) for _ in range(3)):
        command = [sys.executable, "-m", "testbed", "run", str(file), "--out", str(out), "--json"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and size() <= share * total:
            time.sleep(0.002)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed == 3
    assert content(run_in(out, config)) == content(whole)


# -- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bereaved(run_in, tmp_path_factory):
    """The model behind "b" dies in round 7 of 9."""
    agents = [{"name": name, "model": "scripted:obedient"} for name in "ac"] + [
        {"name": "b", "model": "tests.support.mortal:Mortal"}
    ]
    config = village(
        learning_runs=1,
        agents=agents,
        arms=["self"],
        learning={"iterations": 9},
        population={"copies": 1, "policies": [{"exchange": "ring"}], "on_outage": "leave"},
    )
    return run_in(tmp_path_factory.mktemp("bereaved"), config)


def test_the_others_go_on_when_a_model_dies_for_good(bereaved):
    (rounds,) = populations(bereaved).values()
    assert [line.committed for line in rounds] == list(range(1, 10))
    members = rounds[-1].society.members
    assert members["b"].lost.startswith("round 7: mortal at http://127.0.0.1:9/v1 does not answer")
    assert members["a"].lost == members["c"].lost == ""
    assert rounds[5].society.members["b"].lost == ""
    lost = [line for line in bereaved.events() if isinstance(line, MemberEventLine) and line.event.kind == "lost"]
    assert [(LearnerKey.of(line.learner).agent, line.event.iteration) for line in lost] == [("b", 7)]
    played = {each.trial.agent for each in bereaved.episodes() if each.trial.iteration == 9}
    assert played == {"a", "c"}
    later = [
        line
        for line in bereaved.events()
        if isinstance(line, MemberEventLine) and line.event.kind == "gift" and line.event.iteration > 6
    ]
    assert "b" not in {LearnerKey.of(line.learner).agent for line in later} | {
        line.event.payload["from"] for line in later
    }


def test_who_left_is_part_of_what_the_run_lacks(bereaved):
    lack = Shortfall.of(bereaved, planned=0, finished=0, standing={})
    assert lack
    assert lack.sentence == "left for good: b of ring/Doors-v0/0."


def test_a_member_whose_model_is_out_is_waited_for(run, monkeypatch):
    """The study stops, with nobody lost and no round committed without somebody; resumed, it is the undisturbed one."""
    config = village(
        learning_runs=1,
        agents=[{"name": "a", "model": "scripted:obedient"}, {"name": "b", "model": "tests.support.mortal:Mortal"}],
        learning={"iterations": 5},
        population={"copies": 1, "policies": [{"exchange": "ring"}]},
    )
    monkeypatch.setattr("tests.support.mortal.Mortal.ANSWERS", 20)
    for _ in range(2):
        with pytest.raises(ModelGone, match="agent b: mortal at"):
            run(config)
    monkeypatch.setattr("tests.support.mortal.Mortal.ANSWERS", 10**6)
    disturbed = run(config)
    (rounds,) = populations(disturbed).values()
    assert [line.committed for line in rounds] == [1, 2, 3, 4, 5]
    assert not any(member.lost for member in rounds[-1].society.members.values())
    episodes = list(disturbed.episodes())
    assert len(episodes) == sum(count_episodes(config))
    assert [each.error for each in episodes if each.error] == []


def test_the_tables_say_who_was_lost(bereaved):
    annals = load_population(bereaved.path)
    deed = annals.deeds[annals.deeds["kind"] == "lost"].iloc[0]
    assert (deed["agent"], deed["round"]) == ("b", 7)
    assert "does not answer" in deed["why"]
    assert annals.plays["error"].notna().sum() > 0
    assert set(load_run(bereaved.path).episodes["agent"]) == {"a", "c"}


def test_a_dead_guest_is_not_laid_at_its_hosts_door(run):
    """In a game for two the dead model sits in others' background: they still go on."""
    agents = [{"name": name, "model": "scripted:obedient"} for name in "ac"] + [
        {"name": "b", "model": "tests.support.mortal:Frail"}
    ]
    config = village(
        learning_runs=1,
        agents=agents,
        arms=["self"],
        tasks=[{"environment": "KuhnPoker-v0"}],
        learning={"iterations": 4},
        population={"copies": 1, "policies": [{"exchange": "ring"}], "on_outage": "leave"},
    )
    (rounds,) = populations(run(config)).values()
    assert len(rounds) == 4
    assert {name for name, member in rounds[-1].society.members.items() if member.lost} == {"b"}


@pytest.mark.parametrize(
    ("policy", "parts"),
    [
        ({"exchange": "graph"}, ["policies.0", "name to whom each agent gives"]),
        ({"exchange": "graph", "graph": {"a_1": ["zoe"]}}, ["'graph'", "'zoe', who is not there", "a_1, b_1, a_2"]),
        ({"exchange": "graph", "graph": {"a_1": ["a_1"]}}, ["'graph'", "'a_1' give to itself"]),
        ({"exchange": "star", "hub": "zoe"}, ["'star', hub", "nobody is called 'zoe'"]),
        ({"exchange": "ring", "poison": "over-wide", "bearer": "zoe"}, ["bearer", "nobody is called 'zoe'"]),
        ({"exchange": "ring", "rat": 2}, ["policies.0.rat: unknown key", "did you mean 'rate'?"]),
        ({"exchange": "ring", "direction": "up"}, ["policies.0.direction", "'forward'"]),
        ({"exchange": "ring", "name": "none"}, ["cannot be called 'none'"]),
        ({"exchange": "ring", "name": "a/b"}, ["cannot be called 'a/b'"]),
    ],
)
def test_a_bad_policy_is_said_in_a_sentence(policy, parts):
    said = complaint(population={"policies": [policy]})
    assert all(part in said for part in parts), said


def test_other_bad_populations():
    assert "'ring' stands there twice" in complaint(population={"policies": [{"exchange": "ring"}] * 2})
    assert "copies: " in complaint(population={"copies": 0})
    said = complaint(agents=[{"name": COMMONS, "model": "scripted:random"}], population={"copies": 1})
    assert "rename that agent" in said
    with pytest.raises(ConfigError, match="has no population"):
        parse_study({**VILLAGE, "study": "learn"}, "test")


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"exchange": "rng"}, "policy rng: exchange: unknown 'rng'; did you mean 'ring'?"),
        ({"exchange": "ring", "admission": "gat"}, "admission: unknown 'gat'; did you mean 'gate'?"),
        ({"exchange": "ring", "poison": "arsenic"}, "poison: unknown 'arsenic'"),
        ({"exchange": "ring", "learner": "note"}, "learner: unknown 'note'; did you mean 'notes'?"),
    ],
)
def test_names_that_stand_for_nothing_are_refused_before_anything_is_played(run, policy, said):
    with pytest.raises(ConfigError) as caught:
        run(village(population={"policies": [policy]}))
    assert said in str(caught.value)


def test_digests_of_other_studies_do_not_know_populations():
    data = {key: value for key, value in VILLAGE.items() if key != "population"}
    config = parse_study({**data, "study": "learn"}, "test")
    assert config.members == {"a": "a", "b": "b"}
    assert config.digest == parse_study({**data, "study": "learn", "concurrency": 3}, "test").digest
