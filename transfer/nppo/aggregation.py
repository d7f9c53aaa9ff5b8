"""Aggregation: what a batch of semantic gradients has in common (paper section 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from agents.models.model import Model, Sampling
from agents.skill import Skill
from transfer.nppo.evolver import EVOLVING, Unusable, ask, skill_words, structured
from transfer.nppo.gradient import Gradient, Line, Lines, clean_text, join_lines


class Consolidation(BaseModel):
    """ḡ as the evolver writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    procedure: Lines
    activation: Line
    termination: Line


class AggregateGradient(BaseModel):
    """ḡ = (ḡ^I, ḡ^π, ḡ^β): how to change the skill; "" means no change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    activation: str
    procedure: str
    termination: str

    @property
    def lines(self) -> str:
        parts = {"activation": self.activation, "procedure": self.procedure, "termination": self.termination}
        lines = [EVOLVING["part"].format(part=part, text=text) for part, text in parts.items() if text]
        return "\n".join(lines) or EVOLVING["nothing"]


class Aggregation(Protocol):
    async def __call__(self, skill: Skill | None, gradients: Sequence[Gradient], seed: int) -> AggregateGradient: ...


@dataclass(frozen=True)
class Consolidate:
    """One call to the evolver; where its answer is unusable, the gradients stand side by side instead."""

    model: Model
    sampling: Sampling = Sampling(temperature=0.3, max_tokens=700)

    async def __call__(self, skill: Skill | None, gradients: Sequence[Gradient], seed: int) -> AggregateGradient:
        prompt = ask("aggregate", skill=skill_words(skill), gradients="\n".join(each.lines for each in gradients))
        try:
            found = await structured(self.model, prompt, Consolidation, replace(self.sampling, seed=seed))
        except Unusable:
            return await Juxtapose()(skill, gradients, seed)
        return AggregateGradient(
            activation=clean_text(found.activation),
            procedure=join_lines(found.procedure),
            termination=clean_text(found.termination),
        )


@dataclass(frozen=True)
class Juxtapose:
    """No aggregation by a model: all gradients side by side, as the official code hands them to the update."""

    async def __call__(self, skill: Skill | None, gradients: Sequence[Gradient], seed: int) -> AggregateGradient:
        def beside(part: str, limit: int) -> str:
            texts = dict.fromkeys(getattr(each, part) for each in gradients)
            return "; ".join(text for text in texts if text)[:limit]

        procedure = beside("procedure", 900) or beside("diagnosis", 900)
        return AggregateGradient(
            activation=beside("activation", 240), procedure=procedure, termination=beside("termination", 240)
        )


AggregationFactory = Callable[[Model], Aggregation]
"""Makes an aggregation from the evolver."""

AGGREGATIONS: dict[str, AggregationFactory] = {
    "consolidate": Consolidate,
    "juxtapose": lambda evolver: Juxtapose(),
}
