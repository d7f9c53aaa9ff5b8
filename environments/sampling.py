"""Texts drawn at random from a grammar."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from functools import lru_cache
from re import _parser  # pyright: ignore[reportAttributeAccessIssue]
from typing import Any

from numpy.random import Generator

from environments.grammar import Choices, Grammar, JsonSchema, Regex

_PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "
_CATEGORIES = {
    "CATEGORY_DIGIT": string.digits,
    "CATEGORY_SPACE": " ",
    "CATEGORY_WORD": string.ascii_letters + string.digits + "_",
}
_UNBOUNDED_EXTRA = 8


def sample(grammar: Grammar, rng: Generator) -> str:
    """A text that the grammar accepts.

    Each choice on the way (option, branch, repeat count, character) is uniform over printable ASCII.
    Raises ValueError for a pattern or schema outside the subsets that grammars promise.
    """
    match grammar:
        case Choices(options):
            return options[int(rng.integers(len(options)))]
        case Regex(pattern):
            return _walk(_parsed(pattern), rng)
        case JsonSchema(schema):
            return json.dumps(_value(json.loads(schema), rng))


@lru_cache(maxsize=256)
def _parsed(pattern: str) -> tuple[Any, ...]:
    return tuple(_parser.parse(pattern))


def _walk(nodes: Any, rng: Generator) -> str:
    return "".join(_node(str(op), argument, rng) for op, argument in nodes)


def _node(op: str, argument: Any, rng: Generator) -> str:
    match op:
        case "LITERAL":
            return chr(argument)
        case "ANY" | "IN" | "NOT_LITERAL" | "CATEGORY":
            characters = _characters(op, argument)
            return characters[int(rng.integers(len(characters)))]
        case "BRANCH":
            return _walk(argument[1][int(rng.integers(len(argument[1])))], rng)
        case "SUBPATTERN":
            return _walk(argument[-1], rng)
        case "MAX_REPEAT" | "MIN_REPEAT":
            low, high, body = argument
            high = low + _UNBOUNDED_EXTRA if high is _parser.MAXREPEAT else high
            return "".join(_walk(body, rng) for _ in range(int(rng.integers(low, high + 1))))
        case "AT":
            return ""
        case _:
            raise ValueError(f"a grammar's pattern may not use {op}: only literals, classes, groups and repetition")


def _characters(op: str, argument: Any) -> str:
    match op:
        case "LITERAL":
            found = chr(argument)
        case "RANGE":
            found = "".join(map(chr, range(argument[0], argument[1] + 1)))
        case "CATEGORY":
            name = str(argument)
            found = _CATEGORIES.get(name) or _without(_CATEGORIES[name.replace("_NOT_", "_")])
        case "NOT_LITERAL":
            found = _without(chr(argument))
        case "IN":
            found = "".join(_characters(str(kind), value) for kind, value in argument if str(kind) != "NEGATE")
            found = _without(found) if str(argument[0][0]) == "NEGATE" else found
        case _:
            found = _PRINTABLE
    return found


def _without(characters: str) -> str:
    return "".join(character for character in _PRINTABLE if character not in characters)


def _value(schema: dict[str, Any], rng: Generator) -> Any:
    options = [schema["const"]] if "const" in schema else schema.get("enum")
    if options:
        return options[int(rng.integers(len(options)))]
    kind = schema.get("type")
    if kind not in _KINDS:
        raise ValueError(f"cannot draw a text for a JSON schema of type {kind!r}")
    return _KINDS[kind](schema, rng)


def _array(schema: dict[str, Any], rng: Generator) -> list[Any]:
    return [_value(schema["items"], rng) for _ in range(_integer(schema, rng, "minItems", "maxItems", 3))]


def _string(schema: dict[str, Any], rng: Generator) -> str:
    count = _integer(schema, rng, "minLength", "maxLength", 12)
    return "".join(_PRINTABLE[int(index)] for index in rng.integers(len(_PRINTABLE), size=count))


def _integer(
    schema: dict[str, Any], rng: Generator, least: str = "minimum", most: str = "maximum", span: int = 9
) -> int:
    low = schema.get(least, 0)
    return int(rng.integers(low, schema.get(most, low + span) + 1))


def _number(schema: dict[str, Any], rng: Generator) -> float:
    low = schema.get("minimum", 0)
    return float(rng.uniform(low, schema.get("maximum", low + 1)))


_KINDS: dict[str, Callable[[dict[str, Any], Generator], Any]] = {
    "object": lambda schema, rng: {key: _value(inner, rng) for key, inner in schema.get("properties", {}).items()},
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda schema, rng: bool(rng.integers(2)),
}
