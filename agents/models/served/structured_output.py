"""How a server is told to keep to a grammar."""

from __future__ import annotations

import json
from typing import Any, Protocol

from environments.grammar import Choices, Grammar, JsonSchema, Regex

Json = dict[str, Any]


class Constraint(Protocol):
    """One server's way of constrained decoding."""

    def fields(self, grammar: Grammar) -> Json:
        """What the request body needs."""
        ...

    def text(self, grammar: Grammar, content: str) -> str:
        """The constrained text in what the server answered."""
        ...


class StructuredOutputs:
    """vLLM's own: regexes, choices and schemas as they are."""

    def fields(self, grammar: Grammar) -> Json:
        match grammar:
            case Regex(pattern):
                wish: Json = {"regex": pattern}
            case Choices(options):
                wish = {"choice": list(options)}
            case JsonSchema(schema):
                wish = {"json": json.loads(schema)}
        return {"structured_outputs": wish}

    def text(self, grammar: Grammar, content: str) -> str:
        return content


class ResponseFormat:
    """OpenAI's `response_format`: everything is a JSON object, so a text stands in it under "answer"."""

    def fields(self, grammar: Grammar) -> Json:
        match grammar:
            case Regex(pattern):
                schema = _wrapped({"type": "string", "pattern": f"^({pattern})$"})
            case Choices(options):
                schema = _wrapped({"type": "string", "enum": list(options)})
            case JsonSchema(text):
                schema = json.loads(text)
        wish: Json = {"name": "answer", "schema": schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": wish}}

    def text(self, grammar: Grammar, content: str) -> str:
        if isinstance(grammar, JsonSchema):
            return content
        try:
            return str(json.loads(content)["answer"])
        except (ValueError, KeyError, TypeError):
            return content  # not what was asked for, which the caller finds out by the grammar


def _wrapped(schema: Json) -> Json:
    return {"type": "object", "properties": {"answer": schema}, "required": ["answer"], "additionalProperties": False}
