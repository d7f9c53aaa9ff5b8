"""How learning went: what was left out, who was lost, what it cost."""

from __future__ import annotations

from typing import Literal

from transfer.memory.events.line import BaseEvent


class Skipped(BaseEvent):
    """Something was left out, and why: a trajectory, an attempt to evolve, a gift, a write."""

    kind: Literal["skipped"] = "skipped"
    why: str = ""
    giver: str | None = None
    version: int | None = None


class EpisodesMissing(BaseEvent):
    """Episodes that an iteration was committed without."""

    kind: Literal["missing"] = "missing"
    episodes: int
    of: int
    why: str = ""


class MemberLost(BaseEvent):
    """An agent left for good."""

    kind: Literal["lost"] = "lost"
    why: str = ""


class Warned(BaseEvent):
    """A failure signature, or a learner that failed."""

    kind: Literal["warning"] = "warning"
    signature: str = ""
    text: str = ""
    why: str = ""


class Spent(BaseEvent):
    """What learning asked of language models in this iteration, moves of episodes not counted."""

    kind: Literal["spent"] = "spent"
    calls: int
    prompt_tokens: int
    completion_tokens: int
    scored: int = 0
    """Utterances whose likelihood was asked for."""
