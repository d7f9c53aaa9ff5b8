"""Events: all that happens while a pool is learned, one frozen class a kind, one line of `events.jsonl` each.

A line holds `kind`, `iteration`, `skill`, `parents`, `trajectories` and a `payload` with what only this kind has; in
Python all of these are attributes. What an event was not given is not written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from agents.skill import Skill

HEADER = ("kind", "iteration", "skill", "parents", "trajectories")
"""Fields that stand beside the payload in a line."""
PAYLOAD_NAMES = {"texts": "skill", "giver": "from", "objective": "J", "before": "J_before", "change": "delta_J"}
"""Fields that a payload calls otherwise: by the paper's letters, or by a word that Python keeps for itself."""
FIELDS = {name: field for field, name in PAYLOAD_NAMES.items()}


class SkillTexts(BaseModel):
    """The words of a skill, so that events alone tell what it says."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = ""
    activation: str = ""
    procedure: str = ""
    termination: str = ""

    @classmethod
    def of(cls, skill: Skill) -> SkillTexts:
        texts = {part: getattr(skill, part) for part in cls.model_fields}
        return cls(**texts)


class BaseEvent(BaseModel):
    """What every event has. `skill` is the id of the skill it is about, "" where it is about none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    iteration: int
    skill: str = ""
    parents: tuple[str, ...] = ()
    """Ids of the skills the subject was made from."""
    trajectories: tuple[str, ...] = ()
    """Ids of the trajectories that are the evidence."""

    @property
    def payload(self) -> dict[str, JsonValue]:
        """What only this kind has, as it stands in the line."""
        return self.model_dump(mode="json")["payload"]

    @model_serializer(mode="wrap")
    def _nest_payload(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        given = [name for name in type(self).model_fields if name in self.model_fields_set and name not in HEADER]
        payload = {PAYLOAD_NAMES.get(name, name): content[name] for name in given}
        return {name: content[name] for name in HEADER} | {"payload": payload}

    @model_validator(mode="before")
    @classmethod
    def _unnest_payload(cls, content: Any) -> Any:
        """A line of format 1 may call a field by either of its names, and hold what this version no longer reads."""
        if not isinstance(content, Mapping) or "payload" not in content:
            return content
        payload = content["payload"]
        if not isinstance(payload, Mapping):
            raise ValueError("the payload of an event is a table")
        fields = {FIELDS.get(str(name), str(name)): value for name, value in payload.items()}
        known = {name: value for name, value in fields.items() if name in cls.model_fields and name not in HEADER}
        return known | {name: value for name, value in content.items() if name != "payload"}


class Seeded(BaseEvent):
    """A skill stood in the first pool."""

    kind: Literal["seeded"] = "seeded"
    texts: SkillTexts


class Scored(BaseEvent):
    """A skill's online score after this iteration's episodes: ΣG, ΣN, calls and steps so far, and `value` = ΣG/ΣN."""

    kind: Literal["scored"] = "scored"
    gain: float = 0.0
    n: int = 0
    calls: int = 0
    steps: int = 0
    value: float


class BaselineMoved(BaseEvent):
    """A task's running baseline R̄ over its `n` episodes so far."""

    kind: Literal["baseline"] = "baseline"
    task: str
    mean: float
    n: int


class Skipped(BaseEvent):
    """Something was left out, and why: a trajectory, an attempt to evolve, a gift, a write."""

    kind: Literal["skipped"] = "skipped"
    why: str = ""
    giver: str | None = None
    version: int | None = None


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


class Admitted(BaseEvent):
    """A skill came into a pool."""

    kind: Literal["admitted"] = "admitted"
    giver: str | None = None
    mode: str = ""
    objective: float | None = None
    change: float | None = None
    version: int | None = None


class Pruned(BaseEvent):
    """A skill left a pool; `score` is its online score over `n`."""

    kind: Literal["pruned"] = "pruned"
    giver: str | None = None
    why: str = ""
    score: float | None = None
    n: int = 0
    version: int | None = None


class Given(BaseEvent):
    """A skill received from another agent."""

    kind: Literal["gift"] = "gift"
    giver: str
    author: str = ""
    texts: SkillTexts


class Planted(BaseEvent):
    """A harmful skill put into a pool by the study."""

    kind: Literal["planted"] = "planted"
    poison: str
    texts: SkillTexts


class EpisodesMissing(BaseEvent):
    """Episodes that an iteration was committed without."""

    kind: Literal["missing"] = "missing"
    episodes: int
    of: int
    why: str = ""


class MemberLost(BaseEvent):
    """An agent left for good."""

    kind: Literal["lost"] = "lost"
    why: str = ""


class Warned(BaseEvent):
    """A failure signature, or a learner that failed."""

    kind: Literal["warning"] = "warning"
    signature: str = ""
    text: str = ""
    why: str = ""


class Written(BaseEvent):
    """What a writer did to a memory's units: `action` is written, rewritten, voted, linked or dropped.

    `skill` is the unit's id, `parents` the units it came from.
    """

    kind: Literal["unit"] = "unit"
    action: Literal["written", "rewritten", "voted", "linked", "dropped"]
    of: str = ""
    """The unit's kind: episode, rule, …"""
    text: str = ""
    value: float | None = None
    """Its votes or utility afterwards, where it has any."""
    why: str = ""


class Spent(BaseEvent):
    """What learning asked of language models in this iteration, moves of episodes not counted."""

    kind: Literal["spent"] = "spent"
    calls: int
    prompt_tokens: int
    completion_tokens: int
    scored: int = 0
    """Utterances whose likelihood was asked for."""


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
