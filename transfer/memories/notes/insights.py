"""Insights, as G-Memory keeps them: rules with votes, each with the episodes that speak for it and against it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from agents.skill import Words

Action = Literal["ADD", "AGREE", "EDIT", "REMOVE"]
ORDER: Sequence[Action] = ("REMOVE", "AGREE", "EDIT", "ADD")
NEWBORN = 2
"""Votes of a new insight."""
MOST = 10
"""From so many insights on, one REMOVE takes three votes; beyond it, the writer is asked to remove first."""


class Insight(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    """Counted from the first one ever written; it stays through every rewording."""
    rule: Words
    score: int = NEWBORN
    support: tuple[str, ...] = ()
    """Ids of trajectories."""
    against: tuple[str, ...] = ()

    def with_votes(self, votes: int, support: Sequence[str] = (), against: Sequence[str] = ()) -> Insight:
        return self.model_copy(
            update={
                "score": self.score + votes,
                "support": tuple(dict.fromkeys([*self.support, *support])),
                "against": tuple(dict.fromkeys([*self.against, *against])),
            }
        )

    def supported_by(self, trajectories: Collection[str]) -> int:
        """How many of these speak for it."""
        return len(set(self.support) & set(trajectories))


class Operation(BaseModel):
    """`number` is that of a rule as the writer was shown them, 0 for a new one; `rule` its words, new or repeated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    operation: Action
    number: Annotated[int, Field(ge=0)]
    rule: Annotated[str, Field(max_length=300)]


class Operations(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    operations: Annotated[list[Operation], Field(max_length=4)]


def alive(insights: Sequence[Insight]) -> list[Insight]:
    return [insight for insight in insights if insight.score > 0]


def voted(insights: Sequence[Insight], shown: Collection[int], success: bool) -> list[Insight]:
    """After an episode in whose prompts the insights of these numbers stood: one vote more, or two less."""
    return [insight.with_votes(1 if success else -2) if insight.number in shown else insight for insight in insights]


def operated(
    insights: Sequence[Insight],
    operations: Sequence[Operation],
    shown: Sequence[int],
    trajectories: Sequence[str],
    born: int,
) -> list[Insight]:
    """After a writer's operations, in the order of `ORDER`; those that make no sense are passed over.

    `shown` are the numbers of the insights that the writer saw as rules 1, 2, …; `trajectories` is what it saw of the
    games; new insights are numbered from `born` + 1. As in the official code, an EDIT that contains a rule agrees with
    that rule, and an ADD that does is none; the votes of an insight may fall to 0 and below (see `alive`).
    """
    known = {insight.number: insight for insight in insights}
    changes = [change for each in operations if (change := _change(each, insights, shown)) is not None]
    strength = 3 if len(insights) >= MOST else 1
    for action, number, rule in sorted(changes, key=lambda change: ORDER.index(change.action)):
        match action:
            case "REMOVE":
                known[number] = known[number].with_votes(-strength, against=trajectories)
            case "AGREE":
                known[number] = known[number].with_votes(1, support=trajectories)
            case "EDIT":
                edited = known[number].with_votes(1, support=trajectories)
                known[number] = Insight.model_validate(edited.model_dump() | {"rule": rule})
            case "ADD":
                born += 1
                known[born] = Insight(number=born, rule=rule, support=tuple(trajectories))
    return list(known.values())


class Change(NamedTuple):
    """What an operation comes to; `number` is the insight's own, 0 for a new one."""

    action: Action
    number: int
    rule: str


def _change(operation: Operation, insights: Sequence[Insight], shown: Sequence[int]) -> Change | None:
    action, rule = operation.operation, operation.rule.strip()
    contained = next((insight.number for insight in insights if insight.rule in rule), None)
    named = shown[operation.number - 1] if 1 <= operation.number <= len(shown) else None
    if action == "ADD":
        return Change("ADD", 0, rule) if rule and contained is None else None
    if action == "EDIT" and contained is not None:
        return Change("AGREE", contained, rule)
    if named is None or (action == "EDIT" and not rule):
        return None
    return Change(action, named, rule)
