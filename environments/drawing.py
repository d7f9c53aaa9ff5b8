"""Drawing well-formed texts at random from a grammar: what a player without a mind does."""

from __future__ import annotations

import json
import re
import re._constants as sre
import re._parser as parser
from functools import lru_cache
from typing import Any

import numpy as np

from environments.grammar import Choices, Grammar, JsonSchema, Regex

PRINTABLE = tuple(chr(code) for code in range(32, 127))
MOST_REPEATS = 8
"""Unbounded repetition stops here."""


def draw(grammar: Grammar, rng: np.random.Generator) -> str:
    """A text that `grammar.accepts`. Choices are equally likely; in a regex every branch and repeat count is."""
    match grammar:
        case Choices(options):
            return options[int(rng.integers(len(options)))]
        case Regex(pattern):
            return "".join(_piece(node, rng) for node in _parsed(pattern))
        case JsonSchema(schema):
            return json.dumps(_value(json.loads(schema), rng))


@lru_cache(maxsize=256)
def _parsed(pattern: str) -> tuple[tuple[Any, Any], ...]:
    return tuple(parser.parse(pattern))  # pyright: ignore[reportArgumentType]


def _piece(node: tuple[Any, Any], rng: np.random.Generator) -> str:
    kind, value = node
    if kind is sre.LITERAL:
        return chr(value)
    if kind is sre.ANY:
        return PRINTABLE[int(rng.integers(len(PRINTABLE)))]
    if kind is sre.NOT_LITERAL:
        return str(rng.choice([char for char in PRINTABLE if ord(char) != value]))
    if kind is sre.IN:
        options = _class(tuple(value))
        return options[int(rng.integers(len(options)))]
    if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
        low, high, inner = value
        times = int(rng.integers(low, min(high, low + MOST_REPEATS) + 1))
        return "".join(_piece(part, rng) for _ in range(times) for part in inner)
    if kind is sre.BRANCH:
        branches = value[1]
        return "".join(_piece(part, rng) for part in branches[int(rng.integers(len(branches)))])
    if kind is sre.SUBPATTERN:
        return "".join(_piece(part, rng) for part in value[-1])
    raise ValueError(f"this regular expression uses {kind}, which grammars do not have")


@lru_cache(maxsize=256)
def _class(parts: tuple[tuple[Any, Any], ...]) -> tuple[str, ...]:
    """The printable characters of a [class]."""
    negated = parts[0][0] is sre.NEGATE
    chosen: set[str] = set()
    for kind, value in parts[1:] if negated else parts:
        if kind is sre.LITERAL:
            chosen.add(chr(value))
        elif kind is sre.RANGE:
            chosen.update(map(chr, range(value[0], value[1] + 1)))
        else:
            test = re.compile({sre.CATEGORY_DIGIT: r"\d", sre.CATEGORY_WORD: r"\w", sre.CATEGORY_SPACE: r"\s"}[value])
            chosen.update(char for char in PRINTABLE if test.match(char))
    return tuple(sorted(set(PRINTABLE) - chosen if negated else chosen))


def _value(schema: dict[str, Any], rng: np.random.Generator) -> Any:
    """A small instance of a JSON schema (objects, arrays, strings, numbers, booleans, enums)."""
    if "enum" in schema:
        return schema["enum"][int(rng.integers(len(schema["enum"])))]
    match schema.get("type", "object"):
        case "object":
            return {name: _value(part, rng) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [_value(schema.get("items", {}), rng) for _ in range(schema.get("minItems", 1))]
        case "string":
            length = max(schema.get("minLength", 0), min(schema.get("maxLength", 24), 24))
            return "".join(chr(97 + int(letter)) for letter in rng.integers(0, 26, length))
        case "boolean":
            return bool(rng.integers(2))
        case _:
            return int(rng.integers(schema.get("minimum", 0), schema.get("maximum", 9) + 1))
