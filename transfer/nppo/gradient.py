"""Semantic gradients: what one trajectory says should change in the skill that controlled it (paper section 4.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from agents.models.model import Model, Sampling
from agents.skill import Skill
from transfer.memory.experience import Segment, Trajectory
from transfer.nppo.evolver import EVOLVING, ask, record, skill_words, structured

EMPTY = ("none", "n/a", "null", "no change", "no change needed", "keep as is", "empty", "unchanged")
"""What small models write when they mean nothing."""

Line = Annotated[str, Field(max_length=120)]
Lines = Annotated[list[Line], Field(max_length=8)]


class Attribution(BaseModel):
    """g_i = (g^I, g^π, g^β) with its diagnosis, as the evolver writes it; "" means no change.

    Lengths are bounded, so that a small model's answer ends before its budget does. The procedure comes first: a small
    model that must explain before it has looked believes its own explanation (seen with Qwen2.5-Coder-1.5B).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    procedure: Lines
    activation: Line
    termination: Line
    diagnosis: Annotated[str, Field(max_length=160)]
    is_related: bool


class Summary(BaseModel):
    """A neutral account of one trajectory (the ablation's)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: Annotated[str, Field(min_length=1, max_length=300)]


@dataclass(frozen=True)
class Gradient:
    """One trajectory's semantic gradient."""

    trajectory: str
    total: float
    diagnosis: str
    is_related: bool
    activation: str = ""
    procedure: str = ""
    termination: str = ""

    @property
    def lines(self) -> str:
        """As the aggregation reads it; parts without a change are left out."""
        parts = {"activation": self.activation, "procedure": self.procedure, "termination": self.termination}
        changes = "".join(
            f"\n  {EVOLVING['part'].format(part=part, text=text)}" for part, text in parts.items() if text
        )
        return EVOLVING["lesson"].format(total=self.total, diagnosis=self.diagnosis) + changes

    @property
    def fields(self) -> dict[str, Any]:
        """As its event has them; the trajectory stands beside them."""
        return {
            "total": self.total,
            "diagnosis": self.diagnosis,
            "is_related": self.is_related,
            "activation": self.activation,
            "procedure": self.procedure,
            "termination": self.termination,
        }


class Critic(Protocol):
    """Turns one trajectory into a gradient. Raises Unusable when it cannot."""

    async def __call__(self, skill: Skill | None, spans: Sequence[Segment], baseline: float, seed: int) -> Gradient: ...


@dataclass(frozen=True)
class Hindsight:
    """Hindsight attribution: the outcome is explained by the parts of the skill that was in control."""

    model: Model
    sampling: Sampling = Sampling(temperature=0.3, max_tokens=512)

    async def __call__(self, skill: Skill | None, spans: Sequence[Segment], baseline: float, seed: int) -> Gradient:
        trajectory = _one(spans)
        prompt = ask(
            "gradient",
            rules=trajectory.rules,
            skill=skill_words(skill),
            record=record(spans),
            total=trajectory.total,
            baseline=baseline,
        )
        found = await structured(self.model, prompt, Attribution, replace(self.sampling, seed=seed))
        return Gradient(
            trajectory.id,
            trajectory.total,
            found.diagnosis.strip(),
            found.is_related,
            clean_text(found.activation),
            join_lines(found.procedure),
            clean_text(found.termination),
        )


@dataclass(frozen=True)
class NeutralSummary:
    """Ablation "without semantic gradient": facts without cause or advice; always counted as related."""

    model: Model
    sampling: Sampling = Sampling(temperature=0.3, max_tokens=256)

    async def __call__(self, skill: Skill | None, spans: Sequence[Segment], baseline: float, seed: int) -> Gradient:
        trajectory = _one(spans)
        prompt = ask("summary", rules=trajectory.rules, record=record(spans), total=trajectory.total)
        found = await structured(self.model, prompt, Summary, replace(self.sampling, seed=seed))
        return Gradient(trajectory.id, trajectory.total, found.summary.strip(), True)


def join_lines(lines: Sequence[str]) -> str:
    """Instructions as one text, each once; lines that say nothing are left out."""
    return " ".join(dict.fromkeys(filter(None, map(clean_text, lines))))


def clean_text(text: str) -> str:
    """The text, or "" where it says no more than that there is nothing to say."""
    bare = text.strip()
    return "" if bare.strip(" .'\"()").lower() in EMPTY else bare


def _one(spans: Sequence[Segment]) -> Trajectory:
    if not spans or any(span.trajectory.id != spans[0].trajectory.id for span in spans):
        raise ValueError("a gradient is of the segments of exactly one trajectory")
    return spans[0].trajectory


CriticFactory = Callable[[Model], Critic]
"""Makes a critic from the evolver."""

CRITICS: dict[str, CriticFactory] = {"hindsight": Hindsight, "neutral-summary": NeutralSummary}
