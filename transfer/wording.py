"""Every word an evolver is told, in one place, versioned by a digest; and how experience is written out for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from agents.model import Message
from agents.skill import Skill
from transfer.experience import Segment, Trajectory

EVOLVING = {
    "task": "You improve the written skill of a player by studying what happened in games. You answer in JSON.",
    "gradient": (
        "The player was told these rules:\n{rules}\n\n"
        "In the part of the game below the player followed this skill:\n{skill}\n\n"
        "What happened:\n{record}\n\n"
        "The game ended with {total:.3g} points; the average is {baseline:.3g}.\n\n"
        "Explain the result by the skill. diagnosis: what the replies show was right or wrong, with the exact facts "
        "they reveal. is_related: could a better skill of this purpose have changed the result? activation, procedure, "
        "termination: what to change in that part of the skill, as one instruction that helps in future games, or an "
        "empty text for no change. Name in procedure every lasting fact that the replies revealed, in the form "
        "'If <what is seen>, answer <move>'."
    ),
    "summary": (
        "The player was told these rules:\n{rules}\n\nWhat happened:\n{record}\n\n"
        "The game ended with {total:.3g} points.\n\n"
        "Summarise the events in at most three sentences. State facts only: no cause, no judgement, no advice."
    ),
    "aggregate": (
        "Several games were played with this skill:\n{skill}\n\n"
        "Each game led to a proposal for changing it:\n{gradients}\n\n"
        "Merge the proposals into one per part of the skill (activation, procedure, termination). Keep what several "
        "games confirm, with its exact facts; leave out what only one game says or others contradict. Use an empty "
        "text for a part that needs no change."
    ),
    "refine": (
        "A player was told these rules:\n{rules}\n\nThe player's skill:\n{skill}\n\n"
        "The evidence of many games says to change it so:\n{direction}\n\n"
        "Write the improved skill. Keep its purpose. activation: when to use it. procedure: short steps, "
        "each one a direct instruction such as 'If <what is seen>, answer <move>'; put every fact of the evidence in. "
        "termination: when to stop using it."
    ),
    "discover": (
        "A player was told these rules:\n{rules}\n\nThe player's skill did not fit the game:\n{skill}\n\n"
        "What the games showed:\n{direction}\n\n"
        "Write one entirely new skill for this game. activation: when to use it. procedure: short steps, each one a "
        "direct instruction such as 'If <what is seen>, answer <move>'; put every lasting fact in. termination: when "
        "to stop using it."
    ),
}

OBSERVATION = 500
"""Characters of one observation that an evolver is shown; the middle of a longer one is left out, and marked."""
RECORD = 4000
"""Characters of one trajectory's record; steps in the middle are left out, and said so."""


def digest() -> str:
    """SHA-256 (12 digits) of all the wording above."""
    content = json.dumps([EVOLVING, OBSERVATION, RECORD], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def ask(key: str, **parts: object) -> tuple[Message, ...]:
    """The evolver's prompt of that kind."""
    return (Message("system", EVOLVING["task"]), Message("user", EVOLVING[key].format(**parts)))


def skill_words(skill: Skill | None) -> str:
    return skill.text if skill is not None else "(none: the player followed the rules alone)"


def record(spans: Sequence[Segment]) -> str:
    """What was seen, done and paid while the skill was in control, with the reply to its last move."""
    lines: list[str] = []
    for span in spans:
        lines += [_step(span.trajectory, index) for index in range(span.start, span.stop)]
        lines.append(f"Reply: {_reply(span)}")
    return _fold(lines)


def _step(trajectory: Trajectory, index: int) -> str:
    step = trajectory.steps[index]
    return f"Seen: {shortened(step.observation)}\nMove: {shortened(step.action)}\nPaid: {step.reward:.3g}"


def _reply(span: Segment) -> str:
    """What the player was told after the segment's last move."""
    steps = span.trajectory.steps
    return shortened(steps[span.stop].observation if span.stop < len(steps) else span.trajectory.reason or "game over")


def shortened(text: str, limit: int = OBSERVATION) -> str:
    if len(text) <= limit:
        return text
    half = (limit - 30) // 2
    return f"{text[:half]} [… {len(text) - 2 * half} characters …] {text[-half:]}"


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
    gap = [f"[… {right - left + 1} steps left out …]"] if left <= right else []
    return "\n".join([*head, *gap, *reversed(tail)])
