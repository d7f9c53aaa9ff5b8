"""The PPO gate: a candidate gets in only if it makes what went well likelier, and what went badly rarer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from pydantic import JsonValue

from agents.models.model import (
    Likelihood,
    Model,
    ModelError,
    ModelMisconfigured,
    ModelUnavailable,
    NoLikelihoods,
    Utterance,
)
from agents.models.scoring.noise import noise_floor
from agents.skill import Skill
from transfer.gate.acceptance import Acceptance, PositiveObjective
from transfer.gate.objective import (
    LIKELIHOODS,
    ROUNDING,
    Floats,
    Objective,
    Reduction,
    log_ratios,
    objective,
    panel_mean,
    per_trajectory,
)
from transfer.gate.replay import ActingPolicy, PromptStyle, ScoringPolicy, replay, style_of, text_only
from transfer.memory.events.evolution import Measurement
from transfer.memory.events.line import PAYLOAD_NAMES
from transfer.memory.experience import Segment

Outcome = Literal["accepted", "rejected", "undecided"]


class Evidence(NamedTuple):
    """The batch B: segments that the parent controlled, and Â_t of each of their steps."""

    spans: tuple[Segment, ...]
    advantages: tuple[Floats, ...]


class Verdict(Measurement):
    """What the gate found out about one candidate, and what follows."""

    skill: str
    outcome: Outcome
    why: str

    @property
    def fields(self) -> dict[str, Any]:
        """As its event has them; the skill stands beside them."""
        return self.model_dump(exclude={"skill"})

    @property
    def payload(self) -> dict[str, JsonValue]:
        """In the paper's letters (J, delta_J), for tables."""
        return {PAYLOAD_NAMES.get(name, name): value for name, value in self.fields.items()}


class Gate(Protocol):
    async def judge(self, parent: Skill | None, candidates: Sequence[Skill], evidence: Evidence) -> list[Verdict]:
        """One verdict per candidate, in order. Raises NoLikelihoods where a scorer has none, ModelUnavailable."""
        ...


@dataclass(frozen=True)
class AcceptAll:
    """Ablation "without gate": every candidate, unseen."""

    async def judge(self, parent: Skill | None, candidates: Sequence[Skill], evidence: Evidence) -> list[Verdict]:
        return [Verdict(skill=each.id, outcome="accepted", why="no gate") for each in candidates]


@dataclass(frozen=True)
class PPOGate:
    """Importance ratios of the historical actions under parent and candidate, by each scorer; J is their mean.

    Parent and all candidates go into one `score` call, so that a scoring engine computes what they share once.
    """

    scorers: tuple[Model, ...]
    acceptance: Acceptance = field(default_factory=PositiveObjective)
    voice: ScoringPolicy = field(default_factory=ActingPolicy)
    likelihood: Callable[[Likelihood], float] = LIKELIHOODS["sum"]
    reduction: Reduction = per_trajectory
    clip: float = 0.2
    repeats: int = 24
    """Utterances scored a second time to measure the noise floor; 0 trusts the scorer."""
    least: float = 0.5
    """Share of steps that must have a usable ratio."""

    async def judge(self, parent: Skill | None, candidates: Sequence[Skill], evidence: Evidence) -> list[Verdict]:
        if not candidates:
            return []
        advantages = np.concatenate([np.empty(0), *evidence.advantages])
        if not len(advantages) or not np.any(np.nan_to_num(advantages)):
            why = "no experience to judge by" if not len(advantages) else "every return equals the baseline"
            return [Verdict(skill=each.id, outcome="undecided", why=why) for each in candidates]
        owners = [span.trajectory.id for span in evidence.spans for _ in range(span.start, span.stop)]
        styles = [style_of(span, parent) for span in evidence.spans]
        rebuilt = float(np.mean([style.certain for style in styles]))
        try:
            panel = [await self._ratios(model, parent, candidates, evidence, styles) for model in self.scorers]
        except (NoLikelihoods, ModelUnavailable, ModelMisconfigured):
            raise
        except ModelError as error:
            return [Verdict(skill=each.id, outcome="undecided", why=str(error)) for each in candidates]
        noise_nats = float(np.sqrt(np.mean([noise**2 for _, noise in panel])))
        verdicts: list[Verdict] = []
        for index, skill in enumerate(candidates):
            found = [
                objective(logs[index], advantages, owners, reduction=self.reduction, clip=self.clip, noise_nats=noise)
                for logs, noise in panel
            ]
            verdicts.append(self.verdict(skill, panel_mean(found), noise_nats, rebuilt))
        unknown = text_only(evidence.spans)
        return [each.model_copy(update={"text_only": unknown}) for each in verdicts]

    async def _ratios(
        self,
        model: Model,
        parent: Skill | None,
        candidates: Sequence[Skill],
        evidence: Evidence,
        styles: Sequence[PromptStyle],
    ) -> tuple[Floats, float]:
        """Log-ratios (candidates × steps) by one scorer, and its noise floor in nats."""
        asked: list[Utterance] = []
        for skill in (parent, *candidates):
            for span, style in zip(evidence.spans, styles, strict=True):
                asked += replay(span, skill, self.voice, style.name, kept=style.kept)
        scored = np.array([self.likelihood(each) for each in await model.score(asked)])
        table = scored.reshape(1 + len(candidates), -1)
        logs = np.stack([log_ratios(table[0], row) for row in table[1:]])
        under_parent = dict(zip(asked, table[0].tolist(), strict=False))
        return logs, await noise_floor(model, under_parent, self.repeats, self.likelihood)

    def verdict(self, skill: Skill, found: Objective, noise_nats: float, rebuilt: float) -> Verdict:
        excess = self.acceptance.excess(found)
        outcome: Outcome = "accepted" if excess > ROUNDING else "rejected"
        why = f"{type(self.acceptance).__name__}: {excess:+.4g}"
        if found.usable < self.least:
            outcome, why = "undecided", f"only {found.usable:.0%} of the steps have a usable likelihood"
        elif abs(excess) <= found.noise and found.noise > 0:
            outcome, why = "undecided", f"{why} lies within the numerical noise of {found.noise:.2g}"
        return Verdict(
            skill=skill.id,
            outcome=outcome,
            why=why,
            objective=found.after,
            before=found.before,
            change=found.change,
            stderr=found.stderr if np.isfinite(found.stderr) else None,
            noise=found.noise,
            noise_nats=noise_nats,
            clipped=found.clipped,
            usable=found.usable,
            rebuilt=rebuilt,
        )


def best(verdicts: Sequence[Verdict]) -> Verdict | None:
    """The accepted verdict of the greatest J, the first of equals."""
    accepted = [each for each in verdicts if each.outcome == "accepted"]
    return max(accepted, key=lambda each: each.objective if each.objective is not None else 0.0, default=None)


GateFactory = Callable[[Callable[[], PPOGate]], Gate]
"""Makes a gate, given how to make the PPO gate of the same choices: to be used, built upon or left alone."""

GATES: dict[str, GateFactory] = {  # for the last two, see `transfer.gate.race`
    "ppo": lambda ppo_gate: ppo_gate(),
    "none": lambda ppo_gate: AcceptAll(),
    "race": lambda ppo_gate: AcceptAll(),
    "likelihood+race": lambda ppo_gate: ppo_gate(),
}
