"""Grammars: which texts are well-formed, as plain data that any constrained decoder can compile."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jsonschema


@dataclass(frozen=True, slots=True)
class Regex:
    """Every text that `pattern` matches from end to end.

    `pattern` stays inside the subset that Python's `re` and xgrammar read alike:
    literals, classes, groups, alternation, bounded repetition.
    """

    pattern: str

    def accepts(self, text: str) -> bool:
        return _compiled(self.pattern).fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Choices:
    """Exactly one of `options` (at least one, all different)."""

    options: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.options or len(set(self.options)) != len(self.options):
            raise ValueError("Choices needs at least one option and no option twice")

    def accepts(self, text: str) -> bool:
        return text in self.options


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """Every JSON document that satisfies a JSON schema, kept as text so that it can be hashed.

    The order of its properties is kept: it is the order in which a model writes them (a diagnosis before its cure).
    """

    schema: str

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> JsonSchema:
        return cls(json.dumps(schema))

    def accepts(self, text: str) -> bool:
        try:
            jsonschema.validate(json.loads(text), json.loads(self.schema))
        except (ValueError, RecursionError, jsonschema.ValidationError):  # RecursionError: brackets by the thousand
            return False
        return True


Grammar = Regex | Choices | JsonSchema


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL)


@lru_cache(maxsize=1024)
def dump(grammar: Grammar) -> str:
    """A grammar as JSON text, for records."""
    match grammar:
        case Regex(pattern):
            return json.dumps({"regex": pattern})
        case Choices(options):
            return json.dumps({"choices": options})
        case JsonSchema(schema):
            return json.dumps({"json": schema})


@lru_cache(maxsize=1024)
def load(text: str) -> Grammar:
    """The grammar that `dump` wrote. Raises ValueError for anything else."""
    match json.loads(text):
        case {"regex": str(pattern)}:
            return Regex(pattern)
        case {"choices": [*options]}:
            return Choices(tuple(options))
        case {"json": str(schema)}:
            return JsonSchema(schema)
        case other:
            raise ValueError(f"not a grammar: {other!r}")
