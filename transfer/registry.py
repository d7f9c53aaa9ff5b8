"""`LEARNERS`: every learner by name, each a factory from models and named choices to an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from agents.embedding import Embedder
from agents.models.model import Model
from transfer.baselines.fixed import Fixed
from transfer.baselines.keep_best import KeepBest
from transfer.baselines.notes import Notes
from transfer.gate.acceptance import Acceptance, ConfidentImprovement, Improvement, PositiveObjective
from transfer.gate.advantage import Advantage, PerStepShare, ReturnToGo, StepBaseline
from transfer.gate.gate import AcceptAll, Gate, PPOGate
from transfer.gate.objective import LIKELIHOODS, REDUCTIONS
from transfer.gate.replay import ActingPolicy, RawModel, Voice
from transfer.learner import Learner
from transfer.maintenance.credit import BaselineRule, Credit, MovingAverage, PerCall, RunningMean, StepMean
from transfer.maintenance.rules import Always, FirstInFirstOut, LowerBound, Maintenance, OverCapacity
from transfer.nppo.aggregation import Aggregation, Consolidate, Juxtapose
from transfer.nppo.algorithm import NPPO
from transfer.nppo.config import PAPER, ChoiceError, Choices
from transfer.nppo.gradient import Critic, Hindsight, NeutralSummary
from transfer.nppo.priority import AsReleased, ByPotential, Priority
from transfer.nppo.proposal import Evolve


@dataclass(frozen=True)
class Minds:
    """The models a learner may ask: who acted (and how warmly), who proposes, who else judges; and the embedder."""

    actor: Model
    evolver: Model
    embedder: Embedder
    panel: tuple[Model, ...] = ()
    """Further models for the `receiver` (the first) and `panel` scorers."""
    temperature: float = 0.6
    """At which the actor's moves were drawn."""


class LearnerFactory(Protocol):
    def __call__(self, minds: Minds, seeds: np.random.SeedSequence, choices: Choices = PAPER) -> Learner: ...


def nppo(minds: Minds, seeds: np.random.SeedSequence, choices: Choices = PAPER) -> Learner:
    """Algorithm 1 with these choices. Raises ChoiceError when a scorer is asked for whom nobody named."""
    critics: dict[str, Critic] = {
        "hindsight": Hindsight(minds.evolver),
        "neutral-summary": NeutralSummary(minds.evolver),
    }
    aggregations: dict[str, Aggregation] = {"consolidate": Consolidate(minds.evolver), "juxtapose": Juxtapose()}
    advantages: dict[str, Advantage] = {
        "return-to-go": ReturnToGo(choices.gamma),
        "per-step-share": PerStepShare(),
        "step-baseline": StepBaseline(choices.gamma),
    }
    priorities: dict[str, Priority] = {
        "potential": ByPotential(most=choices.parents),
        "as-released": AsReleased(most=choices.parents),
    }
    return NPPO(
        critic=critics[choices.critic],
        aggregation=aggregations[choices.aggregation],
        proposer=Evolve(minds.evolver),
        gate=gate(minds, choices),
        embedder=minds.embedder,
        seeds=seeds,
        advantage=advantages[choices.advantage],
        maintenance=maintenance(choices),
        priority=priorities[choices.priority],
        batch=choices.batch,
        candidates=choices.candidates,
        related=choices.related,
        cooldown=choices.cooldown,
        **bookkeeping(choices),
    )


def gate(minds: Minds, choices: Choices) -> Gate:
    """The gate of these choices. Raises ChoiceError when a scorer is asked for whom nobody named."""
    if choices.gate == "none":
        return AcceptAll()
    if choices.scorer in ("receiver", "panel") and not minds.panel:
        raise ChoiceError(f'scorer = "{choices.scorer}" needs another agent to score; take "actor" or "evolver"')
    scorers: dict[str, tuple[Model, ...]] = {
        "actor": (minds.actor,),
        "evolver": (minds.evolver,),
        "receiver": minds.panel[:1],
        "panel": (minds.actor, *minds.panel),
    }
    return ppo_gate(scorers[choices.scorer], minds.temperature, choices)


def ppo_gate(scorers: tuple[Model, ...], temperature: float, choices: Choices) -> PPOGate:
    """The gate whose ratios these models compute of moves that were drawn at this temperature."""
    given = choices.reasoning == "given"
    voices: dict[str, Voice] = {"policy": ActingPolicy(temperature, given), "raw": RawModel(given)}
    acceptances: dict[str, Acceptance] = {
        "objective": PositiveObjective(choices.margin),
        "improvement": Improvement(choices.margin),
        "confident-improvement": ConfidentImprovement(choices.margin),
    }
    return PPOGate(
        scorers,
        acceptance=acceptances[choices.acceptance],
        voice=voices[choices.whose],
        likelihood=LIKELIHOODS[choices.likelihood],
        reduction=REDUCTIONS[choices.reduction],
        clip=choices.clip,
    )


def maintenance(choices: Choices) -> Maintenance:
    """What leaves the pool by these choices."""
    always = Always(evidence=choices.evidence)
    maintenances: dict[str, Maintenance] = {
        "always": always,
        "over-capacity": OverCapacity(always),
        "lower-bound": LowerBound(),
        "fifo": FirstInFirstOut(),
    }
    return maintenances[choices.maintenance]


def bookkeeping(choices: Choices) -> dict[str, Any]:
    """How every learner keeps scores and baselines."""
    credits: dict[str, Credit] = {"step-mean": StepMean(), "per-call": PerCall()}
    rules: dict[str, BaselineRule] = {"running-mean": RunningMean(), "moving-average": MovingAverage(choices.alpha)}
    return {"credit": credits[choices.credit], "baseline": rules[choices.baseline]}


def fixed(minds: Minds, seeds: np.random.SeedSequence, choices: Choices = PAPER) -> Learner:
    return Fixed(**bookkeeping(choices))


def keep_best(minds: Minds, seeds: np.random.SeedSequence, choices: Choices = PAPER) -> Learner:
    return KeepBest(**bookkeeping(choices))


def notes(minds: Minds, seeds: np.random.SeedSequence, choices: Choices = PAPER) -> Learner:
    return Notes(**bookkeeping(choices))


@dataclass(frozen=True)
class Without:
    """An ablation: NP-PPO with one part taken out."""

    changes: Mapping[str, Any]

    def __call__(self, minds: Minds, seeds: np.random.SeedSequence, choices: Choices = PAPER) -> Learner:
        return nppo(minds, seeds, choices.model_copy(update=dict(self.changes)))


LEARNERS: dict[str, LearnerFactory] = {
    "nppo": nppo,
    "nppo-without-gradient": Without({"critic": "neutral-summary"}),
    "nppo-without-gate": Without({"gate": "none"}),
    "nppo-without-score": Without({"maintenance": "fifo"}),
    "fixed": fixed,
    "keep-best": keep_best,
    "notes": notes,
}
