"""A skill: one option of the Skill-MDP, in words (paper section 3)."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

AS_WRITTEN = {"skills": "as written"}
"""Context of a validation that reads a record: the words of a skill stay what they were, and so does its id."""

_LATEX = {"\b": r"\b", "\f": r"\f"}
"""A model that writes "\\beta" or "\\frac" into JSON says backspace or form feed, and means LaTeX."""
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold (section 2.2, Char), and the carriage return, which its readers change."""


def printable(text: str) -> str:
    """Text that every format of a run can hold; U+FFFD stands for each character that some cannot."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _NOT_XML.sub(lambda found: _LATEX.get(found[0], "\ufffd"), text)


def _words(given: Any, info: ValidationInfo) -> Any:
    return given if info.context == AS_WRITTEN or not isinstance(given, str) else printable(given)


Words = Annotated[str, BeforeValidator(_words)]


class Skill(BaseModel):
    """ω = ⟨I, π, β⟩. Two skills with the same words are the same skill, whoever their parents are.

    Words that a model or a program gives are made `printable`; those of a record (`AS_WRITTEN`) are left alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Words = Field(min_length=1, max_length=120)
    activation: Words = Field(min_length=1, max_length=4000)
    """I: when to start it."""
    procedure: Words = Field(min_length=1, max_length=8000)
    """π: what to do, step by step."""
    termination: Words = Field(min_length=1, max_length=4000)
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
