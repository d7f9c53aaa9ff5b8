from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest

from agents.models.model import ModelError, ModelUnavailable, NoLikelihoods
from tests.support.fake_evolver import FakeModel, preferring, skill, system, trajectory
from transfer.gate.acceptance import ConfidentImprovement, Improvement, PositiveObjective
from transfer.gate.advantage import ReturnToGo
from transfer.gate.gate import AcceptAll, Evidence, PPOGate, Verdict, best
from transfer.gate.objective import Objective
from transfer.gate.replay import RawModel
from transfer.memory.events.evolution import Judged
from transfer.memory.experience import controlled

OLD, GOOD, BAD, SAME = skill(), skill("n", "good"), skill("n", "bad"), skill("n", "same")
CHANCES = {"good": 0.8, "bad": 0.2}


def evidence(baseline: float = 0.5) -> Evidence:
    """[a] pays 1, [b] nothing; three episodes each."""
    played = [trajectory(f"t{i}", [("[a]" if i % 2 else "[b]", float(i % 2))], OLD) for i in range(6)]
    spans = tuple(span for each in played for span in controlled(each, OLD.id))
    return Evidence(spans, tuple(ReturnToGo()(spans, [baseline] * len(spans))))


def judge(gate, candidates=(GOOD, BAD, SAME), shown=None):
    return asyncio.run(gate.judge(OLD, candidates, shown or evidence()))


def test_objective_equals_the_hand_computed_one():
    good, bad, same = judge(PPOGate((FakeModel(chance=preferring(CHANCES)),)))
    # [a] has Â = .5 and ρ = 1.6 (clipped to 1.2), [b] has Â = −.5 and ρ = .4 (clipped to .8)
    assert good.objective == pytest.approx((1.2 * 0.5 - 0.8 * 0.5) / 2)
    assert bad.objective == pytest.approx((0.4 * 0.5 - 1.6 * 0.5) / 2)
    assert same.objective == pytest.approx(0.0)
    assert good.before == pytest.approx(0.0)
    assert [each.outcome for each in (good, bad)] == ["accepted", "rejected"]
    assert good.rebuilt == 1.0
    assert good.noise_nats == 0.0


def test_all_candidates_are_scored_in_one_call():
    model = FakeModel(chance=preferring(CHANCES))
    judge(PPOGate((model,), repeats=0))
    assert [len(call) for call in model.scorings] == [4 * 6]


def test_paper_rule_accepts_an_unchanged_skill_above_baseline_and_improvement_does_not():
    model = FakeModel(chance=preferring(CHANCES))
    above = evidence(baseline=0.2)
    (paper,) = judge(PPOGate((model,), acceptance=PositiveObjective()), [SAME], above)
    (ours,) = judge(PPOGate((model,), acceptance=Improvement()), [SAME], above)
    assert paper.outcome == "accepted"
    assert paper.change == pytest.approx(0)
    assert ours.outcome == "rejected"


def test_confident_improvement_needs_more_than_chance():
    model = FakeModel(chance=preferring(CHANCES))
    good, bad, _ = judge(PPOGate((model,), acceptance=ConfidentImprovement(1.0)))
    assert (good.outcome, bad.outcome) == ("accepted", "rejected")
    alone = evidence()
    one = Evidence(alone.spans[:1], alone.advantages[:1])
    assert judge(PPOGate((model,), acceptance=ConfidentImprovement(1.0)), [GOOD], one)[0].outcome == "rejected"


def test_verdicts_inside_the_numerical_noise_are_undecided():
    rng = np.random.default_rng(0)
    exact = preferring({"good": 0.52, "bad": 0.48})
    noisy = FakeModel(chance=lambda utterance: exact(utterance) + rng.normal(scale=0.3))
    verdicts = judge(PPOGate((noisy,)))
    assert {each.outcome for each in verdicts} == {"undecided"}
    assert all(each.noise_nats > 0.1 and "numerical noise" in each.why for each in verdicts)
    assert best(verdicts) is None


@pytest.mark.parametrize("value", [-math.inf, math.nan, math.inf])
def test_unusable_likelihoods_are_undecided_not_a_crash(value):
    (verdict,) = judge(PPOGate((FakeModel(chance=lambda utterance: value),)), [GOOD])
    assert verdict.outcome == "undecided"
    assert "usable likelihood" in verdict.why
    verdict.model_dump_json()


def test_a_candidate_that_rules_a_good_action_out_is_rejected():
    model = FakeModel(chance=preferring({"bad": 0.0}))
    (verdict,) = judge(PPOGate((model,)), [BAD])
    assert verdict.outcome == "rejected"


