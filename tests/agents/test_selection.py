"""Selectors: their choices against the formulas."""

from __future__ import annotations

import math

import anyio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.embedding import LexicalEmbedder
from agents.guide import State
from agents.models.model import Completion, Likelihood
from agents.models.scripted import scripted
from agents.selection import (
    NONE,
    SELECTORS,
    AtRandom,
    ByLikelihood,
    ByModel,
    BySimilarity,
    Never,
    TopKValue,
    Value,
)
from agents.skill import Skill
from environments.grammar import Choices
from transfer.memory.seed_pool import SEEDS

STATE = State("rules", (), "A move was refused, lost something, or gave no progress.")


def skill(name: str, activation: str = "always", procedure: str = "go") -> Skill:
    return Skill(name=name, activation=activation, procedure=procedure, termination="end")


def choose(selector, skills=SEEDS, state=STATE, seed=0):
    return anyio.run(selector.select, state, skills, np.random.default_rng(seed))


class Rows:
    """An embedder that was told its rows (a fake)."""

    def __init__(self, rows: dict[str, list[float]]) -> None:
        self.rows = rows

    def embed(self, texts):
        return np.array([self.rows[text] for text in texts], dtype=np.float32)


def test_similarity_takes_the_nearest_activation():
    selection = choose(BySimilarity(LexicalEmbedder()))
    assert selection.skill is not None
    assert selection.skill.name == "Never repeat a failed move"
    assert selection.calls == 0


ANGLES = st.lists(st.floats(0, 3.140625, width=16), min_size=1, max_size=6, unique=True)


@given(ANGLES)
def test_similarity_is_the_cosine(angles):
    skills = [skill(f"s{index}", activation=f"at {index}") for index in range(len(angles))]
    rows = {f"at {index}": [math.cos(angle), math.sin(angle)] for index, angle in enumerate(angles)}
    best = choose(BySimilarity(Rows({**rows, STATE.observation: [1.0, 0.0]})), skills).skill
    assert angles[skills.index(best)] == pytest.approx(min(angles), abs=1e-3)


VALUES = st.lists(st.none() | st.tuples(st.floats(-1, 1), st.integers(0, 50)), min_size=1, max_size=6)


@given(VALUES, st.integers(1, 6), st.floats(0, 1))
def test_top_k_then_the_lower_bound(values, k, width):
    """Against the formula, written out: mean − width·sqrt(log(1 + t)/n); untried is 0; the nearest wins a tie."""
    skills = [skill(f"s{index}", activation=f"at {index}") for index in range(len(values))]
    rows = {f"at {index}": [1.0 - 0.1 * index] for index in range(len(values))}
    known = {each.id: Value(*value) for each, value in zip(skills, values, strict=True) if value is not None} | {
        "a skill of before": Value(0.5, 7)
    }
    total = sum(value.tries for value in known.values())
    bounds = []
    for value in values[:k]:
        if value is None or value[1] == 0:
            bounds.append(0.0)
        else:
            bounds.append(value[0] - width * math.sqrt(math.log(1 + total) / value[1]))
    chosen = choose(TopKValue(Rows({**rows, STATE.observation: [1.0]}), known, k, width), skills).skill
    best = skills.index(chosen)
    assert best < k
    assert bounds[best] == pytest.approx(max(bounds))
    assert best == min(index for index, bound in enumerate(bounds) if bound == bounds[best])


def test_one_try_is_no_proof_of_worth():
    """LCB = .1 − .2·sqrt(log(1 + 1)/1) = −.07: below the 0 of a skill that was never tried, though that is further."""
    tried, fresh = skill("tried", activation="near"), skill("fresh", activation="far")
    rows = Rows({"near": [1.0], "far": [0.9], STATE.observation: [1.0]})
    assert choose(TopKValue(rows, {tried.id: Value(0.1, 1)}), [tried, fresh]).skill is fresh
    assert choose(TopKValue(rows, {tried.id: Value(0.17, 1)}), [tried, fresh]).skill is tried


