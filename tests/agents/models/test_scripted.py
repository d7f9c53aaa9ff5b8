"""Scripted models: closed-form policies that keep every promise of a model."""

from __future__ import annotations

import math

import anyio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.models.model import Message, ModelError, Request, Sampling, Utterance
from agents.models.scripted import POLICIES, ScriptedModel, scripted
from environments.grammar import Choices, JsonSchema, Regex

PROMPT = (Message("system", "Say [red] now. owl: [green]"), Message("user", "You see: owl"))
COLOURS = Choices(("[green]", "[red]", "[blue]"))
GRAMMARS = [
    COLOURS,
    Regex(r"\[[1-6]( [1-6]){3}\]"),
    JsonSchema.of({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}),
]


def say(model, grammar=None, prompt=PROMPT, **sampling):
    return anyio.run(model.generate, Request(prompt, grammar, Sampling(**sampling)))


def score(model, *utterances):
    return anyio.run(model.score, utterances)


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("grammar", GRAMMARS, ids=lambda grammar: type(grammar).__name__)
def test_what_is_said_satisfies_the_grammar(name, grammar):
    for seed in range(20):
        completion = say(scripted(name), grammar, seed=seed)
        assert grammar.accepts(completion.text)
        assert completion.logprob == completion.policy_logprob <= 0
        assert completion.prompt_tokens > 0


@pytest.mark.parametrize("name", POLICIES)
def test_the_seed_decides(name):
    texts = [[say(scripted(name), COLOURS, seed=seed).text for seed in range(30)] for _ in range(2)]
    assert texts[0] == texts[1]


@given(st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=6, unique=True), st.sampled_from([*POLICIES]))
def test_a_policy_is_a_distribution_over_the_options(options, name):
    odds = POLICIES[name](PROMPT, Choices(tuple(options)))
    assert odds is not None
    assert list(odds) == options
    assert sum(odds.values()) == pytest.approx(1)
    assert all(0 < chance <= 1 for chance in odds.values())


@pytest.mark.parametrize("name", POLICIES)
def test_frequencies_are_the_likelihoods_that_it_states(name):
    model = scripted(name)

    async def many():
        return [await model.generate(Request(PROMPT, COLOURS, Sampling(seed=seed))) for seed in range(2000)]

    said = anyio.run(many)
    likelihoods = score(model, *(Utterance(PROMPT, option, COLOURS) for option in COLOURS.options))
    for option, likelihood in zip(COLOURS.options, likelihoods, strict=True):
        assert np.mean([each.text == option for each in said]) == pytest.approx(math.exp(likelihood.total), abs=0.04)
        assert all(each.logprob == pytest.approx(likelihood.total) for each in said if each.text == option)


def test_what_cannot_be_said_has_no_likelihood():
    assert score(scripted("random"), Utterance(PROMPT, "[pink]", COLOURS))[0].total == -math.inf


def test_policies_in_closed_form():
    def odds(name, option):
        return POLICIES[name](PROMPT, COLOURS)[option]

    assert odds("random", "[red]") == pytest.approx(1 / 3)
    assert odds("suggestible", "[red]") / odds("suggestible", "[blue]") == pytest.approx(math.exp(3))
    assert odds("stubborn", "[green]") == pytest.approx(0.95)
    assert odds("obedient", "[green]") / odds("obedient", "[red]") == pytest.approx(math.exp(4))


def test_a_walkthrough_is_followed_move_by_move():
    def told(*moves):
        past = [message for move in moves for message in (Message("user", "?"), Message("assistant", move))]
        return (Message("system", "Play.\nWalkthrough: [red]; [blue]; [pink]"), *past, Message("user", "?"))

    follow = POLICIES["walkthrough"]
    assert follow(told(), COLOURS) == {"[green]": 0.0, "[red]": 1.0, "[blue]": 0.0}
    assert follow(told("[red]"), COLOURS) == {"[green]": 0.0, "[red]": 0.0, "[blue]": 1.0}
    assert follow(told("[red]", "[blue]"), COLOURS) == POLICIES["random"](PROMPT, COLOURS)
    assert follow(told("[red]", "[blue]", "[red]"), COLOURS) == POLICIES["random"](PROMPT, COLOURS)
    assert follow(told(), GRAMMARS[1]) is None


def test_greedy_is_the_likeliest():
    assert say(scripted("stubborn"), COLOURS, temperature=0.0, seed=3).text == "[green]"
    assert say(scripted("obedient"), COLOURS, temperature=0.0, seed=3).text == "[green]"


def test_a_policy_of_ones_and_zeros():
    model = ScriptedModel("last", lambda messages, grammar: {o: float(o == "[blue]") for o in grammar.options})
    assert {say(model, COLOURS, seed=seed).text for seed in range(5)} == {"[blue]"}


def test_free_text_has_a_likelihood_that_does_not_depend_on_the_prompt():
    model = scripted("random")
    assert say(model).text == ""
    one, other = score(model, Utterance(PROMPT, "abc"), Utterance(PROMPT[:1], "abc"))
    assert one == other
    assert one.total == pytest.approx(-3 * math.log(95))


def test_names():
    assert scripted("scripted:random").card == scripted("random").card
    assert len({scripted(name).card.weights for name in POLICIES}) == len(POLICIES)
    assert scripted("random").count("Say [red], now!") == 7
    with pytest.raises(ModelError, match="no scripted model is called 'rndom'; there are: random, suggestible"):
        scripted("rndom")