def test_empty_evidence_and_a_baseline_of_one_episode_are_undecided():
    gate = PPOGate((FakeModel(chance=preferring(CHANCES)),))
    assert judge(gate, [GOOD], Evidence((), ()))[0].why == "no experience to judge by"
    one = evidence(baseline=1.0)
    alone = Evidence(one.spans[1:2], one.advantages[1:2])
    assert judge(gate, [GOOD], alone)[0].outcome == "undecided"
    assert judge(gate, [], evidence()) == []


def test_models_without_likelihoods_refuse_and_lost_models_are_not_swallowed():
    def refuse(error):
        def chance(utterance):
            raise error

        return PPOGate((FakeModel(chance=chance),))

    with pytest.raises(NoLikelihoods, match="ask another"):
        judge(refuse(NoLikelihoods("ask another")))
    with pytest.raises(ModelUnavailable):
        judge(refuse(ModelUnavailable("gone")))
    assert judge(refuse(ModelError("too long")), [GOOD])[0].why == "too long"


def test_panel_is_the_mean_of_its_scorers():
    good, bad = FakeModel(chance=preferring(CHANCES)), FakeModel(chance=preferring({"good": 0.2, "bad": 0.8}))
    (first,), (second,) = judge(PPOGate((good,)), [GOOD]), judge(PPOGate((bad,)), [GOOD])
    (both,) = judge(PPOGate((good, bad)), [GOOD])
    assert both.objective == pytest.approx((first.objective + second.objective) / 2)


def test_whose_likelihood_is_asked_for():
    policy, raw = FakeModel(), FakeModel()
    judge(PPOGate((policy,), repeats=0), [GOOD])
    judge(PPOGate((raw,), voice=RawModel(), repeats=0), [GOOD])
    assert policy.scorings[0][0].grammar is not None
    assert policy.scorings[0][0].temperature == 0.6
    assert raw.scorings[0][0].grammar is None
    assert raw.scorings[0][0].temperature == 1.0
    assert "good" in system(raw.scorings[0][-1].messages)


def test_accept_all_asks_nobody():
    verdicts = judge(AcceptAll())
    assert [each.outcome for each in verdicts] == ["accepted"] * 3
    assert best(verdicts) == verdicts[0]


def played_long(count: int) -> Evidence:
    """One episode of that many steps."""
    whole = trajectory("long", [("[a]", 1.0)] * count, OLD)
    spans = tuple(controlled(whole, OLD.id))
    return Evidence(spans, (np.ones(count),))


@pytest.mark.parametrize(("count", "repeats", "twice"), [(30, None, 24), (5, None, 5), (9, 3, 3), (9, 0, 0)])
def test_some_of_the_parents_utterances_are_scored_twice_from_the_first_to_the_last(count, repeats, twice):
    model = FakeModel(chance=preferring(CHANCES))
    gate = PPOGate((model,)) if repeats is None else PPOGate((model,), repeats=repeats)
    judge(gate, [GOOD], played_long(count))
    first, *rest = model.scorings
    again = rest[0] if rest else []
    assert len(again) == twice
    assert len(rest) == bool(twice)
    if twice:
        parents = first[:count]
        assert (again[0], again[-1]) == (parents[-1], parents[0])  # in another order: packed otherwise
        assert set(again) <= set(parents)


def test_a_scorer_that_is_trusted_has_no_noise_and_impossible_moves_have_none():
    drift = iter(range(1000))
    noisy = FakeModel(chance=lambda utterance: -1.0 - 0.1 * next(drift))
    (verdict,) = judge(PPOGate((noisy,), repeats=0), [GOOD])
    assert (verdict.noise, verdict.noise_nats) == (0.0, 0.0)
    calls = iter(range(1000))
    model = FakeModel(chance=lambda utterance: -math.inf if next(calls) < 2 else -1.0)
    (verdict,) = judge(PPOGate((model,)), [GOOD])
    assert verdict.noise_nats == 0.0
    silent = FakeModel(chance=lambda utterance: -math.inf)
    assert judge(PPOGate((silent,)), [GOOD])[0].noise_nats == 0.0


FOUND = Objective(before=0.1, after=0.5, clipped=0.25, usable=1.0, noise=0.0, apart={"x": 0.3, "y": -0.3})


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "accepted"),
        ({"usable": 0.5}, "accepted"),
        ({"usable": 0.49}, "undecided"),
        ({"noise": 0.5}, "undecided"),
        ({"noise": 0.49}, "accepted"),
        ({"after": -0.5, "noise": 0.5}, "undecided"),
        ({"after": -0.5, "noise": 0.49}, "rejected"),
        ({"after": 1e-12}, "rejected"),
        ({"after": 2e-12}, "accepted"),
        ({"after": 0.0}, "rejected"),
    ],
)
def test_what_decides(changes, outcome):
    assert PPOGate(()).verdict(GOOD, FOUND._replace(**changes), 0.1, 1.0).outcome == outcome


