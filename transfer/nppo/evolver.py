"""The evolver: every word a model is asked while a pool evolves, and how its answers are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from agents.models.model import Message, Model, ModelError, ModelMisconfigured, ModelUnavailable, Request, Sampling
from agents.skill import Skill
from environments.grammar import JsonSchema
from transfer.memory.experience import Segment, Trajectory

Answer = TypeVar("Answer", bound=BaseModel)


class Unusable(ValueError):
    """The evolver gave no usable answer; one sentence that says what was wrong with the last one."""


async def structured(
    model: Model, prompt: tuple[Message, ...], kind: type[Answer], sampling: Sampling, attempts: int = 2
) -> Answer:
    """The model's answer as `kind`, whose JSON schema is the grammar.

    Raises Unusable after `attempts` unusable answers; ModelUnavailable when the model does not answer at all, and
    ModelMisconfigured when it never will as it is.
    """
    grammar = JsonSchema.of(kind.model_json_schema())
    why = ""
    for attempt in range(attempts):
        warmth = max(sampling.temperature, 0.7) if attempt else sampling.temperature  # greedy would repeat itself
        drawn = replace(sampling, temperature=warmth, seed=sampling.seed + attempt)
        try:
            text = (await model.generate(Request(prompt, grammar, drawn))).text
            return kind.model_validate_json(text)
        except (ModelUnavailable, ModelMisconfigured):
            raise
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            why = f"{place}: {first['msg']}" if place else first["msg"]
        except ModelError as error:
            why = str(error)
    raise Unusable(f"{model.card.name} gave no usable {kind.__name__.lower()} in {attempts} attempts ({why})")


EVOLVING = {
    "task": "You improve the written skill of a player by studying what happened in games. You answer in JSON.",
    "gradient": (
        "A player was told these rules:\n{rules}\n\nThe player followed this skill:\n{skill}\n\n"
        "What happened while it did:\n{record}\n\n"
        "The game ended with {total:.3g} points; the average is {baseline:.3g}.\n\n"
        "Learn from the replies how to play the next game better. It will come in another order: name what is seen, "
        "not when.\n"
        "procedure: one instruction for each reply that teaches something lasting: 'If <what was seen>, answer <what "
        "the reply calls right>' or 'Never <what the replies punish>'.\n"
        "activation: what is seen when the skill should be used, or an empty text.\n"
        "termination: what is seen when the skill should end, or an empty text.\n"
        "diagnosis: in one sentence, why the result was good or bad.\n"
        "is_related: true if a better written skill would have helped."
    ),
    "summary": (
        "The player was told these rules:\n{rules}\n\nWhat happened:\n{record}\n\n"
        "The game ended with {total:.3g} points.\n\n"
        "Summarise the events in at most three sentences. State facts only: no cause, no judgement, no advice."
    ),
    "aggregate": (
        "A player followed this skill in several games:\n{skill}\n\n"
        "What each game teaches:\n{gradients}\n\n"
        "Merge these lessons. Keep what several games confirm; leave out what others contradict.\n"
        "procedure: every lasting instruction once, such as 'If <what is seen>, answer <move>' or 'Never <move>'.\n"
        "activation: what is seen when the skill should be used, or an empty text.\n"
        "termination: what is seen when the skill should end, or an empty text."
    ),
    "refine": (
        "A player was told these rules:\n{rules}\n\nThe player's skill:\n{skill}\n\n"
        "The evidence of many games:\n{direction}\n\n"
        "Write the improved skill, for the same purpose.\nactivation: what the player sees when it should be used.\n"
        "procedure: a list of short instructions, one for each fact of the evidence, such as "
        "'If <what is seen>, answer <move>' or 'Never <move>'.\n"
        "termination: what the player sees when it should end."
    ),
    "discover": (
        "A player was told these rules:\n{rules}\n\nThe player's skill did not help:\n{skill}\n\n"
        "What the games taught:\n{direction}\n\n"
        "Write an entirely new skill for this game.\nactivation: what the player sees when it should be used.\n"
        "procedure: a list of short instructions, one for each fact that the games taught, such as "
        "'If <what is seen>, answer <move>' or 'Never <move>'.\n"
        "termination: what the player sees when it should end."
    ),
    "no skill": "(none: the player followed the rules alone)",
    "lesson": "- ({total:.3g} points) {diagnosis}",
    "part": "{part}: {text}",
    "nothing": "(nothing recurs)",
    "seen": "The player saw: {observation}",
    "move": "Move {number}: {action} paid {reward:.3g}. Reply: {reply}",
    "over": "The game is over.",
    "moves left out": "[… {count} moves left out …]",
    "characters left out": " [… {count} characters …] ",
}

UNPAID = "Move {number}: {action}. Reply: {reply}"
"""A move as it is shown to who must not see what it paid; asked by other memories alone, so it is not in the digest."""

OBSERVATION = 500
"""Characters of one observation that an evolver is shown; the middle of a longer one is left out, and marked."""


RECORD = 4000
"""Characters of one trajectory's record; moves in the middle are left out, and said so."""


def digest() -> str:
    """SHA-256 (12 digits) of all the wording above: two runs with one digest asked their evolvers in the same words."""
    content = json.dumps([EVOLVING, OBSERVATION, RECORD], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def ask(key: str, **parts: object) -> tuple[Message, ...]:
    """The evolver's prompt of that kind."""
    return (Message("system", EVOLVING["task"]), Message("user", EVOLVING[key].format(**parts)))


def skill_words(skill: Skill | None) -> str:
    return skill.text if skill is not None else EVOLVING["no skill"]


def record(spans: Sequence[Segment], *, paid: bool = True) -> str:
    """What was seen, done and (unless not `paid`) paid while the skill was in control, with the reply to each move."""
    lines: list[str] = []
    for span in spans:
        lines.append(EVOLVING["seen"].format(observation=shortened(span.trajectory.steps[span.start].observation)))
        lines += [_move(span.trajectory, index, paid) for index in range(span.start, span.stop)]
    return _fold(lines)


def _move(trajectory: Trajectory, index: int, paid: bool) -> str:
    steps = trajectory.steps
    reply = steps[index + 1].observation if index + 1 < len(steps) else trajectory.reason or EVOLVING["over"]
    return (EVOLVING["move"] if paid else UNPAID).format(
        number=index + 1, action=shortened(steps[index].action), reward=steps[index].reward, reply=shortened(reply)
    )


def shortened(text: str, limit: int = OBSERVATION) -> str:
    if len(text) <= limit:
        return text
    half = (limit - 30) // 2
    gap = EVOLVING["characters left out"].format(count=len(text) - 2 * half)
    return f"{text[:half]}{gap}{text[-half:]}"


def _fold(lines: list[str]) -> str:
    """All lines, or the first and last ones where they are too many: the beginning and the end matter most."""
    head: list[str] = []
    tail: list[str] = []
    left, right, room = 0, len(lines) - 1, RECORD
    while left <= right:
        take_last = len(tail) <= len(head)
        line = lines[right] if take_last else lines[left]
        if len(line) > room and (head or tail):
            break
        room -= len(line)
        if take_last:
            tail.append(line)
            right -= 1
        else:
            head.append(line)
            left += 1
    gap = [EVOLVING["moves left out"].format(count=right - left + 1)] if left <= right else []
    return "\n".join([*head, *gap, *reversed(tail)])
