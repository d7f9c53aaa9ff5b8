"""Whatever the grammar, the model, the seed and the budget: what is written satisfies the grammar."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from agents.models.local import LocalModel
from agents.models.model import Completion, Message, ModelCard, Request, Sampling
from agents.models.tokens.masks import GrammarMasks
from agents.models.tokens.matcher import TokenMatcher, grammar_ends
from agents.models.tokens.template import ChatTemplate
from environments.grammar import Choices, Grammar, JsonSchema, Regex
from tests.support import tiny

LETTERS = list("ab19 .[]{}()|\\\"'é→\n")

atoms = st.one_of(
    st.sampled_from(LETTERS).map(re.escape),
    st.sampled_from(["[a-f]", "[0-9]", "[1-6]", "[a-z0-9]", "[αβ]"]),
)
patterns = st.recursive(
    atoms,
    lambda parts: st.one_of(
        st.lists(parts, min_size=1, max_size=4).map("".join),
        st.lists(parts, min_size=2, max_size=3).map(lambda options: f"({'|'.join(options)})"),
        st.tuples(parts, st.integers(0, 2), st.integers(1, 3)).map(lambda t: f"({t[0]}){{{t[1]},{t[1] + t[2]}}}"),
        parts.map(lambda part: f"({part})?"),
    ),
    max_leaves=12,
)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
leaves = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "minLength": 2, "maxLength": 5},
        {"type": "integer"},
        {"type": "integer", "minimum": 1, "maximum": 9},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "null"},
        {"enum": ["red", "green", 'say "hi"']},
    ]
)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    required = sorted(properties)[::2]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


schemas = st.recursive(
    leaves,
    lambda parts: st.one_of(
        st.dictionaries(st.sampled_from(["name", "n", "steps", "ok"]), parts, min_size=1, max_size=3).map(_object),
        st.tuples(parts, st.integers(0, 2)).map(lambda t: {"type": "array", "items": t[0], "minItems": t[1]}),
    ),
    max_leaves=5,
)
grammars = st.one_of(
    patterns.map(Regex),
    st.lists(texts, min_size=1, max_size=5, unique=True).map(lambda options: Choices(tuple(options))),
    schemas.map(JsonSchema.of),
)


@pytest.fixture(scope="module")
def writer() -> Iterator[LocalModel]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    words = tiny.tokenizer()
    card = ModelCard("tiny", "llama", "transformers", "", "float32", 2048)
    model = LocalModel(tiny.model("llama", words), ChatTemplate(words), card, rows=4)
    yield model
    asyncio.run(model.close())
    torch.set_num_threads(before)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(grammar=grammars, temperature=st.sampled_from([0.0, 0.7, 1.5]), budget=st.sampled_from([1, 12, 40]))
def test_what_is_written_satisfies_the_grammar(writer: LocalModel, grammar: Grammar, temperature: float, budget: int):
    async def several() -> list[Completion]:
        asked = [
            Request((Message("user", f"Say {seed}."),), grammar, Sampling(temperature, max_tokens=budget, seed=seed))
            for seed in range(3)
        ]
        return list(await asyncio.gather(*(writer.generate(request) for request in asked)))

    for completion in asyncio.run(several()):
        assert grammar.accepts(completion.text)
        assert completion.policy_logprob is not None
        assert completion.policy_logprob <= 1e-9


def _walk(grammar: Grammar) -> tuple[TokenMatcher, Any]:
    words = tiny.tokenizer()
    model = tiny.model("llama", words)
    return GrammarMasks(words, model.config.vocab_size, grammar_ends(model, words)).walk(grammar), words


def test_only_tokens_of_the_vocabulary_are_allowed():
    walk, words = _walk(JsonSchema.of({"type": "string"}))
    walk.accept(words('"', add_special_tokens=False)["input_ids"][0])
    assert walk.allowed().max() < len(words)


def test_halves_of_characters_are_never_allowed():
    """UTF-8 goes on below 0xA0 after 0xED; what would follow otherwise are surrogates, which no file takes."""
    walk, words = _walk(JsonSchema.of({"type": "string"}))
    spelled = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str("\ud7ff")[0][0]
    lead = words.convert_tokens_to_ids(spelled[0])  # the bytes ED 9F BF
    walk.accept(words('"', add_special_tokens=False)["input_ids"][0])
    assert walk.accept(lead)
    follows = {words.convert_ids_to_tokens(token) for token in walk.allowed().tolist()}
    assert len(follows) == 0xA0 - 0x80
    assert spelled[1] in follows
    mask = walk.mask()
    assert {int(token) for token in walk.allowed()} == {i for i in range(len(words)) if mask[i // 32] >> (i % 32) & 1}


def test_in_a_hurry_a_document_is_closed_from_the_inside():
    walk, words = _walk(JsonSchema.of({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}))
    written = '{"a": "b'
    for token in words(written, add_special_tokens=False)["input_ids"]:
        walk.accept(token)
    while not walk.complete:
        [token] = walk.allowed(hurry=True).tolist()
        walk.accept(token)
        written += words.decode([token])
    assert json.loads(written) == {"a": "b"}


def test_a_new_line_ends_a_base_models_text():
    words = tiny.tokenizer(template=None)
    model = tiny.model("llama", words)
    [line] = words("\n", add_special_tokens=False)["input_ids"]
    assert grammar_ends(model, words) == {line, words.eos_token_id}
