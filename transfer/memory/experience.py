"""Experience: what was seen, done and paid, as learners read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from agents.decision import Decision


class Step(Decision):
    """One decision of one seat, with what it saw before and what it was paid after."""

    observation: str
    reward: float
    """Reward received between this decision and the seat's next one."""


COUNTED_SINCE = (
    *("thought_tokens", "left_out", "reading_calls", "reading_prompt_tokens", "reading_completion_tokens"),
    "written",
)
"""Fields of a step that are written where they are not 0 or blank: format 1 had none of them."""


class Trajectory(BaseModel):
    """One seat's part of one episode."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """The trial's id and the seat, `trial/seat`."""
    agent: str
    task: str
    env_seed: int
    rules: str
    steps: tuple[Step, ...]
    total: float
    """R(τ): the sum of the rewards."""
    solved: bool = False
    invalid: int = 0
    reason: str = ""
    infos: Mapping[str, str] = Field(default_factory=dict)
    """What its game says of itself and no player was told, such as the type of a task (`EnvSpec.recorded`)."""

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Grammars can be long and seldom change: each is written once, and a step names its place."""
        content: dict[str, Any] = handler(self)
        places = {text: place for place, text in enumerate(dict.fromkeys(step.grammar for step in self.steps))}
        content["steps"] = [
            {name: value for name, value in step.items() if value or name not in COUNTED_SINCE}
            | {"grammar": places[step["grammar"]]}
            for step in content["steps"]
        ]
        if not self.infos:
            content.pop("infos", None)  # format 1 had none
        return content | {"grammars": list(places)}

    @model_validator(mode="before")
    @classmethod
    def _read(cls, content: Any) -> Any:
        if not isinstance(content, dict) or "grammars" not in content:
            return content
        rest: dict[str, Any] = dict(content)
        grammars: Sequence[str | None] = rest.pop("grammars")
        try:
            steps = [step | {"grammar": grammars[step["grammar"]]} for step in rest["steps"]]
        except (KeyError, IndexError, TypeError):
            raise ValueError("a step names a grammar that the trajectory does not hold") from None
        return rest | {"steps": steps}

    def returns_to_go(self, gamma: float = 1.0) -> list[float]:
        """G_t = Σ_{k≥t} γ^{k−t} r_k (paper eq. of section 4.4), one per step."""
        out: list[float] = []
        running = 0.0
        for step in reversed(self.steps):
            running = step.reward + gamma * running
            out.append(running)
        return out[::-1]


class Segment(NamedTuple):
    """Steps `start` to `stop` (exclusive) of a trajectory, all under one skill."""

    trajectory: Trajectory
    skill: str
    start: int
    stop: int


def segments(trajectory: Trajectory) -> Iterator[Segment]:
    """The maximal stretches that one call of a skill controlled."""
    start = 0
    steps: Sequence[Step] = trajectory.steps
    for index in range(1, len(steps) + 1):
        ends = index == len(steps) or steps[index].started or steps[index].skill != steps[start].skill
        if ends:
            skill = steps[start].skill
            if skill is not None:
                yield Segment(trajectory, skill, start, index)
            start = index


Recall = Callable[[str], Trajectory]
"""Gives the trajectory of an id; raises KeyError for one that is not stored."""


def extremes(trajectories: Sequence[Trajectory], size: int) -> list[Trajectory]:
    """The best and the worst halves (paper: successes to distil, failures to repair), in the order they were played."""
    ranked = sorted(range(len(trajectories)), key=lambda index: (trajectories[index].total, index))
    half = size // 2
    chosen = {*ranked[: size - half], *ranked[max(0, len(ranked) - half) :]}
    return [trajectories[index] for index in sorted(chosen)]


def recalled(ids: Sequence[str], recall: Recall) -> list[Trajectory]:
    """The trajectories that are still stored."""
    found: list[Trajectory] = []
    for id in ids:
        try:
            found.append(recall(id))
        except KeyError:
            continue
    return found


def controlled(trajectory: Trajectory, skill: str) -> list[Segment]:
    """The segments in which `skill` was active."""
    return [span for span in segments(trajectory) if span.skill == skill]


def stretches(trajectory: Trajectory) -> Iterator[Segment]:
    """The whole trajectory, cut where another skill, or none (""), takes over."""
    start = 0
    steps = trajectory.steps
    for index in range(1, len(steps) + 1):
        if index == len(steps) or steps[index].skill != steps[start].skill:
            yield Segment(trajectory, steps[start].skill or "", start, index)
            start = index
