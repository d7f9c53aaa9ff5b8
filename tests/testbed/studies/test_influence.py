"""Influence by likelihood, where its truth is known: who hears what is written, and which words are about the game."""

from __future__ import annotations

import json
import math
import shutil

import anyio
import pytest

from agents.models.model import ModelUnavailable, PromptTooLong, Utterance
from agents.models.served.probe import ServerProbe
from environments.diagnostics.doors import RULE
from testbed.config.reading.load import parse_study
from testbed.config.study import ConfigError, StudyConfig
from testbed.play.course.budget import BudgetSpent, Limits
from testbed.records.append_only import StoreError
from testbed.records.check.find import check_run
from testbed.records.check.repair import repair_run
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files.accounts import by, read_accounts
from testbed.records.side_files.influence import InfluenceLine, influence_lines
from testbed.reports.audit import audit_run
from testbed.reports.tables import read_run
from testbed.reports.write import write_report
from testbed.studies.cost.forecast import count_parts
from testbed.studies.outcome.influence import require_likelihoods, scored
from testbed.studies.run import run_study
from tests.support.fake_evolver import MOVES, FakeModel
from tests.support.studies import Watcher
from transfer.gate.influence import Exposure, Exposures
from transfer.memories.episodes.rag import Rag
from transfer.memory.memory import Unit

CHAFF = tuple(Unit(kind="note", key=f"Weather {word}", text=f"The {word} is heavy.") for word in "abcdefghijklmnop")
DOORS = "\n".join(f"{sign}: [{door}]" for sign, door in RULE.items())
LORE = Unit(kind="note", key="Which door do you open? The sign shows:", text=DOORS)


def parsed(folder, **changes) -> StudyConfig:
    """A note that names each sign's right door among notes about nothing, and these alone, in two agents' hands."""
    for name, units in {"lore": (LORE, *CHAFF), "chaff": CHAFF}.items():
        (folder / f"{name}.json").write_text(Rag(units=units, k=1, at="step").dumps())
    content = {
        "study": "matrix", "seed": 5, "learning_runs": 1, "evaluation_episodes": 12, "arms": ["none"], "resamples": 100,
        "agents": [{"name": "hears", "model": "scripted:obedient"}, {"name": "deaf", "model": "scripted:random"}],
        "tasks": [{"environment": "Doors-v0"}], "skills": {"embedder": "lexical"},
        "pools": [{"name": "lore", "file": str(folder / "lore.json"), "controls": ["random", "shuffled"]},
                  {"name": "chaff", "file": str(folder / "chaff.json")}],
    }  # fmt: skip
    return parse_study({**content, **changes}, "test")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, run_in):
    config = parsed(tmp_path_factory.mktemp("memories"), influence=True)
    return config, run_in(tmp_path_factory.mktemp("runs"), config)


@pytest.fixture
def copied(finished, tmp_path):
    _, run = finished
    shutil.copytree(run.path, tmp_path / run.path.name)
    return RunDirectory.open(tmp_path / run.path.name)


def means(run) -> dict[tuple[str, str, str], float]:
    """Mean over episodes, by agent, memory and arm."""
    given = read_run(run).given
    found = {}
    for memory, tables in given.items():
        known = tables.episodes[tables.episodes["influence"].notna()]
        for (agent, arm), values in known.groupby(["agent", "arm"], observed=True)["influence"]:
            found[str(agent), memory, str(arm)] = values.mean()
    return found


def test_words_that_name_the_right_move_have_influence_on_who_hears_them_and_no_others(finished):
    """The obedient player takes a noted door e⁴ times as readily, else each of four: their divergence is known."""
    _, run = finished
    found = means(run)
    noted = math.e**4 / (math.e**4 + 3)
    divergence = noted * math.log(4 * noted) + (1 - noted) * math.log(4 * (1 - noted) / 3)
    assert found["hears", "lore", "given"] == pytest.approx(divergence, abs=0.3)
    assert 0 <= found["hears", "lore", "random"] < 0.2
    assert found["hears", "lore", "shuffled"] == found["hears", "chaff", "given"] == 0
    assert {value for (agent, *_), value in found.items() if agent == "deaf"} == {0}


