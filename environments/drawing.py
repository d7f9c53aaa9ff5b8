"""Drawing well-formed texts at random from a grammar: what a player without a mind does."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
from rstr import Rstr

from environments.grammar import Choices, Grammar, JsonSchema, Regex


def draw(grammar: Grammar, rng: np.random.Generator) -> str:
    """A text that `grammar.accepts`. Choices are equally likely; in a regex every branch and repeat count is."""
    match grammar:
        case Choices(options):
            return options[int(rng.integers(len(options)))]
        case Regex(pattern):
            return Rstr(random.Random(int(rng.integers(2**63)))).xeger(pattern)
        case JsonSchema(schema):
            return json.dumps(_value(json.loads(schema), rng))


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
