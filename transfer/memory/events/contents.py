"""What comes into a memory, is scored in it, and leaves it."""

from __future__ import annotations

from typing import Literal

from transfer.memory.events.line import BaseEvent, SkillTexts


class Seeded(BaseEvent):
    """A skill stood in the first pool."""

    kind: Literal["seeded"] = "seeded"
    texts: SkillTexts


class Scored(BaseEvent):
    """A skill's online score after this iteration's episodes: ΣG, ΣN, calls and steps so far, and `value` = ΣG/ΣN."""

    kind: Literal["scored"] = "scored"
    gain: float = 0.0
    n: int = 0
    calls: int = 0
    steps: int = 0
    value: float


class BaselineMoved(BaseEvent):
    """A task's running baseline R̄ over its `n` episodes so far."""

    kind: Literal["baseline"] = "baseline"
    task: str
    mean: float
    n: int


class Admitted(BaseEvent):
    """A skill came into a pool."""

    kind: Literal["admitted"] = "admitted"
    giver: str | None = None
    mode: str = ""
    objective: float | None = None
    change: float | None = None
    version: int | None = None


class Pruned(BaseEvent):
    """A skill left a pool; `score` is its online score over `n`."""

    kind: Literal["pruned"] = "pruned"
    giver: str | None = None
    why: str = ""
    score: float | None = None
    n: int = 0
    version: int | None = None


class Given(BaseEvent):
    """A skill received from another agent."""

    kind: Literal["gift"] = "gift"
    giver: str
    author: str = ""
    texts: SkillTexts


class Planted(BaseEvent):
    """A harmful skill put into a pool by the study."""

    kind: Literal["planted"] = "planted"
    poison: str
    texts: SkillTexts


class Written(BaseEvent):
    """What a writer did to a memory's units: `action` is written, rewritten, voted, linked or dropped.

    `skill` is the unit's id, `parents` the units it came from.
    """

    kind: Literal["unit"] = "unit"
    action: Literal["written", "rewritten", "voted", "linked", "dropped"]
    of: str = ""
    """The unit's kind: episode, rule, …"""
    text: str = ""
    value: float | None = None
    """Its votes or utility afterwards, where it has any."""
    why: str = ""
