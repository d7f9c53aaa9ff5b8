"""`Progress`: whoever is told how a study goes."""

from __future__ import annotations

from typing import Protocol

from agents.models.adapters.metered import Charge
from testbed.records.trial import Episode, Trial


class Progress(Protocol):
    """Told of every episode that begins or has come to an end, well or badly, and of what else takes time."""

    def starts(self, trial: Trial) -> None: ...
    def advance(self, episode: Episode) -> None: ...
    def begins(self) -> None:
        """What was told so far was there before."""
        ...

    def thinks(self, who: str) -> None: ...
    def thought(self, who: str) -> None: ...
    def charged(self, charge: Charge) -> None:
        """A model has answered, whoever asked."""
        ...

    def scored(self, done: int, tokens: int) -> None:
        """So much is done of the likelihoods that a model computes."""
        ...
