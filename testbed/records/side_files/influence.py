"""`influence.jsonl`: how likely the moves of evaluated episodes were with what their memory showed, and without it.

A line an episode whose prompts held units, written once. Whatever is not there is measured by the same `procmem run`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from testbed.records.append_only import StoreError, complete_lines
from testbed.records.trial import Episode

NAME = "influence.jsonl"


class InfluenceLine(BaseModel):
    """The exposed steps of an episode's focal seat: those whose prompt held units of its memory."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    trial: str
    """Id of the episode's trial."""
    steps: tuple[int, ...]
    """Those that were measured, by their place in the trajectory."""
    shown: tuple[float | None, ...]
    """Log-likelihood (nats) of each one's action after the prompt that was sent, under the policy that acted; None
    where that policy rules it out."""
    hidden: tuple[float | None, ...]
    """The same after that prompt without the units."""
    left_out: tuple[int, ...] = ()
    """Exposed steps whose prompt could not be rebuilt, or not be scored."""
    error: float | None = Field(default=None, ge=0.0)
    """Root mean square (nats) of `shown` less what was recorded when the move was drawn; None where nothing was."""

    @model_validator(mode="after")
    def _is_whole(self) -> InfluenceLine:
        if not len(self.steps) == len(self.shown) == len(self.hidden):
            raise ValueError("steps, shown and hidden are not equally many")
        if any(value is not None and value > 1e-6 for value in (*self.shown, *self.hidden)):
            raise ValueError("a likelihood is greater than 1")
        return self

    @property
    def differences(self) -> list[float]:
        """shown − hidden (nats) of every step of which both are finite."""
        pairs = zip(self.shown, self.hidden, strict=True)
        return [shown - hidden for shown, hidden in pairs if shown is not None and hidden is not None]

    def faults(self, episode: Episode) -> Iterator[str]:
        """What it says that the episode of its trial does not bear out."""
        if episode.error is not None or episode.trial.phase != "evaluate":
            yield "influence was measured of an episode that was not evaluated"
            return
        exposed = [place for place, step in enumerate(episode.trajectory.steps) if step.units]
        if sorted((*self.steps, *self.left_out)) != exposed:
            yield "the steps of which influence was measured are not those at which its memory showed something"


def finite(value: float) -> float | None:
    """A log-likelihood as a line has it."""
    return value if math.isfinite(value) else None


def recorded_error(episode: Episode, steps: Sequence[int], shown: Sequence[float | None]) -> float | None:
    """Of `InfluenceLine.error`. A greedy move was recorded as certain, which says nothing of its likelihood."""
    drawn = [episode.trajectory.steps[place].policy_logprob for place in steps]
    gaps = [one - other for one, other in zip(shown, drawn, strict=True) if one is not None and other]
    return math.sqrt(sum(gap * gap for gap in gaps) / len(gaps)) if gaps else None


def influence_lines(run: Path) -> Iterator[InfluenceLine]:
    """All lines of a run in order; none where nothing was measured. Raises StoreError for what is no such line."""
    for number, _, text in complete_lines(run / NAME):
        try:
            yield InfluenceLine.model_validate_json(text)
        except ValidationError:
            raise StoreError(
                f"{run / NAME}, line {number}: not a measurement of influence; `procmem check run {run} --repair` sets "
                "that line aside, and the same `procmem run` measures it again"
            ) from None
