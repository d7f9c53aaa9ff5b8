"""`Population`: a population's members between two rounds, and what they tell of each other. Small, frozen, JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from agents.skill import Skill
from transfer.memory.events.event import Event
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState

RECENT = 6
"""Trajectories by which a member judges a gift: as many as the paper evolves a skill from."""

NOBODY = ""
"""Author of the seed skills."""


class Gift(BaseModel):
    """A skill on its way from one member to another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    giver: str
    skill: Skill
    since: int
    """Round in which it was offered."""


class Member(BaseModel):
    """One agent of a population."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: LearnerState
    recent: tuple[str, ...] = ()
    """Ids of its latest trajectories, oldest first: what it judges gifts by."""
    quarantine: tuple[Gift, ...] = ()
    """Gifts that the gate could not decide on yet; they cannot be used."""
    refused: tuple[str, ...] = ()
    """Ids of skills it rejected, or held and dropped for what they did: it takes none of them again."""
    lost: str = ""
    """Why it plays no more; "" while it does."""


class MemberUpdate(NamedTuple):
    """What a member brings home from a round: its new state, and the ids of the trajectories it played."""

    state: LearnerState
    trajectories: tuple[str, ...]


class Population(BaseModel):
    """All members of one population after `round` rounds, in a fixed order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    members: Mapping[str, Member]
    authors: Mapping[str, str]
    """Per skill ever held: the first member that held it without having been given it; NOBODY for seeds."""
    round: int = 0
    version: int = 0
    """Writes that a commons has taken."""

    @classmethod
    def of(cls, states: Mapping[str, LearnerState]) -> Population:
        """A new population whose first skills are nobody's."""
        skills = [skill for state in states.values() for skill in state.pool.ids]
        return cls(
            members={name: Member(state=state) for name, state in states.items()},
            authors=dict.fromkeys(skills, NOBODY),
        )

    @property
    def playing(self) -> dict[str, Member]:
        """The members whose model still answers."""
        return {name: member for name, member in self.members.items() if not member.lost}

    def pools(self) -> dict[str, SkillPool]:
        """Every pool in use, by its digest."""
        return {member.state.pool.digest: member.state.pool for member in self.members.values()}

    def replace(self, members: Mapping[str, Member]) -> Population:
        """The same population with some members changed."""
        return self.model_copy(update={"members": {**self.members, **members}})

    def grown(self, lessons: Mapping[str, MemberUpdate]) -> Population:
        """After learning: authors for what is new (the members' order decides), refusals for what went."""
        authors, members = dict(self.authors), dict(self.members)
        for name, (state, played) in lessons.items():
            before = members[name]
            gone = [skill for skill in before.state.pool.ids if skill not in state.pool]
            members[name] = before.model_copy(
                update={
                    "state": state,
                    "refused": _joined(before.refused, gone),
                    "recent": (*before.recent, *played)[-RECENT:],
                }
            )
            for skill in state.pool.ids:
                authors.setdefault(skill, name)
        return self.model_copy(update={"members": members, "authors": authors})


class MemberEvent(NamedTuple):
    """An event and the member it happened to."""

    member: str
    event: Event


@dataclass(frozen=True)
class RoundOutcome:
    """What a round's episodes showed an exchange."""

    round: int
    """From 1."""
    merits: Mapping[str, float]
    """Mean return of every member that still plays, in the population's order; NaN where no episode was finished."""
    rng: np.random.Generator


def refusing(member: Member, skills: Iterable[str]) -> Member:
    """The member, never to take these skills again."""
    return member.model_copy(update={"refused": _joined(member.refused, skills)})


def _joined(known: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *more)))
