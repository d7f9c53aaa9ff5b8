"""Rules that live by votes, as ExpeL keeps them (2308.10144; LeapLabTHU/ExpeL e41ec9a, `update_rules`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, Field, StringConstraints

BORN = 2
"""Votes of a new rule."""
FULL = 5
"""Rules over the limit at which a removal weighs `EXPULSION` votes, not one."""
EXPULSION = 3
ORDER = ("REMOVE", "AGREE", "EDIT", "ADD")
"""In which operations are carried out, whatever their order in the answer."""
KEYWORDS = ("ADD", "AGREE", "EDIT")
"""A rule that holds one of them is a reply gone wrong."""


class Operation(BaseModel):
    """`text` is the rule agreed with or to be removed, word for word, or the new wording; `number` is read by EDIT."""

    operation: Literal["ADD", "AGREE", "EDIT", "REMOVE"]
    number: Annotated[int, Field(ge=0, le=99)]
    text: Annotated[str, StringConstraints(strip_whitespace=True, max_length=400)]


class VotedRule(NamedTuple):
    text: str
    votes: int
    origin: str = ""
    """Id of the unit that it was before; "" for a new rule."""


def vote(rules: Sequence[VotedRule], operations: Sequence[Operation], most: int) -> list[VotedRule]:
    """The rules after these operations, those with most votes first, those without votes gone; `most` is the limit.

    As in the official code an operation counts only if its text ends as a sentence, and REMOVE and AGREE mean the first
    rule that their text contains, whatever their number. A text that comes to stand there twice is one rule, with the
    votes of both.
    """
    weight = EXPULSION if len(rules) >= most + FULL else 1
    after = list(rules)
    meant = list(_meant(rules, operations))
    for kind in ORDER:
        for operation, place, text in meant:
            if operation != kind:
                continue
            if operation == "ADD":
                after.append(VotedRule(text, BORN))
            elif operation == "EDIT":
                after[place] = after[place]._replace(text=text, votes=after[place].votes + 1)
            else:
                change = 1 if operation == "AGREE" else -weight
                after[place] = after[place]._replace(votes=after[place].votes + change)
    return sorted(_united(rule for rule in after if rule.votes > 0), key=lambda rule: -rule.votes)


def _meant(rules: Sequence[VotedRule], operations: Sequence[Operation]) -> Iterator[tuple[str, int, str]]:
    """The operations that count: kind, place in the list, wording."""
    for operation in operations:
        text = operation.text
        if not text.endswith(".") or any(word in text for word in KEYWORDS):
            continue
        named = next((place for place, rule in enumerate(rules) if rule.text in text), None)
        match operation.operation:
            case "ADD":
                if named is None:
                    yield "ADD", -1, text
            case "EDIT":
                if named is not None:
                    yield "AGREE", named, text
                elif 1 <= operation.number <= len(rules):
                    yield "EDIT", operation.number - 1, text
            case _:
                if named is not None:
                    yield operation.operation, named, text


def _united(rules: Iterator[VotedRule]) -> list[VotedRule]:
    united: dict[str, VotedRule] = {}
    for rule in rules:
        first = united.get(rule.text)
        united[rule.text] = rule if first is None else first._replace(votes=first.votes + rule.votes)
    return list(united.values())
