"""Lines of `events.jsonl`: what learners and populations went through, in groups that end with a commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Tag,
    TypeAdapter,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import from_json

from agents.skill import AS_WRITTEN
from testbed.records.keys import LearnerKey, PopulationKey
from transfer.exchange.population import Population
from transfer.memory.events.event import Event
from transfer.memory.pool import SkillPool
from transfer.memory.state import Baseline, LearnerState

Learner = Annotated[str, AfterValidator(lambda key: LearnerKey.of(key).key)]
"""A `LearnerKey`, written out."""
PopulationName = Annotated[str, AfterValidator(lambda key: PopulationKey.of(key).key)]
"""A `PopulationKey`, written out."""


class EventLine(BaseModel):
    """An event of the learner called `learner`; in the file the event's own fields stand beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learner: Learner
    event: Event

    @model_serializer
    def _flatten(self) -> dict[str, Any]:
        beside = {name: getattr(self, name) for name in type(self).model_fields if name != "event"}
        return self.event.model_dump(mode="json") | beside

    @model_validator(mode="before")
    @classmethod
    def _gather_event(cls, content: Any) -> Any:
        if not isinstance(content, Mapping) or "event" in content:
            return content
        beside = {name: value for name, value in content.items() if name in cls.model_fields}
        return beside | {"event": {name: value for name, value in content.items() if name not in beside}}


class MemberEventLine(EventLine):
    """An event of a member of a population; `learner` is the member's own key."""

    population: PopulationName


class IterationCommit(BaseModel):
    """The line that ends a learner's iteration. Without it the iteration never happened."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learner: Learner
    committed: int
    """Iterations finished."""
    state: LearnerState
    tokens: Mapping[str, int]
    """Length of each skill of the pool, in tokens of the acting model."""

    def pools(self) -> list[SkillPool]:
        """Every pool that somebody holds after this iteration."""
        return [self.state.pool]

    @model_validator(mode="after")
    def _measured(self) -> IterationCommit:
        if absent := [skill for skill in self.state.pool.ids if skill not in self.tokens]:
            raise ValueError(f"tokens: the length of skill {absent[0]} is missing")
        return self


class UnitRecord(BaseModel):
    """A unit of a memory in its commit: all that a table needs of it. Its words stand in the memory's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: str
    name: str = ""
    parents: tuple[str, ...] = ()
    tokens: int
    """In tokens of the acting model."""


class MemoryCommit(BaseModel):
    """The line that ends an iteration of a learner of another memory than a pool. The memory itself stands in
    `memories/<digest>.json`, which is on the disk before this line is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learner: Learner
    committed: int
    """Iterations finished."""
    memory: str
    """Its digest."""
    extra: int = 0
    """Episodes played so far beside those of each iteration."""
    baselines: Mapping[str, Baseline] = {}
    returns: tuple[float, ...] = ()
    units: tuple[UnitRecord, ...] = ()
    archive: int = 0
    """Trajectories kept for learning alone."""
    archive_tokens: int = 0

    def pools(self) -> list[SkillPool]:
        """None: pools stand in commits of their own."""
        return []


class RoundCommit(BaseModel):
    """The line that ends a population's round. Without it the round never happened."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    population: PopulationName
    committed: int
    """Rounds finished."""
    society: Population
    """Whole, pools among it: a pool's digest leaves out who the parents of its skills are."""
    tokens: Mapping[str, int]
    """Length of each skill that this round was the first to hold, in tokens of its first holder's model."""

    def pools(self) -> list[SkillPool]:
        """Every pool that somebody holds after this round."""
        return list(self.society.pools().values())

    @model_validator(mode="after")
    def _authored(self) -> RoundCommit:
        held = (skill for pool in self.pools() for skill in pool.ids)
        if absent := [skill for skill in held if skill not in self.society.authors]:
            raise ValueError(f"society.authors: the author of skill {absent[0]} is missing")
        return self


class ClaimState(BaseModel):
    """Where one claim of an adaptive study stood after a look."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    claim: str
    """Its key: `self-none`, or `given:POOL/AGENT/TASK`."""
    n: int
    """Differences so far: of learning runs, or of environment seeds."""
    mean: float | None
    log_e: float
    """Logarithm of its largest e-value so far, before the family."""
    low: float | None
    """Of the confidence sequence; none where nothing is ruled out."""
    high: float | None
    state: Literal["open", "decided", "equivalent", "futile"]
    chance: float | None = None
    """Predicted, that it is settled within the budget; of open and futile ones."""


class LookLine(BaseModel):
    """A look of an adaptive study at its data, and what is played because of it. It commits nobody's learning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    look: int
    """Number, from 1."""
    runs: int
    """Learning runs played so far."""
    tokens: int
    """Spent so far, on playing and on learning."""
    claims: tuple[ClaimState, ...]
    then: tuple[str, ...]
    """Claims that the next batch is played for; none where the study ends."""
    until: int
    """Learning runs after that batch."""
    why: str

    def pools(self) -> list[SkillPool]:
        """None."""
        return []


Commit = IterationCommit | MemoryCommit | RoundCommit | LookLine
"""What ends a group of lines: whatever stands behind the last one never happened."""


def _tag(content: Any) -> str:
    """Which line this is; format 1 has no word for it, but each kind has keys that the others lack."""
    if isinstance(content, BaseModel):
        return type(content).__name__
    if "look" in content:
        return "LookLine"
    committed = "committed" in content
    if "population" in content:
        return "RoundCommit" if committed else "MemberEventLine"
    if committed and "memory" in content:
        return "MemoryCommit"
    return "IterationCommit" if committed else "EventLine"


Line = Annotated[
    Annotated[EventLine, Tag("EventLine")]
    | Annotated[MemberEventLine, Tag("MemberEventLine")]
    | Annotated[IterationCommit, Tag("IterationCommit")]
    | Annotated[MemoryCommit, Tag("MemoryCommit")]
    | Annotated[RoundCommit, Tag("RoundCommit")]
    | Annotated[LookLine, Tag("LookLine")],
    Discriminator(_tag),
]
"""A line of `events.jsonl`."""

_LINES: TypeAdapter[Line] = TypeAdapter(Line)


def parse_line(line: bytes) -> Line:
    """Raises ValueError, in one clause, for what is no line of `events.jsonl`."""
    content = from_json(line)
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")
    try:
        return _LINES.validate_python(content, context=AS_WRITTEN)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from None


LONGEST = 600
"""Characters of a clause about a record, whose words may be anybody's."""


def first_problem(error: ValidationError) -> str:
    """What pydantic has against a record, in one clause; of what it quotes, the beginning and the end."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    problem = f"{place}: {first['msg']}" if place else first["msg"]
    return problem if len(problem) <= LONGEST else f"{problem[: LONGEST // 2]}…{problem[-LONGEST // 2 :]}"
