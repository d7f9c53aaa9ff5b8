"""Asking an evolver for structured text: every answer is checked, an unusable one is asked for again or given up."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from agents.models.model import Message, Model, ModelError, ModelUnavailable, Request, Sampling
from environments.grammar import JsonSchema

Answer = TypeVar("Answer", bound=BaseModel)


class Unusable(ValueError):
    """The evolver gave no usable answer; one sentence that says what was wrong with the last one."""


async def structured(
    model: Model, prompt: tuple[Message, ...], kind: type[Answer], sampling: Sampling, attempts: int = 2
) -> Answer:
    """The model's answer as `kind`, whose JSON schema is the grammar.

    Raises Unusable after `attempts` unusable answers; ModelUnavailable when the model does not answer at all.
    """
    grammar = JsonSchema.of(kind.model_json_schema())
    why = ""
    for attempt in range(attempts):
        warmth = max(sampling.temperature, 0.7) if attempt else sampling.temperature  # greedy would repeat itself
        drawn = replace(sampling, temperature=warmth, seed=sampling.seed + attempt)
        try:
            text = (await model.generate(Request(prompt, grammar, drawn))).text
            return kind.model_validate_json(text)
        except ModelUnavailable:
            raise
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            why = f"{place}: {first['msg']}" if place else first["msg"]
        except ModelError as error:
            why = str(error)
    raise Unusable(f"{model.card.name} gave no usable {kind.__name__.lower()} in {attempts} attempts ({why})")
