"""Whatever is drawn from a grammar belongs to it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.grammar import Choices, JsonSchema, Regex
from environments.registry import ENVIRONMENTS
from environments.sampling import sample

literals = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=4).map(
    re.escape
)
classes = st.sampled_from(["[a-f]", "[0-9]", "[^a-z]", r"\d", r"\w", "[A-Za-z0-9 ,.!?]", "[x]", "[^0]", "."])


def _compound(inner):
    bounds = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(sorted)
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(inner, bounds).map(lambda both: f"({both[0]}){{{both[1][0]},{both[1][1]}}}"),
        inner.map(lambda part: f"(?:{part})?"),
    )


patterns = st.recursive(st.one_of(literals, classes), _compound, max_leaves=8)
seeds = st.integers(0, 2**32 - 1)


@given(patterns, seeds)
def test_regex(pattern: str, seed: int):
    grammar = Regex(pattern)
    assert grammar.accepts(sample(grammar, np.random.default_rng(seed)))


@given(st.lists(st.text(), min_size=1, unique=True), seeds)
def test_choices(options: list[str], seed: int):
    assert sample(Choices(tuple(options)), np.random.default_rng(seed)) in options


@given(seeds)
def test_json(seed: int):
    grammar = JsonSchema.of({
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 2, "maxLength": 5},
            "kind": {"enum": ["a", "b"]},
            "one": {"const": 1},
            "count": {"type": "integer", "minimum": 3, "maximum": 4},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
            "sure": {"type": "boolean"},
            "list": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
        },
        "required": ["name", "kind", "one", "count", "share", "sure", "list"],
    })  # fmt: skip
    text = sample(grammar, np.random.default_rng(seed))
    assert grammar.accepts(text)
    assert set(json.loads(text)) == {"name", "kind", "one", "count", "share", "sure", "list"}


@given(seeds)
def test_json_within_json(seed: int):
    grammar = JsonSchema.of({
        "$defs": {"Rule": {"type": "object", "properties": {"votes": {"const": 2}}, "required": ["votes"]}},
        "type": "object",
        "properties": {"rules": {"type": "array", "items": {"$ref": "#/$defs/Rule"}, "minItems": 1}},
        "required": ["rules"],
    })  # fmt: skip
    text = sample(grammar, np.random.default_rng(seed))
    assert grammar.accepts(text)
    assert json.loads(text)["rules"][0] == {"votes": 2}


@given(st.sampled_from(sorted(ENVIRONMENTS)), seeds)
def test_every_games_grammar(id: str, seed: int):
    grammar = ENVIRONMENTS[id].grammar
    assert grammar.accepts(sample(grammar, np.random.default_rng(seed)))


def test_the_same_generator_draws_the_same_text():
    grammar = ENVIRONMENTS["Mastermind-v0-extreme"].grammar
    assert sample(grammar, np.random.default_rng(3)) == sample(grammar, np.random.default_rng(3))


def test_all_options_are_drawn_alike():
    rng = np.random.default_rng(0)
    drawn = [sample(Regex("(a|b|c|d)"), rng) for _ in range(4000)]
    assert all(abs(drawn.count(letter) - 1000) < 5 * 27.4 for letter in "abcd")


@pytest.mark.parametrize("pattern", [r"(?=a)a", r"(a)\1"])
def test_patterns_outside_the_subset_are_refused(pattern: str):
    with pytest.raises(ValueError, match="may not use"):
        sample(Regex(pattern), np.random.default_rng(0))


def test_schemas_outside_the_subset_are_refused():
    with pytest.raises(ValueError, match="type None"):
        sample(JsonSchema.of({"not": {}}), np.random.default_rng(0))
    with pytest.raises(ValueError, match="does not define"):
        sample(JsonSchema.of({"$ref": "#/$defs/Tree"}), np.random.default_rng(0))
