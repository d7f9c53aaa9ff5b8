"""`Event`: any of them. One frozen class a kind, one line of `events.jsonl` each."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from transfer.memory.events.contents import Admitted, BaselineMoved, Given, Planted, Pruned, Scored, Seeded, Written
from transfer.memory.events.course import EpisodesMissing, MemberLost, Skipped, Spent, Warned
from transfer.memory.events.evolution import Duelled, GradientsAggregated, GradientTaken, Judged, Proposed

Event = Annotated[
    Seeded
    | Scored
    | BaselineMoved
    | Skipped
    | GradientTaken
    | GradientsAggregated
    | Proposed
    | Judged
    | Duelled
    | Admitted
    | Pruned
    | Given
    | Planted
    | EpisodesMissing
    | MemberLost
    | Warned
    | Written
    | Spent,
    Field(discriminator="kind"),
]
"""Any of them, told apart by `kind`."""
