"""Adaptive studies: they stop where they are sure, play no more of what is settled, and resume to the same end."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.matrix.comparison.claims import Claim, declared_claims
from environments.diagnostics.doors import RULE
from testbed.config.conduct.adaptive import AdaptiveConfig
from testbed.config.reading.load import parse_study
from testbed.config.study import ConfigError, StudyConfig
from testbed.records.check.find import check_run
from testbed.reports.audit import audit_run
from testbed.reports.tables import read_run
from testbed.reports.write import write_report
from testbed.studies.adaptive import next_claims
from tests.support.history import content, record
from tests.testbed.studies.test_given import lore

STUDY = {
    "study": "matrix", "seed": 5, "learning_runs": 12, "evaluation_episodes": 8, "resamples": 100, "margin": 0.2,
    "arms": ["none", "self", "random"], "agents": [{"name": "a", "model": "scripted:obedient"}],
    "tasks": [{"environment": "Doors-v0"}], "skills": {"embedder": "lexical"}, "adaptive": {"look": 2},
    "learning": {"learner": "notes", "iterations": 3, "episodes": 6, "pool_size": 1},
}  # fmt: skip


def parsed(**changes) -> StudyConfig:
    return parse_study({**STUDY, **changes}, "test")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return parsed(pools=[{"name": "right", "folder": str(lore(tmp_path_factory.mktemp("lore"), "right", RULE))}])


@pytest.fixture(scope="module")
def history(config, run_in, tmp_path_factory):
    """A finished run and every write that led to it, in order."""
    return record(run_in, tmp_path_factory.mktemp("whole"), config)


@pytest.fixture(scope="module")
def finished(history):
    return history.run


@pytest.fixture(scope="module")
def results(finished):
    return write_report(finished.path)


def test_it_ends_where_every_claim_is_settled(finished, config):
    last = finished.looks()[-1]
    assert last.then == ()
    assert last.runs < config.learning_runs
    assert {state.claim: state.state for state in last.claims} == {
        "self-none": "decided",
        "self-random": "equivalent",
        "given-none:right/a/Doors-v0": "decided",
    }


def test_settled_claims_are_played_no_more(finished):
    """The given pool is decided first: no look after that plays it, and none plays the random selector once settled."""
    ends = {}
    for look in finished.looks():
        for state in look.claims:
            if state.state != "open":
                ends.setdefault(state.claim, look.runs)
    runs = {}
    for episode in finished.episodes():
        runs.setdefault(episode.trial.arm, set()).add(episode.trial.learning_run)
    assert max(runs["given"]) + 1 == ends["given-none:right/a/Doors-v0"] < finished.looks()[-1].runs
    assert max(runs["random"]) + 1 == ends["self-random"]
    assert max(runs["self"]) + 1 == finished.looks()[-1].runs


def test_verdicts_come_from_the_sequential_test(results):
    claims = {each.id: each for each in results.findings if each.adjustment == "e-Holm"}
    verdicts = {id: each.verdict for id, each in claims.items()}
    assert verdicts == {
        "contrast:return:self-none": "better",
        "contrast:return:self-random": "equivalent",
        "given:return:right:given///a/Doors-v0": "better",
    }
    better = claims["contrast:return:self-none"]
    assert better.p_adjusted <= 0.05
    assert 0 < better.low < better.estimate < better.high
    assert "confidence sequence" in better.sentence
    assert "looked at" in results.summary[1]


def test_no_other_test_gives_a_verdict(results):
    """A test for a size fixed beforehand says "better" in solve rate, too: here it is withheld, and says so."""
    others = [each for each in results.findings if each.adjustment != "e-Holm"]
    assert {each.verdict for each in others} == {"undecided"}
    assert {row["verdict"] for row in results.rows() if row["adjustment"] != "e-Holm"} == {"undecided"}
    (solved,) = [each for each in others if each.id == "contrast:solved:self-none"]
    assert "depended on the data" in solved.withheld


def test_the_report_shows_the_way(results, finished):
    page = (finished.path / "report" / "report.html").read_text(encoding="utf-8")
    assert "How it was decided" in page
    assert "This study looked at its data" in page
    assert (finished.path / "report" / "tables" / "looks.csv").is_file()
    assert (finished.path / "report" / "figures" / "sequences.svg").is_file()


def test_what_was_not_asked_for_is_not_missing(results, finished, config, outcome):
    assert results.unfinished == ""
    assert audit_run(finished.path) == []
    assert [fault for fault in check_run(finished.path) if fault.severity == "error"] == []
    shortfall = outcome(finished.path.parent, config).shortfall
    assert not shortfall
    assert shortfall.planned == len(list(finished.episodes()))


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(moment=st.floats(0, 1), torn=st.floats(0, 1, exclude_max=True))
def test_dying_at_any_byte_changes_nothing(history, config, run_in, tmp_path_factory, moment, torn):
    """The state on disk at any byte of any write, rebuilt; then the same study again takes the same decisions."""
    broken = history.restore(tmp_path_factory.mktemp("torn"), moment, torn)
    assert content(run_in(broken.path.parent, config)) == content(history.run)


def test_a_run_cut_short_owes_what_its_last_look_asked_for(history, config, tmp_path):
    second = next(number for number, each in enumerate(history.written) if b'"look":2,' in each.data)
    run = history.until(tmp_path, second)
    plan = read_run(run).run.plan
    look = run.looks()[-1]
    assert set(plan["learning_run"]) == set(range(look.until))
    assert "unfinished" in write_report(run.path).unfinished


def test_a_budget_of_tokens_ends_it(run_in, tmp_path, config):
    spent = config.model_copy(update={"adaptive": config.adaptive.model_copy(update={"tokens": 1})})
    looks = run_in(tmp_path, spent).looks()
    assert [look.runs for look in looks] == [2]
    assert "budget of 1 tokens is spent" in looks[0].why


def test_the_next_batch_goes_where_evidence_is_cheap():
    one, two, three = declared_claims(["none"], {"p": (), "q": (), "r": ()}, [("a", "T")])
    prices = {one: 10.0, two: 20.0, three: 100.0}

    def cost(claims):
        return sum(prices[claim] for claim in claims)

    assert next_claims({one: 1.0, two: 2.0, three: 1.0}, cost) == [one, two]
    assert next_claims({one: 0.0, three: 1.0}, cost) == [three]
    # a claim that costs nothing beside what is played anyway comes along
    assert next_claims({one: 1.0, three: 0.001}, lambda claims: 10.0) == [one, three]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"study": "learn"}, 'a study "learn" decides no claims'),
        ({"memories": [{"name": "r", "learner": "rag"}]}, "compared in studies of a fixed size"),
        ({"arms": ["none"]}, "nothing to decide"),
        ({"adaptive": {"lok": 2}}, "look"),
        ({"adaptive": {"level": 1.0}}, "adaptive.level"),
    ],
)
def test_what_cannot_be_decided_is_refused(changes, says):
    with pytest.raises(ConfigError, match=says):
        parsed(**changes)


def test_without_it_a_study_is_called_what_it_was():
    plain = {key: value for key, value in STUDY.items() if key != "adaptive"}
    assert parse_study(plain, "test").digest == parse_study({**plain, "adaptive": None}, "test").digest
    assert parse_study(plain, "test").digest != parsed().digest


def test_a_claim_knows_its_cells():
    learned, *_, mine = declared_claims(["none", "self"], {"p": ()}, [("a", "T")])
    assert isinstance(mine, Claim)
    assert learned.learned
    assert not mine.learned
    assert learned.needs("self", "a", "T")
    assert not learned.needs("given", "a", "T", "p")
    assert mine.needs("given", "a", "T", "p")
    assert mine.needs("none", "a", "T")
    assert not mine.needs("given", "a", "T", "q")
    assert not mine.needs("none", "b", "T")


@pytest.fixture(scope="module")
def flips(config):
    return config.model_copy(update={"adaptive": AdaptiveConfig(look=2, test="sign-flips", futility=0.15)})


def test_sign_flips_decide_a_study_and_a_resumed_one_alike(run_in, tmp_path, flips):
    run = run_in(tmp_path / "whole", flips)
    last = run.looks()[-1]
    assert {state.claim: state.state for state in last.claims} == {
        "self-none": "decided",
        "self-random": "equivalent",
        "given-none:right/a/Doors-v0": "decided",
    }
    assert last.runs < flips.learning_runs
    results = write_report(run.path)
    claims = {each.id: each for each in results.findings if each.family.endswith("adaptive study")}
    better = claims["contrast:return:self-none"]
    assert (better.verdict, better.adjustment) == ("better", "Holm")
    assert "sign flips, looked at up to 12 times" in better.method
    assert "against no difference, after Holm over the 3 claims" in better.sentence
    assert claims["given:return:right:given///a/Doors-v0"].adjustment == "e-Holm"
    assert audit_run(run.path) == []
    whole = content(run)
    events = run.path / "events.jsonl"
    lines = events.read_text(encoding="utf-8").splitlines(keepends=True)
    cut = max(number for number, line in enumerate(lines) if '"look":' in line)
    events.write_text("".join(lines[:cut]), encoding="utf-8")
    assert content(run_in(tmp_path / "whole", flips)) == whole
