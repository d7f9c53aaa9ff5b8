"""Worlds with scripted players whose policy, likelihoods and expected return are known in closed form.

A player reads its whole policy out of the skill it was given, as a row of numbers; so a candidate skill's true worth is
known before a single episode is played, and the gate's opinion can be held against it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from agents.models.model import Message
from agents.models.scripted import ScriptedModel, ScriptedPolicy
from agents.skill import Skill
from environments.diagnostics.doors import COLOURS, RULE, SIGNS
from environments.diagnostics.levers import CHANCES, expected_return
from environments.grammar import Grammar

Floats = np.ndarray[Any, np.dtype[np.float64]]
NUMBERS = re.compile(r"Settings: ([-0-9. ]+)\.\n")


@dataclass(frozen=True)
class ClosedForm(ABC):
    """A family of policies on one environment, each a short vector of numbers."""

    step: float
    """Standard deviation of what a candidate's settings differ by from its parent's."""
    environment: ClassVar[str]
    remembers: ClassVar[bool] = False

    @property
    @abstractmethod
    def options(self) -> Sequence[str]:
        """Every well-formed action."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Floats:
        """A parent's settings."""

    def vary(self, settings: Floats, rng: np.random.Generator) -> Floats:
        """A candidate's settings: its parent's, changed at random, for better or worse."""
        return settings + rng.normal(scale=self.step, size=len(settings))

    @abstractmethod
    def odds(self, settings: Floats, observation: str) -> Floats:
        """Probability of each option after this last message; where it `remembers`, after all it was ever told."""

    @abstractmethod
    def true_return(self, settings: Floats) -> float: ...


def softmax(logits: Floats) -> Floats:
    """Along the last axis."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


@dataclass(frozen=True)
class LeverPlayer(ClosedForm):
    """Softmax over five levers, whatever was seen: its return is Σ p_k μ_k."""

    spread: float = 1.0
    step: float = 0.8
    environment: ClassVar[str] = "Lever-v0"

    @property
    def options(self) -> Sequence[str]:
        return [f"[{lever}]" for lever in CHANCES]

    def draw(self, rng: np.random.Generator) -> Floats:
        return rng.normal(scale=self.spread, size=len(CHANCES))

    def odds(self, settings: Floats, observation: str) -> Floats:
        return softmax(settings)

    def true_return(self, settings: Floats) -> float:
        return float(expected_return(self.odds(settings, "")))


@dataclass(frozen=True)
class DialPlayer(ClosedForm):
    """A number near a + b·g/100, bell-shaped with a given width: likelihoods change gradually with the settings.

    Right is a = 1, b = −1. The return is a mean over the 21 readings of the gauge.
    """

    step: float = 0.15
    width: float = 0.12
    environment: ClassVar[str] = "Dial-v0"

    @property
    def options(self) -> Sequence[str]:
        return [f"[{hundredths / 100:.2f}]" for hundredths in range(101)]

    def draw(self, rng: np.random.Generator) -> Floats:
        return np.array([rng.uniform(0.3, 1.0), rng.uniform(-0.8, 0.2)])

    def odds(self, settings: Floats, observation: str) -> Floats:
        found = re.search(r"gauge reads (\d+)", observation)
        return self._bell(settings, float(found[1]) if found else 50.0)

    def true_return(self, settings: Floats) -> float:
        values = np.arange(101) / 100
        gauges = np.arange(0, 101, 5)
        paid = [self._bell(settings, float(gauge)) @ (1 - np.abs(values - (1 - gauge / 100))) for gauge in gauges]
        return float(np.mean(paid))

    def _bell(self, settings: Floats, gauge: float) -> Floats:
        centre = np.clip(settings[0] + settings[1] * gauge / 100, 0.0, 1.0)
        weights = np.exp(-0.5 * ((np.arange(101) / 100 - centre) / self.width) ** 2) + 1e-12
        return weights / weights.sum()


@dataclass(frozen=True)
class DoorsPlayer(ClosedForm):
    """Softmax over four doors for each of four signs: its return is the mean chance of the right door."""

    spread: float = 1.0
    step: float = 0.8
    environment: ClassVar[str] = "Doors-v0"

    @property
    def options(self) -> Sequence[str]:
        return [f"[{colour}]" for colour in COLOURS]

    def draw(self, rng: np.random.Generator) -> Floats:
        return rng.normal(scale=self.spread, size=len(SIGNS) * len(COLOURS))

    def odds(self, settings: Floats, observation: str) -> Floats:
        sign = re.findall(r"The sign shows: (\w+)", observation)[-1]
        return self._table(settings)[SIGNS.index(sign)]

    def true_return(self, settings: Floats) -> float:
        right = [COLOURS.index(RULE[sign]) for sign in SIGNS]
        return float(self._table(settings)[range(len(SIGNS)), right].mean())

    def _table(self, settings: Floats) -> Floats:
        return softmax(settings.reshape(len(SIGNS), len(COLOURS)))


CLOSED_FORMS: dict[str, ClosedForm] = {"levers": LeverPlayer(), "dial": DialPlayer(), "doors": DoorsPlayer()}


def skill_of(settings: Floats, parent: Skill | None = None) -> Skill:
    """The skill that tells a scripted player these settings."""
    row = " ".join(f"{value:.6f}" for value in settings)
    return Skill(
        name="Settings",
        activation="Always.",
        procedure=f"Settings: {row}.",
        termination="Never.",
        parents=(parent.id,) if parent else (),
    )


def settings_of(skill: Skill) -> Floats:
    """What `skill_of` wrote, as the player will read it (rounded)."""
    return np.array([float(value) for value in skill.procedure.removeprefix("Settings: ").rstrip(".").split()])


def player(form: ClosedForm) -> ScriptedModel:
    """A model that plays by the settings in its system message, and uniformly where there are none."""
    return ScriptedModel(f"closed form: {form.environment}", policy_of(form))


def policy_of(form: ClosedForm) -> ScriptedPolicy:
    """What `player` plays by."""
    options = list(form.options)

    def policy(messages: tuple[Message, ...], grammar: Grammar | None) -> dict[str, float]:
        found = NUMBERS.search(messages[0].content)
        if found is None:
            return dict.fromkeys(options, 1 / len(options))
        settings = np.array([float(value) for value in found[1].split()])
        told = [message.content for message in messages[1:] if message.role == "user"]
        seen = "\n".join(told) if form.remembers else told[-1]
        return dict(zip(options, form.odds(settings, seen).tolist(), strict=True))

    return policy
