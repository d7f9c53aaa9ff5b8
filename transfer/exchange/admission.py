"""Admission: may a skill that somebody else gave be used? On trust, or after quarantine and gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from agents.skill import Skill
from transfer.exchange.population import Society
from transfer.gate.gate import Verdict
from transfer.memory.state import LearnerState


@dataclass(frozen=True)
class Case:
    """An incoming skill before its receiver, with the receiver's own latest trajectories (by id, oldest first).

    `incumbents` are the receiver's own skills of late, by id: those under which it played these trajectories.
    """

    receiver: str
    skill: Skill
    state: LearnerState
    trajectories: tuple[str, ...]
    incumbents: Mapping[str, Skill]


class Admission(Protocol):
    """All cases of an exchange come in one call, so that a model scores them in one batch."""

    async def judge(self, cases: Sequence[Case]) -> list[Verdict]:
        """One verdict per case, in order. An undecided skill waits in quarantine. Raises as `Gate.judge` does."""
        ...


class OnTrust:
    """Whatever is given may be used at once."""

    async def judge(self, cases: Sequence[Case]) -> list[Verdict]:
        return [Verdict(skill=case.skill.id, outcome="accepted", why="on trust") for case in cases]


def case_of(receiver: str, skill: Skill, base: Society, society: Society) -> Case:
    """The case of a skill before a member; `base` is how the population stood before the round's learning."""
    member = society.members[receiver]
    own = (*base.members[receiver].state.pool.each(), *member.state.pool.each())
    return Case(receiver, skill, member.state, member.recent, {each.id: each for each in own})
