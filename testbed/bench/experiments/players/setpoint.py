"""Scripted players of Setpoint, who write numbers: a bell around a centre that they read in their skill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, ClassVar
from zlib import crc32

import numpy as np

from environments.diagnostics.setpoint import HEAT, RIGHT_HEAT, RIGHT_TILT, TILT, pay
from environments.diagnostics.setpoint import settings as knobs
from testbed.bench.experiments.closed_forms import ClosedForm, Floats, softmax


@dataclass(frozen=True)
class SetpointPlayer(ClosedForm):
    """A number near a centre, bell-shaped with a given width: its return is Σ p(x) pay(x) over all numbers there are.

    With `jitter` it has a language model's habit: each decimal has digits of its own liking, which every other wording
    of its skill shuffles (normal log-odds of that standard deviation).
    """

    step: float = 0.8
    width: float = 0.8
    jitter: float = 0.0
    environment: ClassVar[str] = "Setpoint-v0"
    decimals: ClassVar[int] = 1

    @property
    def options(self) -> Sequence[str]:
        return [f"[{text}]" for text in _heats(self.decimals)]

    def draw(self, rng: np.random.Generator) -> Floats:
        return rng.uniform(*HEAT, size=1)

    def odds(self, settings: Floats, observation: str) -> Floats:
        return _bell(self.decimals, float(settings[0]), self.width, self.jitter)

    def true_return(self, settings: Floats) -> float:
        paid = pay(np.array([float(text) for text in _heats(self.decimals)]), RIGHT_HEAT)
        return float(self.odds(settings, "") @ paid)


@dataclass(frozen=True)
class WholeSetpointPlayer(SetpointPlayer):
    environment: ClassVar[str] = "Setpoint-v0:decimals=0"
    decimals: ClassVar[int] = 0


@dataclass(frozen=True)
class FineSetpointPlayer(SetpointPlayer):
    environment: ClassVar[str] = "Setpoint-v0:decimals=3"
    decimals: ClassVar[int] = 3


@dataclass(frozen=True)
class PairPlayer(ClosedForm):
    """A vector of two whole numbers, each near a centre of its own: its return is the mean of theirs."""

    step: float = 0.8
    width: float = 0.8
    environment: ClassVar[str] = "Setpoint-v0-pair:decimals=0"

    @property
    def options(self) -> Sequence[str]:
        heat, tilt = knobs(0, pair=True).parts
        return [f"[{one}, {other}]" for one in heat.texts for other in tilt.texts]

    def draw(self, rng: np.random.Generator) -> Floats:
        return np.array([rng.uniform(*HEAT), rng.uniform(*TILT)])

    def odds(self, settings: Floats, observation: str) -> Floats:
        heat, tilt = self._each(settings)
        return np.outer(heat, tilt).ravel()

    def true_return(self, settings: Floats) -> float:
        heat, tilt = self._each(settings)
        low = np.arange(len(heat), dtype=np.float64)
        return float(heat @ pay(HEAT[0] + low, RIGHT_HEAT) + tilt @ pay(TILT[0] + low, RIGHT_TILT)) / 2

    def _each(self, settings: Floats) -> tuple[Floats, Floats]:
        """The two knobs have as many numbers, TILT − HEAT apart."""
        shift = HEAT[0] - TILT[0]
        return _bell(0, float(settings[0]), self.width), _bell(0, float(settings[1]) + shift, self.width)


@cache
def _heats(decimals: int) -> tuple[str, ...]:
    return tuple(knobs(decimals).parts[0].texts)


@cache
def _digits(decimals: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The decimals of every number, (numbers, decimals)."""
    texts = _heats(decimals)
    return np.array([[int(digit) for digit in text[-decimals:]] for text in texts]).reshape(len(texts), decimals)


@lru_cache(maxsize=4096)
def _bell(decimals: int, centre: float, width: float, jitter: float = 0.0) -> Floats:
    """Probabilities of all heats; what they depend on is known, so that each is computed once."""
    values = np.arange(len(_heats(decimals))) / 10**decimals + HEAT[0]
    logits = -0.5 * ((values - np.clip(centre, *HEAT)) / width) ** 2
    if jitter and decimals:
        liking = np.random.default_rng(crc32(f"{centre:.6f}".encode())).normal(scale=jitter, size=(decimals, 10))
        logits = logits + liking[np.arange(decimals), _digits(decimals)].sum(axis=1)
    return softmax(logits)


SETPOINT_FORMS: dict[str, ClosedForm] = {"setpoint": SetpointPlayer(), "pair": PairPlayer()}
