"""Admission: may a skill that somebody else gave be used? On trust, or after quarantine and gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pydantic import JsonValue

from agents.model import Model
from agents.skill import Skill
from transfer.experience import Trajectory
from transfer.state import LearnerState

Outcome = Literal["accepted", "rejected", "undecided"]


@dataclass(frozen=True)
class Case:
    """An incoming skill before its receiver, with the receiver's own latest trajectories."""

    receiver: str
    skill: Skill
    state: LearnerState
    evidence: Sequence[Trajectory]


@dataclass(frozen=True)
class Ruling:
    """What becomes of it; `payload` goes into the event (J, ΔJ, noise, reason)."""

    outcome: Outcome
    payload: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


class Admission(Protocol):
    """All cases of an exchange come in one call, so that a model scores them in one batch."""

    async def judge(self, cases: Sequence[Case]) -> list[Ruling]:
        """One ruling per case, in order. An undecided skill waits in quarantine."""
        ...


AdmissionFactory = Callable[[Mapping[str, Model]], Admission]
"""Makes an admission rule from the members' models, by member."""


class OnTrust:
    """Whatever is given may be used at once."""

    async def judge(self, cases: Sequence[Case]) -> list[Ruling]:
        return [Ruling("accepted")] * len(cases)


ADMISSIONS: dict[str, AdmissionFactory] = {"trust": lambda models: OnTrust()}
