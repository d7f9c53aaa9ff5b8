"""A skill: one option of the Skill-MDP, in words (paper section 3)."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field


class Skill(BaseModel):
    """ω = ⟨I, π, β⟩. Two skills with the same words are the same skill, whoever their parents are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=120)
    activation: str = Field(min_length=1, max_length=4000)
    """I: when to start it."""
    procedure: str = Field(min_length=1, max_length=8000)
    """π: what to do, step by step."""
    termination: str = Field(min_length=1, max_length=4000)
    """β: when to hand control back."""
    parents: tuple[str, ...] = ()
    """Ids of the skills it was made from; none for a seed or a discovery."""

    @cached_property
    def id(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of its words."""
        words = json.dumps([self.name, self.activation, self.procedure, self.termination], ensure_ascii=False)
        return hashlib.sha256(words.encode()).hexdigest()[:12]

    def says_the_same_as(self, other: Skill) -> bool:
        """Equal but for the name, case and spaces."""
        return self._bare_words == other._bare_words

    @property
    def _bare_words(self) -> list[str]:
        return " ".join((self.activation, self.procedure, self.termination)).casefold().split()

    @property
    def text(self) -> str:
        """The skill as it stands in a prompt."""
        return f"{self.name}\nWhen: {self.activation}\nHow: {self.procedure}\nUntil: {self.termination}"
