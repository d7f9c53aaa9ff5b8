"""The named choices of Non-Parametric PPO where paper and official code differ, as plain data, and three presets."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class ChoiceError(ValueError):
    """A choice that does not exist; one sentence that names it and what can be chosen."""


class NPPOConfig(BaseModel):
    """One value per choice. Every default is the paper's where the paper states one (else ours, and said so).

    A part (critic, aggregation, gate, …) is named by the dictionary beside its classes, or is anybody's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    critic: str = "hindsight"
    aggregation: str = "consolidate"
    gate: str = "ppo"
    advantage: str = "return-to-go"
    gamma: float = Field(default=1.0, ge=0.0, le=1.0)
    likelihood: Literal["sum", "per-token-mean"] = "sum"
    reduction: Literal["per-trajectory", "per-step"] = "per-trajectory"
    acceptance: str = "objective"
    margin: float = 0.0
    """J or ΔJ must exceed it; for "confident-improvement" the number of standard errors."""
    clip: float = Field(default=0.2, gt=0.0, lt=1.0)
    """ε of the clipped ratio."""
    scorer: Literal["actor", "evolver", "receiver", "panel"] = "actor"
    whose: str = "policy"
    """Likelihoods of the policy that acted (grammar mask, temperature), or of the bare model. Ours: the paper is
    silent, but only the first gives importance ratios."""
    reasoning: Literal["given", "omitted"] = "given"
    """Where the actor reasoned aloud: the action's likelihood given its recorded reasoning, or without."""
    maintenance: str = "always"
    evidence: int = Field(default=3, ge=1)
    """Trajectories before a score can kill (ours: the paper names no number)."""
    priority: str = "potential"
    credit: str = "step-mean"
    baseline: str = "running-mean"
    alpha: float = Field(default=0.1, gt=0.0, le=1.0)
    batch: int = Field(default=6, ge=2)
    candidates: int = Field(default=3, ge=1)
    parents: int = Field(default=2, ge=1)
    related: float = Field(default=0.5, ge=0.0, le=1.0)
    cooldown: int = Field(default=3, ge=0)
    duel_level: float = Field(default=0.05, gt=0.0, lt=1.0)
    """For the gates "race" and "likelihood+race" (ours): chance that a duel ever admits what is no better."""
    duel_margin: float = Field(default=0.0, ge=0.0)
    """A candidate whose gain in return is surely smaller is dropped."""
    duel_pairs: int = Field(default=24, ge=1)
    """Most pairs of games of a duel; they are charged to the learning budget."""
    duel_look: int = Field(default=2, ge=1)
    """Pairs that are played at once."""
    duel_test: Literal["symmetric", "betting"] = "symmetric"
    """Differences symmetric about their mean, or only bounded (which takes about twice the games)."""
    duel_opponent: Literal["parent", "none"] = "parent"
    """Against whom: the parent, or playing without a skill."""
    screen: float = 2.0
    """For "likelihood+race": ΔJ this many standard errors below 0 and a candidate does not race. With 2, half of what
    is no better stays out, and one improvement in seven (docs/nppo.md)."""


PAPER = NPPOConfig()

AS_RELEASED = NPPOConfig(
    aggregation="juxtapose",
    advantage="per-step-share",
    likelihood="per-token-mean",
    reduction="per-step",
    margin=0.001,
    scorer="evolver",
    whose="raw",
    maintenance="lower-bound",
    priority="as-released",
    credit="per-call",
    baseline="moving-average",
)

RECOMMENDED = NPPOConfig(gate="race", advantage="step-baseline", acceptance="improvement")
"""Ours, by the tables of docs/nppo.md: a gate that plays. Advantage and acceptance are for those who add the likelihood
("likelihood+race", or "ppo" where a budget is too small for duels)."""

PRESETS: dict[str, NPPOConfig] = {"paper": PAPER, "as-released": AS_RELEASED, "recommended": RECOMMENDED}


def make_config(preset: str = "paper", changes: Mapping[str, Any] = {}) -> NPPOConfig:
    """A preset with some choices changed. Raises ChoiceError, naming the nearest valid name or value."""
    if preset not in PRESETS:
        raise ChoiceError(f"no preset is called {preset!r}; there are: {', '.join(PRESETS)}")
    for name in changes:
        if name not in NPPOConfig.model_fields:
            near = difflib.get_close_matches(str(name), NPPOConfig.model_fields, n=1, cutoff=0.5)
            remedy = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(NPPOConfig.model_fields)}"
            raise ChoiceError(f"learning.choices.{name}: no such choice; {remedy}")
    try:
        return NPPOConfig.model_validate(PRESETS[preset].model_dump() | dict(changes))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ChoiceError(f"learning.choices.{place}: {first['msg']} (got {first['input']!r})") from None
