"""Proposals: candidates ω' = ω ⊕ ḡ (REFINE) or an entirely new skill (DISCOVER), N_c of them (paper section 4.2)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.models.model import Model, Sampling
from agents.skill import Skill
from transfer.nppo.aggregation import AggregateGradient
from transfer.nppo.evolver import EVOLVING, Unusable, ask, skill_words, structured
from transfer.nppo.gradient import Gradient

Mode = Literal["REFINE", "DISCOVER"]


class SkillDraft(BaseModel):
    """A skill as an evolver writes it; the procedure as a list, which the acting prompt numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=48)]
    activation: Annotated[str, Field(min_length=1, max_length=200)]
    procedure: Annotated[list[Annotated[str, Field(min_length=1, max_length=140)]], Field(min_length=1, max_length=8)]
    termination: Annotated[str, Field(min_length=1, max_length=140)]


@dataclass(frozen=True)
class EvolutionRequest:
    """What the proposals answer: one parent, its rules, its gradients and what they have in common."""

    parent: Skill | None
    rules: str
    mode: Mode
    direction: AggregateGradient
    gradients: tuple[Gradient, ...]


class Proposals(BaseModel):
    """Distinct candidates in the order of their seeds, and why others are missing."""

    model_config = ConfigDict(frozen=True)

    skills: tuple[Skill, ...]
    problems: tuple[str, ...] = ()


class Proposer(Protocol):
    async def __call__(self, batch: EvolutionRequest, seeds: Sequence[int]) -> Proposals:
        """One try per seed."""
        ...


@dataclass(frozen=True)
class Evolve:
    """The evolver writes one skill per seed, all at once; what it writes twice counts once."""

    model: Model
    sampling: Sampling = Sampling(temperature=0.8, max_tokens=700)

    async def __call__(self, batch: EvolutionRequest, seeds: Sequence[int]) -> Proposals:
        found = await asyncio.gather(*(self._one(batch, seed) for seed in seeds))
        skills: dict[str, Skill] = {}
        problems: list[str] = []
        for each in found:
            if isinstance(each, str):
                problems.append(each)
            elif batch.parent is not None and each.says_the_same_as(batch.parent):
                problems.append("a candidate repeats its parent")
            elif any(each.says_the_same_as(other) for other in skills.values()):
                problems.append("a candidate repeats another")
            else:
                skills[each.id] = each
        return Proposals(skills=tuple(skills.values()), problems=tuple(problems))

    async def _one(self, batch: EvolutionRequest, seed: int) -> Skill | str:
        evidence = batch.direction.lines
        if not any((batch.direction.activation, batch.direction.procedure, batch.direction.termination)):
            evidence = "\n".join(gradient.lines for gradient in batch.gradients)
        prompt = ask(
            batch.mode.lower(),
            rules=batch.rules,
            skill=skill_words(batch.parent),
            direction=evidence,
        )
        try:
            draft = await structured(self.model, prompt, SkillDraft, replace(self.sampling, seed=seed))
            return finished(_answered(draft, batch), batch.parent if batch.mode == "REFINE" else None)
        except Unusable as error:
            return str(error)
        except ValidationError as error:
            return f"a candidate is no skill ({error.errors()[0]['msg']})"


def _answered(draft: SkillDraft, batch: EvolutionRequest) -> SkillDraft:
    """The draft, with what the evidence says in place of parts that only repeat the question, as small models do."""
    question = EVOLVING[batch.mode.lower()].casefold()

    def own(text: str, instead: str) -> str:
        bare = text.strip(" .").casefold()
        return instead if len(bare.split()) > 3 and bare in question else text

    return draft.model_copy(
        update={
            "activation": own(draft.activation, batch.direction.activation or batch.rules[:200]),
            "termination": own(draft.termination, batch.direction.termination or "The game ends."),
        }
    )


def finished(draft: SkillDraft, parent: Skill | None) -> Skill:
    """The draft as a skill, its steps numbered. Raises ValidationError when nothing but blanks is left of a part."""
    steps = [
        re.sub(r"^\s*(?:step\s*)?\d+\s*[.:)]\s*", "", step, flags=re.IGNORECASE).strip() for step in draft.procedure
    ]
    numbered = " ".join(f"{number}. {step}" for number, step in enumerate(filter(None, steps), 1))
    return Skill(
        name=draft.name.strip(),
        activation=draft.activation.strip(),
        procedure=numbered,
        termination=draft.termination.strip(),
        parents=(parent.id,) if parent else (),
    )