def test_every_exposed_step_is_measured_once_under_the_prompt_that_was_sent(finished):
    _, run = finished
    lines = {line.trial: line for line in influence_lines(run.path)}
    exposed = [e for e in run.episodes() if any(step.units for step in e.trajectory.steps)]
    assert len(lines) == len(list(influence_lines(run.path))) == len(exposed) == 2 * 4 * 12
    for episode in exposed:
        line = lines[episode.trial.id]
        assert not list(line.faults(episode))
        assert not line.left_out
        assert line.error == pytest.approx(0, abs=1e-12)
        drawn = [episode.trajectory.steps[step].policy_logprob for step in line.steps]
        assert list(line.shown) == pytest.approx(drawn)


def test_the_report_shows_it_beside_recall_and_whoever_checks_the_run_knows_it(finished):
    _, run = finished
    table = write_report(run.path).influence
    assert table is not None
    assert {(row["memory"], row["arm"]) for _, row in table.iterrows()} == {
        ("lore", "given"), ("lore", "random"), ("lore", "shuffled"), ("chaff", "given")
    }  # fmt: skip
    lore = table[(table["memory"] == "lore") & (table["arm"] == "given")].iloc[0]
    assert lore["influence_low"] > 0
    assert lore["clusters"] == 12
    assert lore["n"] == 24
    assert (lore["events_per_step"], lore["exposed_per_step"], lore["measured"]) == (1, 1, 1)
    page = (run.path / "report" / "report.html").read_text()
    assert "Influence of memories" in page
    assert (run.path / "report" / "tables" / "influence.csv").exists()
    assert check_run(run.path) == []
    assert audit_run(run.path) == []


def test_it_is_on_the_account_of_the_memory_that_was_measured(finished):
    _, run = finished
    posts = by(read_accounts(run.path).posts, "use", "agent", "arm", "memory")
    scored = {key[1:]: account.scored for key, account in posts.items() if key[0] == "influence"}
    steps = 12 * 4
    assert scored == {
        (agent, arm, memory): 2 * steps
        for agent in ("hears", "deaf")
        for arm, memory in (("given", "lore"), ("random", "lore"), ("shuffled", "lore"), ("given", "chaff"))
    }


def test_it_may_be_asked_for_when_all_is_played(tmp_path, run_in, finished):
    config = parsed(tmp_path)
    run = run_in(tmp_path / "runs", config)
    assert not run.influence_file.exists()
    assert write_report(run.path).influence is None
    episodes = run.episodes_file.read_bytes()
    asked = parsed(tmp_path, influence=True)
    assert asked.digest == config.digest
    assert count_parts(asked)["influence"] == 8
    assert run_in(tmp_path / "runs", asked).path == run.path
    assert run.episodes_file.read_bytes() == episodes
    assert content(run) == content(finished[1])


def content(run) -> dict[str, InfluenceLine]:
    return {line.trial: line for line in influence_lines(run.path)}


def test_what_was_measured_is_not_measured_again(finished, copied, run_in):
    config, run = finished
    lines = run.influence_file.read_bytes().splitlines(keepends=True)
    half = b"".join(lines[: len(lines) // 2])
    copied.influence_file.write_bytes(half + lines[-1][:20])
    owed = [fault for fault in check_run(copied.path) if fault.file == "influence.jsonl"]
    assert any("the influence in 48 episodes is not measured" in fault.what for fault in owed)
    run_in(copied.path.parent, config)
    assert copied.influence_file.read_bytes().startswith(half)
    assert content(copied) == content(run)
    run_in(copied.path.parent, config)
    assert len(copied.influence_file.read_bytes().splitlines()) == len(lines)


def test_a_limit_ends_it_between_two_cells_and_the_same_command_goes_on(finished, copied):
    config, run = finished
    copied.influence_file.unlink()

    async def limited() -> None:
        await run_study(config, copied.path.parent, Watcher(), Limits(tokens=1))

    for _ in range(8):
        try:
            anyio.run(limited)
        except BudgetSpent:
            continue
        break
    else:
        pytest.fail("it never came to its end")
    assert content(copied) == content(run)


def test_a_changed_measurement_is_found(copied):
    text = copied.influence_file.read_text()
    first, rest = text.split("\n", 1)
    line = json.loads(first)
    line["hidden"][0] -= 1.0
    copied.influence_file.write_text(json.dumps(line) + "\n" + rest)
    assert any("not what was written" in fault.what for fault in check_run(copied.path))
    write_report(copied.path)
    assert any("influence.jsonl" in sentence for sentence in audit_run(copied.path))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"trial": "0" * 16}, "there is no finished episode 0000000000000000"),
        ({"steps": [0, 1, 2, 7]}, "not those at which its memory showed something"),
        ({"steps": [0]}, "not a measurement of influence"),
        ({"shown": [0.5, -1, -1, -1]}, "not a measurement of influence"),
    ],
)
def test_a_measurement_that_fits_no_episode_is_found(copied, change, said):
    first, rest = copied.influence_file.read_text().split("\n", 1)
    copied.influence_file.write_text(json.dumps(json.loads(first) | change) + "\n" + rest)
    assert any(said in fault.what for fault in check_run(copied.path))


