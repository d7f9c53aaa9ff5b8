"""Evolvers that answer badly: nothing crashes, everything is said."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.models.model import ModelError, ModelMisconfigured, ModelUnavailable
from environments.grammar import JsonSchema
from tests.support.fake_evolver import FakeModel, evolver, skill, trajectory
from transfer.memory.experience import controlled
from transfer.nppo.aggregation import AggregateGradient, Consolidate, Juxtapose
from transfer.nppo.evolver import OBSERVATION, RECORD, Unusable, record, shortened
from transfer.nppo.gradient import Attribution, Gradient, Hindsight, NeutralSummary, clean_text
from transfer.nppo.proposal import EvolutionRequest, Evolve, SkillDraft, finished

OLD = skill()
SPANS = controlled(trajectory("t", [("[a]", 0.0), ("[b]", 1.0)], OLD), OLD.id)
BATCH = EvolutionRequest(OLD, "rules", "REFINE", AggregateGradient(activation="", procedure="p", termination=""), ())
DRAFT = {"name": "n", "activation": "a", "procedure": ["p"], "termination": "t"}

BAD = {
    "nothing": "",
    "blank": " \n",
    "prose": "Sure! Here is the JSON:",
    "cut": '{"diagnosis": "x',
    "list": "[]",
    "null": "null",
    "empty object": "{}",
    "wrong type": json.dumps(DRAFT | {"procedure": 7}),
    "too long": json.dumps(DRAFT | {"procedure": ["x" * 50_000]}),
    "too many": json.dumps(DRAFT | {"procedure": ["x"] * 5000}),
    "empty name": json.dumps(DRAFT | {"name": ""}),
    "no steps": json.dumps(DRAFT | {"procedure": []}),
    "nested": "[" * 90_000,
    "surrogate": '{"name": "\\ud800", "activation": "a", "procedure": ["p"], "termination": "t"}',
    "extra": json.dumps(DRAFT | {"capacity": 1000}),
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_bad_answers_are_unusable_never_a_crash(text):
    model = FakeModel(lambda request: text)
    with pytest.raises(Unusable, match="no usable attribution in 2 attempts") as caught:
        asyncio.run(Hindsight(model)(OLD, SPANS, 0.5, 1))
    assert "\n" not in str(caught.value)
    assert len({request.sampling.seed for request in model.requests}) == 2
    with pytest.raises(Unusable):
        asyncio.run(NeutralSummary(model)(OLD, SPANS, 0.5, 1))
    proposals = asyncio.run(Evolve(model)(BATCH, [1, 2, 3]))
    assert proposals.skills == ()
    assert len(proposals.problems) == 3
    fallen_back = asyncio.run(Consolidate(model)(OLD, [Gradient("t", 1.0, "d", True, procedure="If x.")], 1))
    assert fallen_back.procedure == "If x."


def test_blank_parts_make_no_skill():
    blank = FakeModel(lambda request: json.dumps(DRAFT | {"activation": "  "}))
    assert "no skill" in asyncio.run(Evolve(blank)(BATCH, [1])).problems[0]
    steps = FakeModel(lambda request: json.dumps(DRAFT | {"procedure": [" ", "1. "]}))
    assert "no skill" in asyncio.run(Evolve(steps)(BATCH, [1])).problems[0]


def test_a_model_that_cannot_is_unusable_and_one_that_is_gone_is_not_swallowed():
    def refuse(error):
        def answer(request):
            raise error

        return Hindsight(FakeModel(answer))

    with pytest.raises(Unusable, match="cannot"):
        asyncio.run(refuse(ModelError("it cannot"))(OLD, SPANS, 0.5, 1))
    for error in (ModelUnavailable("gone"), ModelMisconfigured("wrong key")):
        with pytest.raises(type(error)):
            asyncio.run(refuse(error)(OLD, SPANS, 0.5, 1))


def test_candidates_are_distinct_and_differ_from_the_parent():
    parent = finished(SkillDraft.model_validate(DRAFT), None)
    batch = EvolutionRequest(parent, "rules", "REFINE", BATCH.direction, ())
    texts = iter([DRAFT | {"name": "other name"}, DRAFT | {"procedure": ["q"]}, DRAFT | {"procedure": ["Step 1: q"]}])
    found = asyncio.run(Evolve(FakeModel(lambda request: json.dumps(next(texts))))(batch, [1, 2, 3]))
    assert [each.procedure for each in found.skills] == ["1. q"]
    assert found.skills[0].parents == (parent.id,)
    assert sorted(found.problems) == ["a candidate repeats another", "a candidate repeats its parent"]


def test_a_part_that_repeats_the_question_is_taken_from_the_evidence():
    echo = {"name": "N", "activation": "What the player sees when it should be used.", "procedure": ["x"]}
    model = FakeModel(lambda request: json.dumps(echo | {"termination": "what the player sees when it should end"}))
    (skill,) = asyncio.run(Evolve(model)(BATCH, [1])).skills
    assert skill.activation == (BATCH.direction.activation or BATCH.rules)
    assert skill.termination == (BATCH.direction.termination or "The game ends.")


def test_a_discovery_has_no_parents():
    batch = EvolutionRequest(OLD, "rules", "DISCOVER", BATCH.direction, ())
    assert asyncio.run(Evolve(evolver(["new"]))(batch, [1])).skills[0].parents == ()


def test_seeds_and_schemas_reach_the_model():
    model = evolver(["x", "y"])
    asyncio.run(Evolve(model)(BATCH, [5, 6]))
    assert [request.sampling.seed for request in model.requests] == [5, 6]
    assert all(isinstance(request.grammar, JsonSchema) for request in model.requests)
    assert "maxLength" in JsonSchema.of(Attribution.model_json_schema()).schema


def test_empty_talk_means_no_change():
    assert [clean_text(text) for text in ("None.", "no change", '"N/A"', " keep it short ")] == [
        "",
        "",
        "",
        "keep it short",
    ]


def test_juxtaposition_falls_back_on_diagnoses():
    found = asyncio.run(Juxtapose()(OLD, [Gradient("a", 1, "x", True), Gradient("b", 1, "y", True)], 0))
    assert found.procedure == "x; y"


@given(st.lists(st.text(max_size=900), max_size=30))
def test_records_are_bounded_and_mark_what_they_leave_out(texts):
    played = trajectory("t", [("[a]", 0.0)] * max(1, len(texts)), OLD)
    steps = (
        tuple(step.model_copy(update={"observation": text}) for step, text in zip(played.steps, texts, strict=False))
        or played.steps
    )
    whole = played.model_copy(update={"steps": steps})
    spans = controlled(whole, OLD.id)
    text = record(spans)
    assert len(text) <= RECORD + OBSERVATION + 200
    assert ("left out" in text) or all(shortened(step.observation) in text for step in steps)
