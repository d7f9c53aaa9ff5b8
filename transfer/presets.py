"""`LEARNERS`: every learner by name, each a factory from models and named choices to an object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agents.model import Model
from transfer.learner import Fixed, KeepBest, Learner

if TYPE_CHECKING:
    from agents.embedding import Embedder


@dataclass(frozen=True)
class Minds:
    """The models a learner may ask: who acted, who proposes, who else judges; and the embedder."""

    actor: Model
    evolver: Model
    embedder: Embedder
    panel: tuple[Model, ...] = ()
    """Further models for the `receiver` (the first) and `panel` scorers."""


LearnerFactory = Callable[[Minds, np.random.SeedSequence], Learner]

LEARNERS: dict[str, LearnerFactory] = {
    "fixed": lambda minds, seed: Fixed(),
    "keep-best": lambda minds, seed: KeepBest(),
}