def test_what_is_no_measurement_is_set_aside_and_measured_again(finished, copied, run_in):
    config, run = finished
    lines = copied.influence_file.read_text().splitlines()
    copied.influence_file.write_text("\n".join([lines[1], lines[0], "{}", lines[0], *lines[3:]]) + "\n")
    with pytest.raises(StoreError, match="line 3: not a measurement of influence"):
        write_report(copied.path)
    assert any("2 lines that are no measurements" in deed for deed in repair_run(copied.path))
    run_in(copied.path.parent, config)
    assert content(copied) == content(run)


def test_other_studies_do_not_ask_for_it(tmp_path):
    with pytest.raises(ConfigError, match='influence: a study "learn" compares no memories'):
        parsed(tmp_path, study="learn", pools=[], influence=True)


def test_a_server_without_likelihoods_is_refused_before_anything_is_played():
    known = {"model": "m", "backend": "b", "grammar": True, "thinks": False, "tokenizer": "", "context": None}
    require_likelihoods({"a": ServerProbe(**known, likelihoods=True, advice="")})
    with pytest.raises(ConfigError, match="influence: the server of agent a tells no likelihoods"):
        require_likelihoods({"a": ServerProbe(**known, likelihoods=False, advice="")})


def exposed(episode, *texts: str) -> tuple:
    """An episode of the finished run, as if these had been its moves; scored by a fake."""
    said = [Utterance((), text, MOVES) for text in texts]
    return episode, Exposures(tuple(Exposure(place, each, each) for place, each in enumerate(said)), ())


def test_one_conversation_that_cannot_be_scored_costs_its_episode_alone(finished):
    episodes = [episode for episode in finished[1].episodes() if episode.trial.arm == "given"]

    def value(utterance: Utterance) -> float:
        if utterance.text == "long":
            raise PromptTooLong("a conversation of 9 tokens does not fit")
        return -1.0

    batch = [exposed(episodes[0], "a", "b"), exposed(episodes[1], "a", "long"), exposed(episodes[2], "b")]
    one, refused, other = anyio.run(scored, FakeModel(chance=value), batch)
    assert (one.steps, one.shown, one.left_out) == ((0, 1), (-1.0, -1.0), ())
    assert (refused.steps, refused.left_out) == ((), (0, 1))
    assert other.steps == (0,)


def test_an_outage_leaves_nothing_out(finished):
    def value(utterance: Utterance) -> float:
        raise ModelUnavailable("gone")

    episode = next(finished[1].episodes())
    with pytest.raises(ModelUnavailable):
        anyio.run(scored, FakeModel(chance=value), [exposed(episode, "a")])


def test_a_move_that_is_ruled_out_without_units_has_no_finite_influence(finished):
    episode = next(finished[1].episodes())
    said = [Utterance((), text, MOVES) for text in ("a", "b")]
    batch = [(episode, Exposures((Exposure(0, *said),), ()))]
    (line,) = anyio.run(scored, FakeModel(chance=lambda utterance: -1.0 if utterance.text == "a" else -math.inf), batch)
    assert (line.shown, line.hidden, line.differences) == ((-1.0,), (None,), [])
    assert InfluenceLine.model_validate_json(line.model_dump_json()) == line
