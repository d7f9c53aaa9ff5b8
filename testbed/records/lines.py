"""Lines of `events.jsonl`: what learners and populations went through, in groups that end with a commit."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator
from pydantic_core import from_json

from agents.skill import AS_WRITTEN
from testbed.records.keys import Place, Source
from transfer.exchange.population import Society
from transfer.memory.events import Event
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState


class Recorded(Event):
    """An event of the learner called `learner`: a line of `events.jsonl`."""

    learner: str

    @field_validator("learner")
    @classmethod
    def _is_key(cls, key: str) -> str:
        Source.of(key)
        return key


class Committed(BaseModel):
    """The line that ends a learner's iteration in `events.jsonl`. Without it the iteration never happened."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learner: str
    committed: int
    """Iterations finished."""
    state: LearnerState
    tokens: Mapping[str, int]
    """Length of each skill of the pool, in tokens of the acting model."""

    @field_validator("learner")
    @classmethod
    def _is_key(cls, key: str) -> str:
        Source.of(key)
        return key

    def pools(self) -> list[SkillPool]:
        """Every pool that somebody holds after this iteration."""
        return [self.state.pool]

    @model_validator(mode="after")
    def _measured(self) -> Committed:
        if absent := [skill for skill in self.state.pool.ids if skill not in self.tokens]:
            raise ValueError(f"tokens: the length of skill {absent[0]} is missing")
        return self


class Told(Recorded):
    """An event of a member of a population; `learner` is the member's own key."""

    population: str
    """`policy/task/learning run`."""

    @field_validator("population")
    @classmethod
    def _is_place(cls, key: str) -> str:
        Place.of(key)
        return key


class Gathered(BaseModel):
    """The line that ends a population's round in `events.jsonl`. Without it the round never happened."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    population: str
    committed: int
    """Rounds finished."""
    society: Society
    """Whole, pools among it: a pool's digest leaves out who the parents of its skills are."""
    tokens: Mapping[str, int]
    """Length of each skill that this round was the first to hold, in tokens of its first holder's model."""

    def pools(self) -> list[SkillPool]:
        """Every pool that somebody holds after this round."""
        return list(self.society.pools().values())

    @field_validator("population")
    @classmethod
    def _is_place(cls, key: str) -> str:
        Place.of(key)
        return key

    @model_validator(mode="after")
    def _authored(self) -> Gathered:
        held = (skill for pool in self.pools() for skill in pool.ids)
        if absent := [skill for skill in held if skill not in self.society.authors]:
            raise ValueError(f"society.authors: the author of skill {absent[0]} is missing")
        return self


Line = Recorded | Committed | Told | Gathered
"""A line of `events.jsonl`."""


def parse_line(line: bytes) -> Line:
    """Raises ValueError, in one clause, for what is no line of `events.jsonl`."""
    content = from_json(line)
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")
    social, committed = "population" in content, "committed" in content
    kind = (Gathered if committed else Told) if social else Committed if committed else Recorded
    try:
        return kind.model_validate(content, context=AS_WRITTEN)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from None


def first_problem(error: ValidationError) -> str:
    """What pydantic has against a record, in one clause."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
