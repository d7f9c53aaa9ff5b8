from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest

from agents.models.model import ModelError, ModelUnavailable, NoLikelihoods
from tests.support.fake_evolver import FakeModel, preferring, skill, system, trajectory
from transfer.gate.acceptance import ConfidentImprovement, Improvement, PositiveObjective
from transfer.gate.advantage import ReturnToGo
from transfer.gate.gate import AcceptAll, Evidence, PPOGate, best
from transfer.gate.replay import RawModel
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
