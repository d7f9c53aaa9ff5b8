"""Every word an acting agent is told, in one place, versioned by a digest.

Layout of a decision: system (rules, then the memory's text), then alternating observation and action. The prompt
of step t+1 therefore extends that of step t, and prompts under different skills share the rules.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agents.models.model import Message
from agents.skill import Skill

PastTurn = tuple[str, str]
"""What was observed and what was done."""


class KeptThoughts(NamedTuple):
    """What was thought aloud before each past turn, where that stays in the conversation, and how it was asked for."""

    style: str
    texts: Sequence[str]


ACTING = {
    "system": "{rules}",
    "system with memory": "{rules}\n\n{memory}",
    "skill": "Use this skill now.\n{skill}",
    "reason": "{observation}\n\nThink briefly, in at most three sentences, about what to do next. Do not move yet.",
    "act after reasoning": "Now make your move, and nothing else.",
    "react": (
        "{observation}\n\nWrite one line 'Thought:' about what the last reply tells you, "
        "then one line 'Plan:' for your next move. Do not move yet."
    ),
    "terminate": (
        "A player follows this skill:\n{skill}\n\nThe player now sees:\n{observation}\n\n"
        "Is the skill finished or no longer fitting (stop), or should the player keep following it (continue)?"
    ),
    "select": (
        "A player must choose which skill fits the situation.\n\nSituation:\n{observation}\n\nSkills:\n{skills}\n"
        "NONE: no skill fits\n\nName the one skill that fits best."
    ),
}

REMEMBERED = "What you have kept from earlier games:\n\n{units}"
"""The heading of every memory but the skill pool. It stands apart so that runs without one keep their digest."""


def digest() -> str:
    """SHA-256 (12 digits) of the wording of `ACTING`: two runs with one digest asked in the same words."""
    return hashlib.sha256(json.dumps(ACTING, sort_keys=True).encode()).hexdigest()[:12]


def fingerprint(prompt: Sequence[Message]) -> str:
    """SHA-256 (12 digits) of one prompt, by which a rebuilt prompt is known to be the one that was sent."""
    joined = "\x1e".join(f"{role}\x1f{content}" for role, content in prompt)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def skill_text(skill: Skill) -> str:
    """What the system message says while `skill` is active."""
    return ACTING["skill"].format(skill=skill.text)


def memory_text(units: Sequence[str]) -> str:
    """What the system message says of a memory's units, whatever the memory; nothing where there are none."""
    return REMEMBERED.format(units="\n\n".join(units)) if units else ""


def conversation(
    rules: str, memory: str, turns: Sequence[PastTurn], observation: str, thoughts: KeptThoughts | None = None
) -> tuple[Message, ...]:
    """The prompt of one decision: `turns` are the earlier (observation, action) pairs of this episode.

    With `thoughts`, one for each turn, a turn stands there as it was: with its question, the thought and the move.
    """
    system = ACTING["system with memory"] if memory else ACTING["system"]
    messages = [Message("system", system.format(rules=rules, memory=memory))]
    for index, (shown, move) in enumerate(turns):
        asked = (Message("user", shown),)
        if thoughts is not None:
            asked = after_reasoning(reasoning_request(asked, thoughts.style), thoughts.texts[index])
        messages += [*asked, Message("assistant", move)]
    messages.append(Message("user", observation))
    return tuple(messages)


def reasoning_request(prompt: tuple[Message, ...], style: str) -> tuple[Message, ...]:
    """The same prompt, asking for thoughts instead of a move; `style` is "reason" or "react"."""
    return (*prompt[:-1], Message("user", ACTING[style].format(observation=prompt[-1].content)))


def after_reasoning(request: tuple[Message, ...], reasoning: str) -> tuple[Message, ...]:
    """The prompt for the move itself, once the model has reasoned aloud."""
    return (*request, Message("assistant", reasoning), Message("user", ACTING["act after reasoning"]))


def termination_question(skill: Skill, observation: str) -> tuple[Message, ...]:
    """β and I in one question, to be answered with "stop" or "continue" (paper section 3)."""
    return (Message("user", ACTING["terminate"].format(skill=skill.text, observation=observation)),)


def selection_question(skills: Mapping[str, Skill], observation: str) -> tuple[Message, ...]:
    """Which skill fits now, to be answered with one of the names in `skills`, or NONE."""
    lines = "\n".join(f"{name}: {skill.activation}" for name, skill in skills.items())
    return (Message("user", ACTING["select"].format(observation=observation, skills=lines)),)
