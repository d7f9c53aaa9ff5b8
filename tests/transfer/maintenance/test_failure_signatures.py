from __future__ import annotations

from agents.embedding import LexicalEmbedder
from tests.support.fake_evolver import skill
from transfer.maintenance.failure_signatures import warnings
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState, Score
from transfer.nppo.priority import AsReleased, ByPotential

EMBED = LexicalEmbedder()
SKILLS = [skill(name, f"1. {name}", f"{name} is seen") for name in ("ant", "bee", "cow", "dog")]
IDS = [each.id for each in SKILLS]


def said(state):
    return [event.payload["signature"] for event in warnings(state, EMBED)[1]]


def test_fifo_collapse():
    state = LearnerState.begin(SkillPool.of(SKILLS)).model_copy(
        update={
            "born": dict.fromkeys(IDS, 2),
            "scores": {id: Score(gain=0.1, n=1) for id in IDS},
            "deaths": {"x": 0.5, "y": 0.4, "z": 0.6},
        }
    )
    assert said(state) == ["fifo-collapse"]
    assert said(state.model_copy(update={"deaths": {"x": -0.5, "y": 0.0, "z": 0.0}})) == []


def test_hallucination_cascade():
    variants = [skill(f"v{i}", f"1. Variant {i}.", "the sign is shown on the door") for i in range(4)]
    state = LearnerState.begin(SkillPool.of(variants)).model_copy(update={"returns": (0.5, 0.4, 0.3)})
    assert said(state) == ["hallucination-cascade"]
    assert said(state.model_copy(update={"returns": (0.3, 0.4, 0.5)})) == []
    assert said(LearnerState.begin(SkillPool.of(SKILLS)).model_copy(update={"returns": (0.5, 0.4, 0.3)})) == []


def test_a_gate_that_passes_everything_or_nothing():
    state = LearnerState.begin(SkillPool.of(SKILLS))
    assert said(state.model_copy(update={"outcomes": {"accepted": 12}})) == ["useless-gate"]
    assert said(state.model_copy(update={"outcomes": {"rejected": 9, "undecided": 3}})) == ["useless-gate"]
    assert said(state.model_copy(update={"outcomes": {"accepted": 1, "rejected": 11}})) == []
    assert said(state.model_copy(update={"outcomes": {"accepted": 3}})) == []


def test_each_warning_comes_once():
    state = LearnerState.begin(SkillPool.of(SKILLS)).model_copy(update={"outcomes": {"accepted": 12}})
    warned, _ = warnings(state, EMBED)
    assert said(warned) == []


def buffered(**scores):
    by_name = {each.name: each.id for each in SKILLS}
    return LearnerState.begin(SkillPool.of(SKILLS)).model_copy(
        update={
            "scores": {by_name[name]: score for name, score in scores.items()},
            "buffer": {by_name[name]: tuple("abcdef") for name in scores},
        }
    )


def test_priority_prefers_the_much_used_and_the_lagging():
    state = buffered(
        ant=Score(gain=9, n=30, calls=30), bee=Score(gain=-9, n=30, calls=30), cow=Score(gain=0, n=6, calls=6)
    )
    names = [state.pool.get(id).name for id in ByPotential(most=3).parents(state, 6)]
    assert names == ["bee", "cow", "ant"] or names[0] == "bee"
    assert [state.pool.get(id).name for id in AsReleased(most=1).parents(state, 6)] == ["bee"]


def test_priority_waits_for_a_full_buffer_and_the_cooldown():
    state = buffered(ant=Score(gain=1, n=9, calls=9))
    ant = SKILLS[0].id
    assert ByPotential().parents(state, 6) == [ant]
    assert ByPotential().parents(state, 7) == []
    assert ByPotential().parents(state.model_copy(update={"cooldowns": {ant: 5}}), 6) == []
    assert ByPotential().parents(state.model_copy(update={"cooldowns": {ant: 5}, "iteration": 4}), 6) == [ant]
