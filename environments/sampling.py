"""Texts drawn at random from a grammar."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from numpy.random import Generator

from environments.grammar import Choices, Grammar, JsonSchema, Regex
from environments.pattern import PRINTABLE, Branches, Node, OneOf, Repeat, Sequence, parse


def sample(grammar: Grammar, rng: Generator) -> str:
    """A text that the grammar accepts.

    Each choice on the way (option, branch, repeat count, character) is uniform over printable ASCII.
    Raises ValueError for a pattern or schema outside the subsets that grammars promise.
    """
    match grammar:
        case Choices(options):
            return options[int(rng.integers(len(options)))]
        case Regex(pattern):
            return _from_tree(parse(pattern), rng)
        case JsonSchema(schema):
            document = json.loads(schema)
            return json.dumps(_value(_resolved(document, document.get("$defs", {})), rng))


def _from_tree(node: Node, rng: Generator) -> str:
    match node:
        case OneOf(characters):
            return characters[int(rng.integers(len(characters)))] if len(characters) > 1 else characters
        case Sequence(parts):
            return "".join(_from_tree(part, rng) for part in parts)
        case Branches(options):
            return _from_tree(options[int(rng.integers(len(options)))], rng)
        case Repeat(part, least, most):
            return "".join(_from_tree(part, rng) for _ in range(int(rng.integers(least, most + 1))))


def _resolved(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with what it refers to in the place of each reference to one of its own definitions.

    Raises ValueError for any other reference.
    """
    if isinstance(schema, list):
        return [_resolved(part, definitions) for part in cast(list[Any], schema)]
    if not isinstance(schema, dict):
        return schema
    parts = cast(dict[str, Any], schema)
    if "$ref" not in parts:
        return {name: _resolved(part, definitions) for name, part in parts.items() if name != "$defs"}
    name = str(parts["$ref"]).removeprefix("#/$defs/")
    if name not in definitions:
        raise ValueError(f"a JSON schema refers to {parts['$ref']!r}, which it does not define")
    return _resolved(definitions[name], {other: text for other, text in definitions.items() if other != name})


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
    return "".join(PRINTABLE[int(index)] for index in rng.integers(len(PRINTABLE), size=count))


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