def test_a_verdict_says_all_that_was_found():
    payload = PPOGate(()).verdict(GOOD, FOUND, 0.1, 0.75).payload
    assert payload == {
        "outcome": "accepted",
        "why": "PositiveObjective: +0.5",
        "J": 0.5,
        "J_before": 0.1,
        "delta_J": 0.4,
        "stderr": pytest.approx(math.sqrt(2 * 0.18)),
        "noise": 0.0,
        "noise_nats": 0.1,
        "clipped": 0.25,
        "usable": 1.0,
        "rebuilt": 0.75,
        "text_only": None,
    }
    alone = PPOGate(()).verdict(GOOD, FOUND._replace(apart={"x": 0.0}), 0.1, 0.75)
    assert alone.stderr is None


@pytest.mark.parametrize(
    ("rule", "excess"),
    [
        (PositiveObjective(), 0.5),
        (PositiveObjective(0.2), 0.3),
        (Improvement(), 0.4),
        (Improvement(0.1), 0.3),
        (ConfidentImprovement(), 0.4 - 0.6),
        (ConfidentImprovement(0.5), 0.4 - 0.3),
    ],
    ids=str,
)
def test_what_is_asked(rule, excess):
    assert rule.excess(FOUND) == pytest.approx(excess)


def test_one_trajectory_gives_no_confidence():
    assert ConfidentImprovement(0.0).excess(FOUND._replace(apart={"x": 0.0})) == -math.inf


def test_an_unchanged_skill_is_not_accepted_for_a_rounding_error():
    """A batch at its own baseline has J(ω) = 0, in floating point a little more or less."""
    model = FakeModel(chance=preferring(CHANCES))
    for returned in ([0.1, 0.2, 0.6], [0.7, 0.1, 0.3], [1.1, 2.3, 0.7]):
        played = [trajectory(f"t{i}", [("[a]", value)], OLD) for i, value in enumerate(returned)]
        spans = tuple(span for each in played for span in controlled(each, OLD.id))
        baseline = sum(returned) / 3
        shown = Evidence(spans, tuple(ReturnToGo()(spans, [baseline] * 3)))
        assert judge(PPOGate((model,)), [SAME], shown)[0].outcome == "rejected"


def test_a_panel_is_as_sure_as_its_trajectories_and_as_usable_as_its_weakest_member():
    good, blind = FakeModel(chance=preferring(CHANCES)), FakeModel(chance=lambda utterance: math.nan)
    (alone,) = judge(PPOGate((good,)), [GOOD])
    (twice,) = judge(PPOGate((good, good)), [GOOD])
    assert twice.stderr == pytest.approx(alone.stderr)
    (half,) = judge(PPOGate((good, blind)), [GOOD])
    assert (half.outcome, half.usable) == ("undecided", 0.0)


def test_the_best_is_the_accepted_one_of_the_greatest_objective():
    def verdict(skill, objective, outcome="accepted"):
        return Verdict(skill=skill, outcome=outcome, why="", objective=objective)

    assert best([verdict("a", 0.1), verdict("b", 0.3), verdict("c", 0.3), verdict("d", 9.0, "undecided")]).skill == "b"
    assert best([verdict("a", None), verdict("b", 0.5)]).skill == "b"
    assert best([verdict("a", None), verdict("b", -0.5)]).skill == "a"
    assert best([verdict("a", 1.0, "rejected")]) is None


def test_nothing_to_judge_by_is_said_in_these_words():
    model = FakeModel(chance=preferring(CHANCES))
    flat = Evidence(evidence().spans, tuple(np.zeros(1) for _ in evidence().spans))
    assert judge(PPOGate((model,)), [GOOD], flat)[0].why == "every return equals the baseline"
    assert judge(AcceptAll(), [GOOD])[0].why == "no gate"


def test_verdicts_are_read_in_one_vocabulary_whichever_they_were_written_in():
    """Format 1 wrote the verdict on a gift by the fields' names, the one on a candidate of one's own by letters."""
    verdict = Verdict(skill="s", outcome="rejected", why="worse", objective=-0.1, before=0.2, change=-0.3, noise=0.01)
    line = {"kind": "verdict", "iteration": 1, "skill": "s"}
    gift = Judged.model_validate(line | {"payload": {"from": "b", **verdict.fields}})
    own = Judged.model_validate(line | {"payload": verdict.payload})
    assert gift == own.model_copy(update={"giver": "b"}) == Judged(iteration=1, skill="s", giver="b", **verdict.fields)
    letters = own.payload
    assert (letters["J"], letters["J_before"], letters["delta_J"]) == (-0.1, 0.2, -0.3)
    assert gift.payload["from"] == "b"
