"""Pools from elsewhere in a matrix: every agent's hands, every task, and nothing learned where nothing needs it."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import pytest

from environments.diagnostics.doors import INVERTED, RULE
from testbed.config.reading.load import parse_study
from testbed.config.study import ConfigError, StudyConfig
from testbed.play.pools import given_pools, learned, with_digests
from testbed.records.check.find import check_run
from testbed.records.lines import EventLine
from testbed.reports.audit import audit_run
from testbed.reports.tables import read_run
from testbed.reports.write import write_report
from testbed.studies.cost.forecast import count_episodes
from testbed.view.planned import CellKey, planned_cells
from transfer.memory.pool import SkillPool


def lore(folder, name, rule):
    """A SKILL.md that tells the doors of Doors-v0."""
    doors = "\n".join(f"- {sign}: [{door}]" for sign, door in rule.items())
    (folder / name).mkdir(parents=True)
    text = f"---\nname: {name}\ndescription: Which door belongs to a sign.\n---\n\n# Doors\n\n{doors}\n"
    (folder / name / "SKILL.md").write_text(text)
    return folder / name


def parsed(pools, **changes) -> StudyConfig:
    content = {
        "study": "matrix", "seed": 5, "learning_runs": 1, "evaluation_episodes": 16, "arms": ["none"], "resamples": 100,
        "agents": [{"name": "a", "model": "scripted:obedient"}, {"name": "b", "model": "scripted:random"}],
        "tasks": [{"environment": "Doors-v0"}], "skills": {"embedder": "lexical"}, "pools": pools,
    }  # fmt: skip
    return parse_study({**content, **changes}, "test")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, run_in):
    folder = tmp_path_factory.mktemp("skills")
    places = {"right": lore(folder, "right", RULE), "wrong": lore(folder, "wrong", INVERTED)}
    config = parsed([{"name": name, "folder": str(place)} for name, place in places.items()])
    return config, run_in(tmp_path_factory.mktemp("runs"), config)


def test_nothing_is_learned_and_every_cell_is_played(finished):
    config, run = finished
    trials = [episode.trial for episode in run.episodes()]
    assert {trial.phase for trial in trials} == {"evaluate"}
    assert {(trial.arm, trial.memory, trial.agent) for trial in trials} == {
        (arm, memory, agent)
        for arm, memory in (("none", None), ("given", "right"), ("given", "wrong"))
        for agent in "ab"
    }
    assert count_episodes(config) == (0, len(trials)) == (0, 96)
    kinds = {(line.learner, line.event.kind) for line in run.events() if isinstance(line, EventLine)}
    assert kinds == {(f"{pool}:{agent}/Doors-v0/0", kind) for pool in ("right", "wrong") for agent in "ab"
                     for kind in ("gift", "admitted")}  # fmt: skip
    assert check_run(run.path) == []


def test_the_verdicts_are_the_known_truth(finished):
    _, run = finished
    results = write_report(run.path)
    given = [each for each in results.findings if each.kind == "given"]
    found = {each.id: each.verdict for each in given if each.cell and each.outcome == "return"}
    assert found == {
        "given:return:right:given///a/Doors-v0": "better",
        "given:return:right:given///b/Doors-v0": "undecided",
        "given:return:wrong:given///a/Doors-v0": "worse",
        "given:return:wrong:given///b/Doors-v0": "undecided",
    }
    assert audit_run(run.path) == []
    assert set(read_run(run).given) == {"right", "wrong"}
    solved = {each.id: each.verdict for each in results.findings if each.kind == "given" and each.outcome == "solved"}
    assert solved["given:solved:right:given///a/Doors-v0"] == "better"


def test_what_a_given_pool_costs_is_counted_as_of_a_learned_one(finished):
    _, run = finished
    table = read_memories(run).set_index("memory")
    assert set(table.index) == {"right", "wrong"}
    assert (table["units"] == 1).all()
    assert (table["coverage"] == 1.0).all()
    assert (table["deployed_tokens"] > 0).all()
    assert (table["clusters"] == 16).all()
    assert (table["archive_tokens"] == 0).all()
    assert set(read_run(run).given["right"].pools["origin"]) == {"given"}


def read_memories(run):
    found = write_report(run.path).memories
    assert found is not None
    return found.table


@pytest.fixture(scope="module")
def gated(tmp_path_factory, run_in):
    """One folder with the truth and its contrary, before a gate that counts each round by itself; nothing moves b."""
    folder = tmp_path_factory.mktemp("both")
    for name, rule in (("right", RULE), ("wrong", INVERTED)):
        lore(folder, name, rule)
    pools = [
        {"name": "both", "folder": str(folder), "admission": "gate", "evidence": 12, "controls": ["random", "shuffled"]}
    ]
    config = parsed(pools, learning={"choices": {"gamma": 0.0}})
    return config, run_in(tmp_path_factory.mktemp("runs"), config)


def test_each_receiver_gates_what_it_is_given(gated):
    _, run = gated
    names = {skill.id: skill.name for skill in given_pools(gated[0])["both"].each()}
    verdicts = {
        (line.learner, names[line.event.skill]): line.event
        for line in run.events()
        if isinstance(line, EventLine) and line.event.kind == "verdict"
    }
    assert {place: event.outcome for place, event in verdicts.items()} == {
        ("both:a/Doors-v0/0", "right"): "accepted",
        ("both:a/Doors-v0/0", "wrong"): "rejected",
        ("both:b/Doors-v0/0", "right"): "rejected",
        ("both:b/Doors-v0/0", "wrong"): "rejected",
    }
    assert all(event.giver == "both" and len(event.trajectories) == 12 for event in verdicts.values())
    held = {key: [skill.name for skill in run.pool(last.digest).each()] for key, last in learned(run).items()}
    assert held == {"both:a/Doors-v0/0": ["right"], "both:b/Doors-v0/0": []}


def test_the_evidence_is_played_without_memory_and_counted(gated):
    config, run = gated
    evidence = [episode.trial for episode in run.episodes() if episode.trial.arm == "evidence"]
    assert len(evidence) == 2 * 12
    assert all(trial.pool is None and trial.env_seed % 2 == 0 for trial in evidence)
    assert count_episodes(config) == (24, 2 * 4 * 16)
    assert planned_cells(config) == Counter(CellKey.of(episode.trial) for episode in run.episodes())
    write_report(run.path)
    assert audit_run(run.path) == []
    assert check_run(run.path) == []


def test_findings_say_how_many_were_let_in(gated):
    _, run = gated
    found = {each.id: each for each in write_report(run.path).findings if each.kind == "given"}
    helped = found["given:return:both:given///a/Doors-v0"]
    assert helped.verdict == "better"
    assert "a let in 1 of 2 skills (1 rejected)." in helped.sentence
    assert "what was let in of this very pool" in helped.sentence
    nothing = found["given:return:both:given///b/Doors-v0"]
    assert "b let in 0 of 2 skills (2 rejected)." in nothing.sentence
    assert {
        "given:return:both:given-random:given///a/Doors-v0",
        "given:return:both:given-shuffled:given///a/Doors-v0",
    } <= set(found)


def test_what_was_judged_once_is_not_judged_again(gated, run_in):
    config, run = gated
    before = run.events_file.read_bytes()
    run_in(run.path.parent, config)
    assert run.events_file.read_bytes() == before


def test_only_skills_are_judged(lessons):
    pool = {"name": "p", "run": str(lessons.path), "source": "rag:b/KuhnPoker-v0/0", "admission": "gate"}
    with pytest.raises(ConfigError, match=r"pools\.p: only skills can be judged one by one"):
        given_pools(parsed([pool]))


def test_a_pool_that_cannot_be_shuffled_has_no_such_control(tmp_path, run):
    pool = {"name": "p", "folder": str(lore(tmp_path, "right", RULE)), "controls": ["shuffled"]}
    with pytest.raises(ConfigError, match=r"pools\.p: controls: it has nobody's words to be shuffled with"):
        run(parsed([pool]))


def test_a_new_choice_leaves_digests_alone():
    plain = parsed([{"name": "p", "file": "x"}])
    assert (
        parsed([{"name": "p", "file": "x", "admission": "trust", "evidence": 8, "controls": []}]).digest == plain.digest
    )
    assert parsed([{"name": "p", "file": "x", "admission": "gate"}]).digest != plain.digest


def test_the_digest_is_that_of_the_content(finished, tmp_path):
    config, run = finished
    moved = tmp_path / "right"
    shutil.copytree(config.pools[0].folder, moved)
    elsewhere = parsed([{"name": "right", "folder": str(moved)}, config.pools[1].model_dump()])
    assert with_digests(elsewhere).digest == with_digests(config).digest == run.study().digest
    (moved / "SKILL.md").write_text((moved / "SKILL.md").read_text().replace("[green]", "[red]"))
    assert with_digests(elsewhere).digest != run.study().digest
    changed = elsewhere.model_copy(update={"pools": (elsewhere.pools[0].model_copy(update={"digest": "0" * 16}),)})
    with pytest.raises(ConfigError, match=r"pools\.right: its digest is"):
        given_pools(changed)


def test_without_pools_a_study_is_called_as_before(study):
    assert study().digest == study(pools=[]).digest
    assert "given" not in study().arms


@pytest.fixture(scope="module")
def lessons(tmp_path_factory, run_in, study):
    """A run in which two agents learned pools on two tasks, and each a memory."""
    config = study(study="learn", learning_runs=1, memories=[{"name": "rag", "learner": "rag"}])
    return run_in(tmp_path_factory.mktemp("learned"), config)


def test_what_was_learned_in_another_run_is_tried_here(lessons, tmp_path, run):
    key = "b/KuhnPoker-v0/0"
    digest = learned(lessons)[key].digest
    file = lessons.path / "pools" / f"{digest}.json"
    ways = [
        {"run": str(lessons.path), "source": key},
        {"run": str(lessons.path), "digest": digest},
        {"file": str(file)},
    ]
    pools = [{"name": f"w{number}", **way} for number, way in enumerate(ways)]
    pools.append({"name": "episodes", "run": str(lessons.path), "source": f"rag:{key}"})
    config = parsed(pools, evaluation_episodes=1)
    given = given_pools(config)
    assert {memory.digest for memory in list(given.values())[:3]} == {digest}
    assert not isinstance(given["episodes"], SkillPool)
    shown = {episode.trial.memory: episode for episode in run(config).episodes() if episode.trial.arm == "given"}
    assert set(shown) == set(given)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "pools.p: .*holds several learners' pools; its sources are: a/GuessTheNumber-v0/0"),
        ({"source": "gemma/KuhnPoker-v0/0"}, "pools.p: .*nobody learned as 'gemma/KuhnPoker-v0/0' in it"),
        ({"digest": "0123456789abcdef"}, "pools.p: cannot read"),
        ({"run": "/nowhere"}, "pools.p: /nowhere: this is not a run directory"),
        ({"run": None, "file": "/nowhere.json"}, "pools.p: cannot read /nowhere.json"),
        ({"run": None, "folder": "/nowhere"}, "pools.p: /nowhere: there is no such folder"),
        ({"file": "x"}, "write one of run, file and folder"),
        ({"run": None}, "write one of run, file and folder"),
        ({"run": None, "folder": "x", "source": "y"}, "name that run"),
    ],
)
def test_a_pool_that_cannot_be_had_is_one_sentence(lessons, changes, why):
    with pytest.raises(ConfigError, match=why) as error:
        given_pools(parsed([{"name": "p", "run": str(lessons.path), **changes}]))
    assert "\n" not in str(error.value)


def test_another_layout_is_one_sentence(lessons, tmp_path):
    shutil.copytree(lessons.path, tmp_path / "run")
    record = json.loads((tmp_path / "run" / "study.json").read_text())
    (tmp_path / "run" / "study.json").write_text(json.dumps(record | {"format": 9}))
    with pytest.raises(ConfigError, match="its layout is 9"):
        given_pools(parsed([{"name": "p", "run": str(tmp_path / "run")}]))


def test_a_file_of_data_imports_nothing(tmp_path):
    document = {"format": "procmem memory", "version": 1, "memory": "os:system", "digest": "", "content": {}}
    (tmp_path / "m.json").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="a memory of the kind 'os:system'"):
        given_pools(parsed([{"name": "p", "file": str(tmp_path / "m.json")}]))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"pools": [], "arms": ["none", "given"]}, "plays the study's"),
        ({"arms": ["seed"]}, 'compared with the arm "none"'),
        ({"study": "learn"}, "plays no given pool"),
        ({"memories": [{"name": "p", "learner": "rag"}]}, "'p' stands there twice"),
    ],
)
def test_what_makes_no_sense_is_said(changes, why):
    with pytest.raises(ConfigError, match=why):
        parsed(**{"pools": [{"name": "p", "file": "x"}], **changes})
