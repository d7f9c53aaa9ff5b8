"""From a trajectory to a verdict: gradients, candidates, and what gates and duels found of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from transfer.memory.events.line import BaseEvent, SkillTexts


class GradientTaken(BaseEvent):
    """Semantic gradient of one trajectory: what its outcome says about each part of the skill ("": no change)."""

    kind: Literal["gradient"] = "gradient"
    total: float | None = None
    diagnosis: str = ""
    is_related: bool = False
    activation: str = ""
    procedure: str = ""
    termination: str = ""


class GradientsAggregated(BaseEvent):
    """What the gradients of one skill have in common, and how many of them were related to it."""

    kind: Literal["aggregate"] = "aggregate"
    mode: str = ""
    related: int = 0
    activation: str = ""
    procedure: str = ""
    termination: str = ""


class Proposed(BaseEvent):
    """A candidate."""

    kind: Literal["candidate"] = "candidate"
    mode: str = ""
    texts: SkillTexts


class Measurement(BaseModel):
    """What a gate measured of one candidate; None where nothing was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    objective: float | None = None
    """J(ω')."""
    before: float | None = None
    """J(ω)."""
    change: float | None = None
    """ΔJ."""
    stderr: float | None = None
    """Of ΔJ over trajectories."""
    noise: float | None = None
    """Numerical noise of ΔJ, two standard deviations."""
    noise_nats: float | None = None
    """Noise floor: root mean square difference between two scorings of the same utterances, packed differently."""
    clipped: float | None = None
    usable: float | None = None
    rebuilt: float | None = None
    """Share of segments whose recorded prompt was rebuilt to the letter."""
    text_only: int | None = None
    """Steps of the batch of which only the text is known: their likelihood may be that of other tokens than drawn."""


class Judged(Measurement, BaseEvent):
    """The gate's verdict on a candidate of one's own, or on a gift."""

    kind: Literal["verdict"] = "verdict"
    giver: str | None = None
    outcome: str = ""
    why: str = ""
    votes: tuple[Mapping[str, JsonValue], ...] = ()
    """Where several judged: their verdicts."""


class Duelled(BaseEvent):
    """A candidate (`skill`) played against another skill (`parents`), or against none, on common environment seeds."""

    kind: Literal["duel"] = "duel"
    env_seeds: tuple[int, ...] = ()
    """The games that both played, in order; `trajectories` has two for each, the opponent's first."""
    differences: tuple[float, ...] = ()
    """Return of the candidate less its opponent's, game by game."""
    e_value: float
    """Evidence at its end that the candidate is better: by chance alone it ever reaches 1/level with chance `level`."""
    low: float | None = None
    high: float | None = None
    """The confidence sequence of the gain at its end; None where it is open."""
    level: float
    margin: float = 0.0
    outcome: Literal["accepted", "rejected", "undecided"]
    why: str = ""
    episodes: int = 0
    """Played for it; games that the opponent had played before are not played again."""
    tokens: int = 0
    """Read and written in these."""
