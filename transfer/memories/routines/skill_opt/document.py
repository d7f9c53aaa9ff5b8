"""The document that SkillOpt trains, and the edits that change it (official: skillopt/optimizer/skill.py)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.skill import Words


class Edit(BaseModel):
    """One change of the body. `target` is text that stands there; an append needs none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    op: Literal["append", "insert_after", "replace", "delete"]
    target: Annotated[Words, Field(max_length=400)]
    content: Annotated[Words, Field(max_length=800)]

    @property
    def line(self) -> str:
        """In one line, for whoever is told what was tried."""
        about = f' "{self.target}"' if self.target else ""
        return f"{self.op}{about}: {self.content}" if self.content else f"{self.op}{about}"


class Document(BaseModel):
    """Markdown that edits may change, and after it guidance that only the slow update writes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    body: str = ""
    guidance: str = ""

    @property
    def text(self) -> str:
        return "\n\n".join(part for part in (self.body, self.guidance) if part)

    def edited(self, edits: Sequence[Edit]) -> Document:
        """After these edits, in order; one whose target is not there changes nothing (an insertion is appended)."""
        body = self.body
        for edit in edits:
            if not (edit.target and edit.target in self.guidance and edit.target not in body):
                body = _apply(body, edit)
        return self.model_copy(update={"body": body})


def _apply(body: str, edit: Edit) -> str:
    content, target = edit.content.strip(), edit.target
    there = bool(target) and target in body
    match edit.op:
        case "replace" | "delete":
            return body.replace(target, content if edit.op == "replace" else "", 1).strip() if there else body
        case "insert_after" if there and content:
            end = body.find("\n", body.index(target) + len(target))
            end = len(body) if end < 0 else end
            return f"{body[:end]}\n{content}{body[end:]}"
        case _:
            return "\n\n".join(part for part in (body, content) if part)


def edit_budget(step: int, steps: int, most: int, least: int) -> int:
    """Edits of step `step` (from 0) of `steps`: from `most` down to `least` along half a cosine, then `least`."""
    share = min(1.0, step / max(1, steps - 1))
    return round(least + (most - least) * (1.0 + math.cos(math.pi * share)) / 2.0)