def answering(text: str):
    model = scripted("random")
    asked = []

    async def generate(request):
        asked.append(request)
        return Completion(text, 1, 1)

    model.generate = generate
    return model, asked


def test_the_model_chooses_among_the_names():
    model, asked = answering(SEEDS[2].name)
    selection = choose(ByModel(model))
    assert selection == (SEEDS[2], 1)
    (request,) = asked
    assert request.grammar == Choices((*(each.name for each in SEEDS), NONE))
    assert request.sampling.temperature == 0
    assert all(f"{each.name}: {each.activation}" in request.messages[0].content for each in SEEDS)
    assert STATE.observation in request.messages[0].content


@pytest.mark.parametrize("answer", [NONE, "", "something else", SEEDS[0].name.lower()])
def test_what_is_no_name_is_none(answer):
    assert choose(ByModel(answering(answer)[0])) == (None, 1)


def test_skills_of_one_name_are_told_apart_in_question_and_answer():
    twins = [skill("Look", "first"), skill("Look", "second"), skill(NONE, "third"), skill("Look", "fourth")]
    model, asked = answering("")
    choose(ByModel(model), twins)
    (request,) = asked
    *names, none = request.grammar.options
    assert none == NONE
    assert names == ["Look", f"Look {twins[1].id}", f"NONE {twins[2].id}", f"Look {twins[3].id}"]
    assert all(
        f"{name}: {each.activation}" in request.messages[0].content for name, each in zip(names, twins, strict=True)
    )
    for name, each in zip(names, twins, strict=True):
        assert choose(ByModel(answering(name)[0]), twins).skill is each


@pytest.mark.parametrize("best", [0, 3, len(SEEDS)])
def test_likelihood_takes_the_likeliest_name_per_token(best):
    model = scripted("random")
    asked = []

    async def score(utterances):
        asked.append(utterances)
        # A long name's sum is lower, its mean the highest: the mean decides.
        return [
            Likelihood((-1.0,) * 9) if index == best else Likelihood((-2.0,) * 2) for index in range(len(utterances))
        ]

    model.score = score
    selection = choose(ByLikelihood(model))
    assert selection == ((SEEDS[best] if best < len(SEEDS) else None), 1)
    (utterances,) = asked
    assert [each.text for each in utterances] == [*(each.name for each in SEEDS), NONE]
    assert len({each.messages for each in utterances}) == 1


def test_at_random_every_skill_has_its_turn_and_the_seed_decides():
    picks = [choose(AtRandom(), seed=seed).skill for seed in range(200)]
    assert {each.id for each in picks} == {each.id for each in SEEDS}
    assert choose(AtRandom(), seed=5) == choose(AtRandom(), seed=5)


def test_never():
    assert choose(Never()) == (None, 0)


@pytest.mark.parametrize("name", SELECTORS)
def test_every_selector_of_the_list_selects(name):
    selector = SELECTORS[name](scripted("suggestible"), LexicalEmbedder(), {SEEDS[0].id: Value(0.1, 3)})
    for skills in (SEEDS, SEEDS[:1]):
        selection = choose(selector, skills)
        assert selection.skill is None or selection.skill in skills
        assert selection.calls == (name in ("model", "likelihood"))


def test_selectors_by_name_are_made_of_what_they_are_given():
    model, embedder, values = scripted("random"), LexicalEmbedder(), {SEEDS[0].id: Value(0.1, 3)}
    made = {name: make(model, embedder, values) for name, make in SELECTORS.items()}
    assert made == {
        "similarity": BySimilarity(embedder),
        "model": ByModel(model),
        "likelihood": ByLikelihood(model),
        "top-k-value": TopKValue(embedder, values, 3, 0.2),
        "random": made["random"],
        "none": made["none"],
    }
    assert isinstance(made["random"], AtRandom)
    assert isinstance(made["none"], Never)
