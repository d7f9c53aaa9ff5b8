"""How a server is told to keep to a grammar, and where in its answer the text that keeps to it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Protocol

from agents.models.served.answers.body import parse
from agents.models.served.answers.completion import Answer
from agents.models.served.answers.values import mapping, text
from environments.grammar import Choices, Grammar, JsonSchema, Regex

Json = dict[str, Any]

_LONGEST = 200_000
"""Characters; nothing that a grammar asks for is longer."""

_FENCED = re.compile(r"```[\w-]*[ \t]*\r?\n?(.*?)```", re.DOTALL)


class StructuredOutput(Protocol):
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
        return {"response_format": _response_format(grammar)}

    def text(self, grammar: Grammar, content: str) -> str:
        if isinstance(grammar, JsonSchema):
            return content
        document = mapping(parse(content))
        # Where it is not what was asked for, the caller finds that out by the grammar.
        return text(document["answer"]) if "answer" in document else content


def find_form(constraint: StructuredOutput, grammar: Grammar, answer: Answer) -> str:
    """The text of an answer that keeps to the grammar: as it is, without blanks or quotes around it, out of a fenced
    block, out of prose, or out of the thought where nothing follows that (some reasoning parsers put all there).

    Where nothing does, the answer as it was meant to be read.
    """
    for answered in (answer.text, answer.thought) if not answer.text.strip() else (answer.text,):
        for part in _parts(answered[:_LONGEST]):
            found = constraint.text(grammar, part)
            for candidate in (found, found.strip(), part, part.strip(" \t\r\n\"'`")):
                if grammar.accepts(candidate):
                    return candidate
    return constraint.text(grammar, answer.text)


def _parts(answered: str) -> Iterator[str]:
    yield answered
    yield from (block.strip() for block in _FENCED.findall(answered))
    first, last = answered.find("{"), answered.rfind("}")
    if 0 <= first < last:
        yield answered[first : last + 1]


@lru_cache(maxsize=1024)
def _response_format(grammar: Grammar) -> Json:
    match grammar:
        case Regex(pattern):
            schema = _wrapped({"type": "string", "pattern": f"^({pattern})$"})
        case Choices(options):
            schema = _wrapped({"type": "string", "enum": list(options)})
        case JsonSchema(text):
            schema = json.loads(text)
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def _wrapped(schema: Json) -> Json:
    return {"type": "object", "properties": {"answer": schema}, "required": ["answer"], "additionalProperties": False}
