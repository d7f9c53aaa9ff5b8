"""Events: all that is said while a pool is learned, one line of events.jsonl each."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from agents.skill import Skill

EventKind = Literal[
    "seeded",  # a skill stood in the first pool; payload: the skill
    "scored",  # a skill's online score after this iteration's episodes
    "baseline",  # a task's running baseline R̄
    "skipped",  # something was left out; payload: why
    "gradient",  # semantic gradient of one trajectory
    "aggregate",  # what the gradients of one skill have in common
    "candidate",  # a proposed skill; payload: the skill, mode
    "verdict",  # the gate's judgement of a candidate; payload: J, ΔJ, noise, outcome, reason
    "admitted",  # birth
    "pruned",  # death; payload: reason, score
    "gift",  # a skill received from another agent; written by the exchange
    "planted",  # a harmful skill put into a pool by the study; payload: the skill, which poison
    "missing",  # episodes that an iteration was committed without; payload: episodes, of (how many), why
    "lost",  # an agent whose model is gone; payload: why
    "warning",  # a failure signature
]


class Event(BaseModel):
    """One line of `events.jsonl`. `skill` is the id of the skill it is about, "" where it is about none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: EventKind
    iteration: int
    skill: str = ""
    parents: tuple[str, ...] = ()
    """Ids of the skills the subject was made from."""
    trajectories: tuple[str, ...] = ()
    """Ids of the trajectories that are the evidence."""
    payload: dict[str, JsonValue] = {}


def skill_texts(skill: Skill) -> dict[str, JsonValue]:
    """A skill's four texts, as events write them."""
    return {part: getattr(skill, part) for part in ("name", "activation", "procedure", "termination")}
